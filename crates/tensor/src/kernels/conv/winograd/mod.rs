//! Minimal filtering: stride-1 convolutions of 3 x 3 and 5 x 5 taps in a quarter, or a sixth, of the multiplications.
//!
//! A tile of 6 x 6 inputs gives 4 x 4 outputs of a 3 x 3 filter, and one of 8 x 8 as many of a 5 x 5 one:
//! `Y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ x B)] A`, with 36 products for 144, or 64 for 400 (Lavin and Gray, "Fast Algorithms for
//! Convolutional Neural Networks", 2015). Summed over channels, the products at each of the points are a matrix product, `[tiles, C]`
//! by `[C, F]`. The input's gradient is the same sum with reversed filters; that of the filters is its adjoint,
//! `dw = Gᵀ [Σ (A dY Aᵀ) ⊙ (Bᵀ x B)] G`, with the sum over tiles as the matrix product.
//!
//! Vectors run over channels, so that the maps need no shuffles; pictures are transposed as they are read and written,
//! which costs a quarter of an instruction a pixel. Tiles are worked on in blocks whose planes stay in a core's cache;
//! where filters have more bytes than that, threads share one larger block and divide filters among them.
//!
//! What it costs: an output is the sum of larger numbers that cancel. In f32 its error is about ten times that of the
//! sum by definition (`docs/performance.md`), or 1e-6 of the tile's largest product. Where pixels, or taps, of a tile differ so
//! much that this would show, and where a pixel is not finite, the tile is computed by definition after all (`guard`).

mod filters;
mod guard;
mod lines;
mod pictures;
mod points;
mod product;
mod weight_grad;

use super::geometry::Geometry;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::simd::Lanes;
use filters::{Filters, Order};

/// Channels and filters below which the maps cost more than the products that they save.
const CHANNELS: usize = 12;
/// Tiles below which there is too little for each filter's map to do.
const TILES: usize = 24;
/// Outputs of a tile along each axis.
const TILE: usize = 4;

/// Whether this is the kernel to take.
pub fn fits(g: &Geometry) -> bool {
    if g.direct || g.groups != 1 || !(g.is_dense(3) || g.is_dense(5)) {
        return false;
    }
    let tiles = g.batch * g.output[0].div_ceil(TILE) * g.output[1].div_ceil(TILE);
    g.channels.min(g.filters) >= CHANNELS && g.output[0].min(g.output[1]) >= TILE && tiles >= TILES
}

/// `y = x * w`; writes all of `y`.
pub fn forward<T: Lanes>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    let taps = g.taps();
    let order = Order { outputs: (g.filters, g.channels * taps), inputs: (g.channels, taps), reversed: false };
    match g.kernel[0] {
        3 => product::convolve::<T, TILE, 3, 6>(g, x, Filters { w, order, end }, y),
        _ => product::convolve::<T, TILE, 5, 8>(g, x, Filters { w, order, end }, y),
    }
}

/// The gradient with respect to `x`; writes all of `gx`.
pub fn input_grad<T: Lanes>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    let (transposed, taps) = (g.transposed(), g.taps());
    let order = Order { outputs: (g.channels, taps), inputs: (g.filters, g.channels * taps), reversed: true };
    match g.kernel[0] {
        3 => product::convolve::<T, TILE, 3, 6>(&transposed, gy, Filters { w, order, end: Epilogue::NONE }, gx),
        _ => product::convolve::<T, TILE, 5, 8>(&transposed, gy, Filters { w, order, end: Epilogue::NONE }, gx),
    }
}

/// The gradient with respect to `w`; writes all of `gw`.
pub fn weight_grad<T: Lanes>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    let is_precise = match g.kernel[0] {
        3 => weight_grad::weight_grad::<T, TILE, 3, 6>(g, x, gy, gw),
        _ => weight_grad::weight_grad::<T, TILE, 5, 8>(g, x, gy, gw),
    };
    if !is_precise {
        super::implicit::weight_grad(g, x, gy, gw);
    }
}
