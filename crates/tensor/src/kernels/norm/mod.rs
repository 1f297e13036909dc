//! Normalisation by mean and variance: of batches, layers, groups and instances, and by the root of the mean square.
//!
//! A pass for the statistics, which `moments` finds, and one for the values, by vectors along planes (`planes`), rows of memory
//! (`rows`) or the channels of a batch (`columns`). Statistics that threads need not share are followed by their values at once,
//! while the elements are in the cache. The gradient has as many passes: sums, and what they make of each element.

mod backward;
mod columns;
mod forward;
mod geometry;
mod moments;
mod planes;
mod rows;

pub use backward::{Given, Gradients, backward, backward_by_scaling};
pub use forward::{Affine, Statistics, by_scaling, forward};
pub use geometry::Geometry;
pub use moments::Scaling;
