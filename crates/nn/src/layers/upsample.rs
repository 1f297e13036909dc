//! Enlarging and shrinking by interpolation.

use super::along::product_along;
use crate::layer::{Layer, Mode};
use crate::refuse::refuse;
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::{Float, Tensor};

/// What lies between the pixels that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interpolation {
    Nearest,
    Linear { align_corners: bool },
}

/// The wanted size.
#[derive(Clone, Debug)]
enum Target {
    Scale(f64),
    Size(Vec<usize>),
}

/// Another size of sequences `[N, C, L]`, pictures `[N, C, H, W]` or volumes `[N, C, D, H, W]`, by interpolation: by the
/// nearest pixel, or linear along each axis (bilinear, trilinear). The pixels' places are PyTorch's.
///
/// ```
/// use gradus_nn::{Layer, Mode, Upsample};
/// use gradus_tensor::Tensor;
/// let x = Tensor::from([[[[1.0f32, 2.0]]]]).into();
/// let y = Upsample::new(2.0).forward(&x, &mut Mode::Eval);
/// assert_eq!(*y.value(), Tensor::from([[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]));
/// let y = Upsample::to([1, 3]).linear(true).forward(&x, &mut Mode::Eval);
/// assert_eq!(*y.value(), Tensor::from([[[[1.0, 1.5, 2.0]]]]));
/// ```
///
/// # Panics
/// On the forward pass, when the input has other axes than the size, or the output would be empty.
#[doc(alias("UpSampling2D", "interpolate", "resize"))]
#[derive(Clone, Debug, Module)]
pub struct Upsample {
    #[module(skip)]
    target: Target,
    #[module(skip)]
    interpolation: Interpolation,
}

impl Upsample {
    /// To `scale` times the size along each axis, rounded down, by the nearest pixel.
    ///
    /// # Panics
    /// When `scale` is not finite or not above 0.
    #[track_caller]
    pub fn new(scale: f64) -> Self {
        assert!(scale.is_finite() && scale > 0.0, "upsample: the scale is {scale}; wanted a number above 0");
        Self { target: Target::Scale(scale), interpolation: Interpolation::Nearest }
    }

    /// To this size: one number for each axis after samples and channels. By the nearest pixel.
    pub fn to(size: impl Into<Vec<usize>>) -> Self {
        Self { target: Target::Size(size.into()), interpolation: Interpolation::Nearest }
    }

    /// With linear interpolation along each axis. With `align_corners`, the outermost pixels' centres stay where they are;
    /// otherwise the pictures' edges do, as is usual.
    #[must_use]
    pub fn linear(self, align_corners: bool) -> Self {
        Self { interpolation: Interpolation::Linear { align_corners }, ..self }
    }

    /// The size along each axis, and how many pixels of the input lie to one of the output.
    #[track_caller]
    fn sizes(&self, input: &[usize]) -> Vec<(usize, f64)> {
        if !(3..=5).contains(&input.len()) {
            let expected = "[N, C, L], [N, C, H, W] or [N, C, D, H, W]";
            refuse("Upsample", format!("expected input {expected}, got {input:?}"))
        }
        let sizes: Vec<(usize, f64)> = match &self.target {
            Target::Scale(scale) => input[2..].iter().map(|&n| ((n as f64 * scale) as usize, 1.0 / scale)).collect(),
            Target::Size(size) if size.len() + 2 == input.len() => {
                size.iter().zip(&input[2..]).map(|(&size, &n)| (size, n as f64 / size as f64)).collect()
            }
            Target::Size(size) => {
                refuse("Upsample", format!("expected input of {} axes for size {size:?}, got {input:?}", size.len() + 2))
            }
        };
        if input[2..].contains(&0) || sizes.iter().any(|(size, _)| *size == 0) {
            let sizes: Vec<usize> = sizes.iter().map(|(size, _)| *size).collect();
            refuse("Upsample", format!("expected 1 or more along each axis, got input {input:?} to size {sizes:?}"))
        }
        sizes
    }
}

/// The matrix `[size, from]` of linear interpolation along an axis.
fn linear<T: Float>(from: usize, size: usize, step: f64, align_corners: bool) -> Tensor<T> {
    let step = match align_corners {
        true if size > 1 => (from - 1) as f64 / (size - 1) as f64,
        true => 0.0,
        false => step,
    };
    let mut weights = vec![T::zero(); size * from];
    for (i, row) in weights.chunks_exact_mut(from).enumerate() {
        let at = if align_corners { i as f64 * step } else { ((i as f64 + 0.5) * step - 0.5).max(0.0) };
        let low = (at as usize).min(from - 1);
        let share = (at - low as f64).min(1.0);
        row[low] += T::lit(1.0 - share);
        row[(low + 1).min(from - 1)] += T::lit(share);
    }
    Tensor::from_vec(weights, [size, from])
}

impl<T: Float> Layer<T> for Upsample {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        let mut y = x.clone();
        for (a, (size, step)) in self.sizes(x.shape()).into_iter().enumerate() {
            let from = x.shape()[a + 2];
            y = match self.interpolation {
                _ if size == from && step == 1.0 => y,
                Interpolation::Nearest => {
                    let nearest = |i: usize| ((i as f64 * step) as i64).min(from as i64 - 1);
                    y.index_select(a + 2, &Tensor::from_vec((0..size).map(nearest).collect(), [size]))
                }
                Interpolation::Linear { align_corners } => product_along(&y, a + 2, &linear(from, size, step, align_corners)),
            };
        }
        y
    }
}
