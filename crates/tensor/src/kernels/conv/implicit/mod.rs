//! Convolutions as matrix products whose right side, the patches of the whole batch, is packed piece by piece into the micro-kernel's
//! layout, straight from the images: an implicit GEMM (Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning", 2014). Filters are
//! read once for some hundred columns, however small the images are.
//!
//! | | product | tasks |
//! |---|---|---|
//! | `forward` | `[F, C·taps] · [C·taps, columns]` | columns; filters too if there are few |
//! | `input_grad` | `[C·taps, F] · [F, columns]`, added to the pixels that patches come from | images and channels |
//! | `weight_grad` | `[C·taps, columns] · [columns, F]` | channels; columns too if there are few |

mod forward;
mod input_grad;
mod patches;
mod weight_grad;

pub use forward::forward;
pub use input_grad::input_grad;
pub use weight_grad::weight_grad;

use super::geometry::Geometry;

/// Tasks of a batch, at least, where there is so much to do.
const TASKS: usize = 16;
/// Steps of a sum that the micro-kernel takes at a time, at most, but for filters of more taps.
const KC: usize = 1024;

/// Columns that are packed at a time where patches have few rows, about.
pub const COLUMNS: usize = 64;

/// The geometry with whole planes as rows, for filters of one tap and stride 1, whose patches are the images themselves.
fn flat(g: &Geometry) -> Geometry {
    if !g.is_pointwise() {
        return *g;
    }
    Geometry { input: [1, g.plane()], output: [1, g.plane()], ..*g }
}

/// The convolution whose patches are the outputs of `g`.
fn of_outputs(g: &Geometry) -> Geometry {
    let plane = [1, g.out_plane()];
    let (kernel, one) = ([1, 1], [1, 1]);
    Geometry { channels: g.filters, input: plane, output: plane, kernel, stride: one, dilation: one, padding: [0, 0], ..*g }
}
