//! Enlarging and shrinking by interpolation.

use crate::layer::{Layer, Mode};
use crate::refuse::refuse;
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, OrPanic, Shape, Taps, Tensor};

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
/// nearest pixel, or linear along each axis (bilinear, trilinear). The pixels' places are PyTorch's, but as exact numbers: 120/88
/// times 88 pixels are 120, and enlarged 49 times, pixel 49 shows pixel 1. A pixel that is NaN or infinite reaches those that lie next
/// to it, and no other.
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
    /// To `scale` times the size along each axis, rounded down, by the nearest pixel. A product that is whole but for the rounding of
    /// the scale is whole.
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

    /// How each axis is enlarged.
    #[track_caller]
    fn axes(&self, input: &[usize]) -> Vec<Along> {
        if !(3..=5).contains(&input.len()) {
            let expected = "[N, C, L], [N, C, H, W] or [N, C, D, H, W]";
            refuse("Upsample", format!("expected input {expected}, got {input:?}"))
        }
        let axes: Vec<Along> = match &self.target {
            Target::Scale(scale) => input[2..].iter().map(|&from| Along::scaled(from, *scale)).collect(),
            Target::Size(size) if size.len() + 2 == input.len() => {
                size.iter().zip(&input[2..]).map(|(&to, &from)| Along { from, to, scale: None }).collect()
            }
            Target::Size(size) => {
                refuse("Upsample", format!("expected input of {} axes for size {size:?}, got {input:?}", size.len() + 2))
            }
        };
        if axes.iter().any(|a| a.from == 0 || a.to == 0) {
            let sizes: Vec<usize> = axes.iter().map(|a| a.to).collect();
            refuse("Upsample", format!("expected 1 or more along each axis, got input {input:?} to size {sizes:?}"))
        }
        input[..2].iter().copied().chain(axes.iter().map(|a| a.to)).collect::<Shape>().checked("Upsample").or_panic();
        axes
    }
}

/// From how many pixels to how many along an axis, and by which scale if it was given.
#[derive(Clone, Copy, Debug)]
struct Along {
    from: usize,
    to: usize,
    scale: Option<f64>,
}

/// A place along an axis: a pixel, and how far it is from there to the next.
type Place = (usize, f64);

impl Along {
    fn scaled(from: usize, scale: f64) -> Self {
        Self { from, to: settled(from as f64 * scale).0, scale: Some(scale) }
    }

    fn is_identity(self) -> bool {
        self.from == self.to && self.scale.is_none_or(|scale| scale == 1.0)
    }

    /// The pixel that pixel `i` of the output shows.
    fn nearest(self, i: usize) -> usize {
        let (at, _) = match self.scale {
            Some(scale) => settled(i as f64 / scale),
            None => fraction(i as i128 * self.from as i128, self.to as i128),
        };
        at.min(self.from - 1)
    }

    /// Where pixel `i` of the output lies in the input.
    fn place(self, i: usize, align_corners: bool) -> Place {
        let [i, from, to] = [i, self.from, self.to].map(|n| n as i128);
        match self.scale {
            _ if align_corners => fraction(i * (from - 1), (to - 1).max(1)),
            Some(scale) => settled((i as f64 + 0.5) / scale - 0.5),
            None => fraction((2 * i + 1) * from - to, 2 * to),
        }
    }

    /// Which pixels each pixel of the output lies between, and how near.
    #[track_caller]
    fn linear<T: Float>(self, align_corners: bool) -> Taps<T> {
        let last = self.from - 1;
        let row = |i| match self.place(i, align_corners) {
            (low, share) if low < last => vec![(low, T::lit(1.0 - share)), (low + 1, T::lit(share))],
            _ => vec![(last, T::one())],
        };
        Taps::new(self.from, (0..self.to).map(row))
    }
}

/// The place `above / below`, 0 if it is negative.
fn fraction(above: i128, below: i128) -> Place {
    let above = above.max(0);
    ((above / below) as usize, (above % below) as f64 / below as f64)
}

/// A place, 0 if it is negative, and a whole number if it is one but for the rounding of what it was computed from.
fn settled(at: f64) -> Place {
    let near = at.round();
    let at = if (at - near).abs() <= 1e-12 * at.abs().max(1.0) { near } else { at }.max(0.0);
    (at as usize, at.fract())
}

#[compiled_once]
impl<T: Float> Layer<T> for Upsample {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        let mut y = x.clone();
        for (a, along) in self.axes(x.shape()).into_iter().enumerate().filter(|(_, along)| !along.is_identity()) {
            y = match self.interpolation {
                Interpolation::Nearest => y.index_select(a + 2, &Tensor::from_fn([along.to], |i| along.nearest(i[0]) as i64)),
                Interpolation::Linear { align_corners } => y.weighted_sums(a + 2, &along.linear(align_corners)),
            };
        }
        y
    }
}
