//! Reverse-mode automatic differentiation: variables, the tape, the ops and their rules.
//!
//! The rules of the built-in ops are written in the ops that users write, so that derivatives can be differentiated again, to
//! any order. Built-in ops implement the same public [`Op`] as yours, and are applied by the same public [`apply`] and its kin.
//!
//! ```
//! use gradus_autograd::Var;
//! let w = Var::leaf([[1.0f32, 2.0], [3.0, 4.0]].into());
//! let loss = (&w * 2.0).tanh().sum(..);
//! let grads = loss.backward();
//! assert_eq!(*grads[&w].shape(), [2, 2]);
//! ```

mod apply;
mod attributes;
mod backward;
mod buffer_replay;
mod calculus;
mod checkpoint;
mod context;
mod custom;
mod declared_inputs;
mod derivatives;
mod dual;
mod error;
mod fixed_point;
mod functional;
mod grads;
mod inspect;
mod mode;
mod module;
mod node;
mod observe;
mod op;
mod ops;
mod param;
mod path;
mod queue;
mod sampling;
mod tape;
mod tape_end;
mod var;

/// The list of ops, and sample inputs for every op on it.
pub mod samples {
    pub use crate::ops::{listed_ops, op_samples};
    pub use crate::sampling::{Case, Described, ListedOp, OpSample, Sampled, draw};
}

pub use apply::{apply, apply_aux, apply_owned, apply_with, evaluate};
pub use attributes::{Attribute, Attributes};
pub use backward::{grad, grad_with};
pub use buffer_replay::is_checkpointing;
pub use calculus::{Calculus, Val};
pub use checkpoint::{checkpoint, checkpoint_with_rng};
pub use context::{ForwardContext, JvpContext, VjpContext};
pub use custom::{OpName, custom_op, custom_vjp, op, op_with_output};
pub use derivatives::{
    Vars, directional_derivative, gauss_newton_product, hessian, hvp, jacfwd, jacobian, jacrev, jvp, nth_derivative,
    per_example_grads, value_and_grad, vjp,
};
pub use dual::Dual;
pub use error::GradError;
pub use fixed_point::{FixedPointOptions, NotConverged, fixed_point};
pub use functional::functional_call;
pub use grads::Grads;
pub use inspect::anomaly::{Anomaly, Pass, ValueRange, detect_anomaly};
pub use inspect::profile::{Profile, ProfileRow, profile, record_function};
pub use inspect::recorded::recorded_ops;
pub use inspect::tape::{Tape, TapeEntry};
pub use mode::{GradMode, enable_grad, is_grad_enabled, no_grad, set_grad_enabled};
pub use module::{Module, StateDictError, Visitor};
pub use op::{Gradients, Op, OpKind, Saves};
pub use ops::{UnaryRule, check_ctc};
pub use param::{Buffer, Param};
pub use path::{Path, path_matches};
pub use tape::live_nodes;
pub use var::Var;

#[doc(hidden)] // for what `#[derive(Module)]` writes
pub use gradus_tensor as tensor;
