//! Optimisers, learning-rate schedules, gradient clipping and weight averaging for Gradus.
//!
//! An optimiser is an [`UpdateRule`], the formula for one weight, driven by an [`Optimizer`], which has all the rest. The
//! constructor of a rule gives the optimiser, ready for use:
//!
//! ```
//! use gradus_autograd::Param;
//! use gradus_optim::Adam;
//!
//! let mut net = vec![Param::<f32>::new([3.0, -2.0].into())]; // any module
//! let mut opt = Adam::new(0.1).betas(0.9, 0.99);
//! for _ in 0..200 {
//!     let loss = net[0].square().sum(..);
//!     opt.step(&mut net, loss.backward())?; // there is no zero_grad
//! }
//! assert!(net[0].value().to_vec().iter().all(|w| w.abs() < 1e-2));
//! # Ok::<(), gradus_optim::OptimError>(())
//! ```
//!
//! A gradient that is missing is an error, unless [`Optimizer::allow_missing`] says otherwise; errors name parameters by path.

// What `#[derive(RuleState)]` writes names the crate `gradus`.
extern crate self as gradus;

mod before_step;
mod clip;
mod driver;
mod ema;
mod error;
mod group;
mod optimizer;
pub mod registry;
mod rule;
mod rules;
pub mod schedule;
mod share;
mod state_dict;

pub use before_step::{BeforeStep, HookResult};
pub use clip::{clip_grad_norm, clip_grad_value};
pub use ema::Ema;
pub use error::OptimError;
pub use gradus_derive::RuleState;
pub use group::Group;
pub use optimizer::{Every, Optimizer};
pub use rule::{RuleState, Step, UpdateRule, largest_square_root};
pub use rules::*;
pub use schedule::*;
pub use state_dict::OptimizerState;

#[doc(hidden)] // for what `#[derive(RuleState)]` writes
pub use gradus_tensor as tensor;
