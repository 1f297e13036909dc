//! Pooling to a size that does not depend on the input's. Region `i` of `n` along an axis is from `⌊i size / n⌋` up to
//! `⌈(i + 1) size / n⌉`, as in PyTorch.

use super::fold::avg_pool;
use super::spatial;
use crate::layer::{Layer, Mode};
use crate::layers::conv::PerAxis;
use crate::refuse::{refuse, refuse_input};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::{Float, OrPanic, PoolOptions, Shape, Taps, Tensor};
use std::ops::Range;

/// Region `i` of `n`.
fn region(i: usize, n: usize, size: usize) -> Range<usize> {
    i * size / n..((i + 1) * size).div_ceil(n)
}

/// The mean of each of `n` regions.
#[track_caller]
fn averages<T: Float>(n: usize, size: usize) -> Taps<T> {
    let of = |region: Range<usize>| {
        let weight = T::lit(1.0 / region.len() as f64);
        region.map(|i| (i, weight)).collect()
    };
    Taps::new(size, (0..n).map(|i| of(region(i, n, size))))
}

/// The mean of each region.
#[track_caller]
fn adaptive_avg<T: Float, const N: usize>(op: &'static str, x: &Var<T>, output: [usize; N]) -> Var<T> {
    let size: [usize; N] = spatial(op, x);
    if (0..N).all(|a| size[a] > 0 && output[a] > 0 && size[a].is_multiple_of(output[a])) {
        if size == output {
            return x.clone();
        }
        return avg_pool(op, x, &PoolOptions::<N>::rectangle(std::array::from_fn(|a| size[a] / output[a])));
    }
    x.shape()[..2].iter().copied().chain(output).collect::<Shape>().checked(op).or_panic();
    // Regions of unequal size, along one axis after the other.
    let mut y = x.clone();
    for a in 0..N {
        if size[a] != output[a] {
            y = y.weighted_sums(a + 2, &averages(output[a], size[a]));
        }
    }
    y
}

/// The largest of each region, and its place in row-major order.
#[track_caller]
fn adaptive_max<T: Float, const N: usize>(op: &'static str, x: &Var<T>, output: [usize; N]) -> (Var<T>, Tensor<i32>) {
    let size: [usize; N] = spatial(op, x);
    if size.contains(&0) {
        refuse_input(op, "with 1 or more along each axis", x)
    }
    let front = 3 - N;
    let along = |of: [usize; N], a: usize| a.checked_sub(front).map_or(1, |a| of[a]);
    let [d, h, w] = [0, 1, 2].map(|a| along(size, a));
    let [od, oh, ow] = [0, 1, 2].map(|a| along(output, a));
    let (batch, channels) = (x.shape()[0], x.shape()[1]);
    let shape = [batch, channels].into_iter().chain(output).collect::<Shape>().checked(op).or_panic();
    let mut places = vec![];
    if places.try_reserve_exact(shape.numel()).is_err() {
        refuse(op, format!("no memory for an output of shape {shape}"))
    }
    let values = x.value().contiguous();
    for volume in values.as_slice().expect("contiguous").chunks_exact(d * h * w) {
        for i in 0..od * oh * ow {
            let (rows, cols) = (region(i / ow % oh, oh, h), region(i % ow, ow, w));
            let slices = region(i / ow / oh, od, d);
            let all = slices.flat_map(|z| {
                let cols = cols.clone();
                rows.clone().flat_map(move |y| cols.clone().map(move |x| (z * h + y) * w + x))
            });
            // Of equals the first, and NaN before any number.
            let larger = |best: usize, at: usize| {
                let (b, v) = (volume[best], volume[at]);
                if !b.is_nan() && (v > b || v.is_nan()) { at } else { best }
            };
            places.push(all.reduce(larger).expect("a region is not empty") as i32);
        }
    }
    let index = Tensor::from_vec(places, [batch, channels, 1, od * oh * ow]);
    let y = x.reshape([batch, channels, 1, d * h * w]).pool_gather(&index);
    (y.reshape(&shape), index.reshape(&shape))
}

macro_rules! adaptive_pool {
    ($(#[$doc:meta])* $name:ident, $n:literal) => {
        $(#[$doc])*
        ///
        /// # Panics
        /// On the forward pass, when the input has other axes.
        #[derive(Clone, Copy, Debug, Module)]
        pub struct $name {
            #[module(skip)]
            output: [usize; $n],
        }

        impl $name {
            /// To outputs of this size: one number, or one for each axis.
            pub fn new(output: impl PerAxis<$n>) -> Self {
                Self { output: output.per_axis() }
            }
        }
    };
}

macro_rules! adaptive_avg_pool {
    ($(#[$doc:meta])* $name:ident, $op:literal, $n:literal) => {
        adaptive_pool! { $(#[$doc])* $name, $n }

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
                adaptive_avg($op, x, self.output)
            }
        }
    };
}

macro_rules! adaptive_max_pool {
    ($(#[$doc:meta])* $name:ident, $op:literal, $n:literal) => {
        adaptive_pool! { $(#[$doc])* $name, $n }

        impl $name {
            /// The maxima, and the place of each in row-major order of the axes that are pooled over (PyTorch's
            /// `return_indices`).
            ///
            /// # Panics
            /// As the forward pass.
            #[track_caller]
            pub fn forward_with_indices<T: Float>(&self, x: &Var<T>) -> (Var<T>, Tensor<i32>) {
                adaptive_max($op, x, self.output)
            }
        }

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
                adaptive_max($op, x, self.output).0
            }
        }
    };
}

adaptive_avg_pool! {
    /// The means of regions that cover each sequence as evenly as they can: `[N, C, L]` to `[N, C, OL]`. Region `i` of `n` is
    /// from `⌊i L / n⌋` up to `⌈(i + 1) L / n⌉`, as in PyTorch.
    AdaptiveAvgPool1d, "AdaptiveAvgPool1d", 1
}
adaptive_avg_pool! {
    /// The means of `OH x OW` regions that cover each plane as evenly as they can: `[N, C, H, W]` to `[N, C, OH, OW]`. Region
    /// `i` of `n` along an axis is from `⌊i H / n⌋` up to `⌈(i + 1) H / n⌉`, as in PyTorch.
    ///
    /// ```
    /// use gradus_nn::{AdaptiveAvgPool2d, Layer, Mode};
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([[[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]]]);
    /// let y = AdaptiveAvgPool2d::new([1, 2]).forward(&x.into(), &mut Mode::Eval);
    /// assert_eq!(*y.value(), Tensor::from([[[[3.0, 4.0]]]]));
    /// ```
    AdaptiveAvgPool2d, "AdaptiveAvgPool2d", 2
}
adaptive_avg_pool! {
    /// The means of regions that cover each volume as evenly as they can: `[N, C, D, H, W]` to `[N, C, OD, OH, OW]`, the
    /// regions being as those of [`AdaptiveAvgPool2d`].
    AdaptiveAvgPool3d, "AdaptiveAvgPool3d", 3
}
adaptive_max_pool! {
    /// The largest of regions that cover each sequence as evenly as they can: `[N, C, L]` to `[N, C, OL]`, the regions being
    /// as those of [`AdaptiveAvgPool1d`]. Of equals, the first gets the gradient.
    AdaptiveMaxPool1d, "AdaptiveMaxPool1d", 1
}
adaptive_max_pool! {
    /// The largest of regions that cover each plane as evenly as they can: `[N, C, H, W]` to `[N, C, OH, OW]`, the regions being
    /// as those of [`AdaptiveAvgPool2d`]. Of equals, the first gets the gradient.
    AdaptiveMaxPool2d, "AdaptiveMaxPool2d", 2
}
adaptive_max_pool! {
    /// The largest of regions that cover each volume as evenly as they can: `[N, C, D, H, W]` to `[N, C, OD, OH, OW]`, the
    /// regions being as those of [`AdaptiveAvgPool2d`]. Of equals, the first gets the gradient.
    AdaptiveMaxPool3d, "AdaptiveMaxPool3d", 3
}
