//! Derivatives of functions: of closures from variables to variables.
//!
//! Every function here takes the closure first, then the point `x`: one [`Var`], an array or a vector of them
//! ([`Vars`]). What comes out has the arrangement of what goes in.
//!
//! - **They nest.** A result is on the tape when something that it was computed from is: `x`, a vector, or a variable
//!   that the closure captures. So a Hessian can stand in a loss, and a derivative in a derivative. Within
//!   [`no_grad`](crate::no_grad) results are constants, which saves work when a captured model is not to be trained.
//! - **Zero is an answer.** What a function does not depend on has the derivative zero, of the right shape: the Hessian
//!   of a linear function is a matrix of zeros. (Between variables, [`grad`](crate::grad) calls that an error, for
//!   there it is nearly always the wrong variable. Here the functions hand out the variables themselves.)
//! - **Hooks are not run forward.** [`Var::register_hook`] changes gradients; tangents pass it by.

mod directional;
mod forward;
mod hessian;
mod jacobian;
mod jvp;
mod per_example;
mod products;
mod recorded;
mod vars;
mod vjp;

pub use directional::{directional_derivative, nth_derivative};
pub use hessian::hessian;
pub use jacobian::{jacfwd, jacobian, jacrev};
pub use jvp::jvp;
pub use per_example::per_example_grads;
pub use products::{gauss_newton_product, hvp};
pub use vars::Vars;
pub use vjp::{value_and_grad, vjp};

pub(crate) use forward::{pull_back, push_along};
pub(crate) use recorded::Input;
