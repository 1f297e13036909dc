//! Gradus' own functions, layers, models and optimisers as things to check.

mod culprit;
mod function;
mod module;
mod optimizer;
mod quiet;

pub use function::{GradusFunction, check, tensor_of};
pub use module::{LayerInput, check_layer, check_module};
pub use optimizer::{OptimizerFailure, UpdateFault, WrongUpdate, check_optimizer, check_optimizer_on_tensors};
