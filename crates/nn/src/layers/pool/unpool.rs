//! The way back from maxima to where they were.

use super::spatial;
use crate::layers::conv::PerAxis;
use crate::refuse::refuse;
use gradus_autograd::Var;
use gradus_tensor::{Float, OrPanic, Shape, Tensor};

/// `x` at the places in `index`, zeros elsewhere. Where windows overlapped, a place may be named more than once; the last
/// of these stays, and has the gradient.
#[track_caller]
fn unpool<T: Float, const N: usize>(op: &'static str, x: &Var<T>, index: &Tensor<i32>, output: [usize; N]) -> Var<T> {
    let sizes: [usize; N] = spatial(op, x);
    if index.shape() != x.shape() {
        refuse(op, format!("expected indices {}, the input's shape, got {}", x.shape(), index.shape()))
    }
    let (batch, channels) = (x.shape()[0], x.shape()[1]);
    let shape = [batch, channels].into_iter().chain(output).collect::<Shape>().checked(op).or_panic();
    let (from, to) = (sizes.iter().product::<usize>(), output.iter().product::<usize>());
    let index = index.reshape([batch, channels, 1, from]);
    let stays = last_of_each(op, &index, from, to);
    let x = x.reshape([batch, channels, 1, from]);
    let x = if stays.all() { x } else { x.masked_fill(&stays.not(), 0.0) };
    x.pool_scatter(&index, [batch, channels, 1, to]).reshape(&shape)
}

/// Which of the places in each plane of `from` are not named again after.
#[track_caller]
fn last_of_each(op: &'static str, index: &Tensor<i32>, from: usize, to: usize) -> Tensor<bool> {
    let places = index.to_vec();
    if let Some(&wrong) = places.iter().find(|&&at| usize::try_from(at).map_or(true, |at| at >= to)) {
        refuse(op, format!("expected indices below {to}, got {wrong}"))
    }
    let mut stays = vec![true; places.len()];
    let mut taken = vec![];
    if taken.try_reserve_exact(to).is_err() {
        refuse(op, format!("no memory for outputs of {to} places"))
    }
    taken.resize(to, false);
    for (plane, stays) in places.chunks(from.max(1)).zip(stays.chunks_mut(from.max(1))) {
        taken.fill(false);
        for (&at, stays) in plane.iter().zip(stays).rev() {
            *stays = !std::mem::replace(&mut taken[at as usize], true);
        }
    }
    Tensor::from_vec(stays, index.shape())
}

macro_rules! max_unpool {
    ($(#[$doc:meta])* $name:ident, $pool:ident, $op:literal, $n:literal) => {
        $(#[$doc])*
        /// Puts maxima back to where
        #[doc = concat!("[`", stringify!($pool), "::forward_with_indices`](crate::", stringify!($pool), "::forward_with_indices)")]
        /// found them, and zeros elsewhere. It has the sizes of that layer, from which it works out the output's:
        /// `(size - 1) stride - 2 padding + kernel`.
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            kernel: [usize; $n],
            stride: [usize; $n],
            padding: [usize; $n],
        }

        impl $name {
            /// For windows of `kernel`, one number, or one for each axis, side by side.
            pub fn new(kernel: impl PerAxis<$n>) -> Self {
                let kernel = kernel.per_axis();
                Self { kernel, stride: kernel, padding: [0; $n] }
            }

            /// With another stride.
            #[must_use]
            pub fn stride(self, stride: impl PerAxis<$n>) -> Self {
                Self { stride: stride.per_axis(), ..self }
            }

            /// With padding on all sides.
            #[must_use]
            pub fn padding(self, padding: impl PerAxis<$n>) -> Self {
                Self { padding: padding.per_axis(), ..self }
            }

            /// Of maxima `x` with their places.
            ///
            /// # Panics
            /// When the shapes differ, or a place is outside of the output.
            #[track_caller]
            pub fn forward<T: Float>(&self, x: &Var<T>, index: &Tensor<i32>) -> Var<T> {
                let sizes: [usize; $n] = spatial($op, x);
                let Self { kernel, stride, padding } = self;
                let along = |a: usize| {
                    let whole = sizes[a].saturating_sub(1).saturating_mul(stride[a]).saturating_add(kernel[a]);
                    whole.saturating_sub(padding[a].saturating_mul(2))
                };
                self.forward_to(x, index, std::array::from_fn(along))
            }

            /// As [`forward`](Self::forward), to outputs of this size, as several sizes are pooled to the same.
            ///
            /// # Panics
            /// When the shapes differ, or a place is outside of the output.
            #[track_caller]
            pub fn forward_to<T: Float>(&self, x: &Var<T>, index: &Tensor<i32>, output: impl PerAxis<$n>) -> Var<T> {
                unpool($op, x, index, output.per_axis())
            }
        }
    };
}

max_unpool! {
    /// Unpooling of sequences `[N, C, L]`.
    ///
    MaxUnpool1d, MaxPool1d, "MaxUnpool1d", 1
}
max_unpool! {
    /// Unpooling of pictures `[N, C, H, W]` (Zeiler and Fergus 2014).
    ///
    /// ```
    /// use gradus_nn::{MaxPool2d, MaxUnpool2d};
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([[[[1.0f32, 2.0], [4.0, 3.0]]]]).into();
    /// let (y, places) = MaxPool2d::new(2).forward_with_indices(&x);
    /// let back = MaxUnpool2d::new(2).forward(&y, &places);
    /// assert_eq!(*back.value(), Tensor::from([[[[0.0, 0.0], [4.0, 0.0]]]]));
    /// ```
    ///
    MaxUnpool2d, MaxPool2d, "MaxUnpool2d", 2
}
max_unpool! {
    /// Unpooling of volumes `[N, C, D, H, W]`.
    ///
    MaxUnpool3d, MaxPool3d, "MaxUnpool3d", 3
}
