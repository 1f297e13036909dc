//! Euclidean norms and standard deviations, right at every magnitude.
//!
//! The sum of squares is taken as it stands. Only where it has overflowed, or is so small that squares have lost bits, a second
//! pass divides by a power of two near the largest element first, which is exact (Blue, *A portable Fortran program to find
//! the Euclidean norm of a vector*, 1978).

use crate::compiled_once::compiled_once;
use crate::error::OrPanic;
use crate::float::Float;
use crate::kernels::reduce::{self, MaxAbs};
use crate::kernels::squares;
use crate::shape::{Axes, reduced_shape};
use crate::tensor::Tensor;

/// Whether a sum of squares may have lost what the root of it could still hold. Squares below [`Float::TINY`] are denormal;
/// of a sum this many times larger they are less than one rounding.
fn is_suspect<T: Float>(squares: T) -> bool {
    squares < T::TINY / T::EPSILON || squares == T::INFINITY
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// The largest `|x|` of all elements, in one pass; 0 of none, and NaN if an element is.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from([1.0f32, -3.0]).largest_size(), 3.0);
    /// ```
    #[track_caller]
    pub fn largest_size(&self) -> T {
        reduce::all(self.contiguous().as_slice().expect("just made contiguous"), MaxAbs)
    }

    /// `Σ (scale · x)²` over all elements, in `f64`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from([3.0f32, 4.0]).sum_of_squares(0.5), 6.25);
    /// ```
    #[track_caller]
    pub fn sum_of_squares(&self, scale: f64) -> f64 {
        squares::sum_of_squares(self.contiguous().as_slice().expect("just made contiguous"), scale)
    }

    /// The Euclidean norm over `axes`, which go; `..` for all: `√Σ x²`, without overflow or underflow of the squares.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let norm = Tensor::from([3e25f32, 4e25]).norm(..).item();
    /// assert!((norm / 5e25 - 1.0).abs() < 1e-6);
    /// ```
    #[doc(alias("linalg.norm", "vector_norm"))]
    #[track_caller]
    pub fn norm(&self, axes: impl Axes) -> Self {
        let axes = axes.resolve_all("norm", self.rank()).or_panic();
        self.norm_keep(&axes).reshape(reduced_shape(&self.shape, &axes, false))
    }

    /// As [`norm`](Self::norm), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn norm_keep(&self, axes: impl Axes) -> Self {
        let axes = axes.resolve_all("norm", self.rank()).or_panic();
        let squares = self.square().sum_keep(&axes);
        let suspect = squares.map(is_suspect);
        let y = squares.map_into(T::sqrt);
        if self.numel() == 0 || !suspect.any() {
            return y;
        }
        let unit = self.abs().max_keep(&axes).map(T::binade);
        let scaled = self.zip_map("norm", &unit, |x, unit| x / unit).square().sum_keep(&axes).map_into(T::sqrt) * &unit;
        scaled.where_(&suspect, &y)
    }

    /// The standard deviation over `axes`, which go: `√(Σ (x - mean)² / (n - correction))`, without overflow or underflow of
    /// the squares. `correction` 1 is PyTorch's default (unbiased), 0 the population's.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from([1e25f32, -1e25]).std(.., 0).item(), 1e25);
    /// ```
    #[track_caller]
    pub fn std(&self, axes: impl Axes, correction: usize) -> Self {
        let axes = axes.resolve_all("std", self.rank()).or_panic();
        self.std_keep(&axes, correction).reshape(reduced_shape(&self.shape, &axes, false))
    }

    /// As [`std`](Self::std), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn std_keep(&self, axes: impl Axes, correction: usize) -> Self {
        let axes = axes.resolve_all("std", self.rank()).or_panic();
        let count: usize = axes.iter().map(|&a| self.shape[a]).product();
        (self - &self.mean_keep(&axes)).norm_keep(&axes) / (count.saturating_sub(correction) as f64).sqrt()
    }
}
