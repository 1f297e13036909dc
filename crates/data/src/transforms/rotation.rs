//! Pictures turned about their middle.

use super::{Transform, between, by_rows, sizes};
use crate::error::DataError;
use gradus_tensor::{Rng, Tensor};

/// How a value between pixels is found.
#[doc(alias = "InterpolationMode")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest pixel's value.
    #[default]
    Nearest,
    /// The mean of the four pixels around, weighted by nearness.
    Bilinear,
}

/// The picture turned counter-clockwise about its middle by `degrees`, in the same size; what was outside is `fill`.
///
/// Output pixel `(x, y)` from the middle takes the value at `(x cos θ - y sin θ, x sin θ + y cos θ)` of the picture.
///
/// ```
/// use gradus_data::transforms::{Interpolation, rotate};
/// use gradus_tensor::Tensor;
/// let picture = Tensor::from([[[1.0f32, 2.0], [3.0, 4.0]]]);
/// assert_eq!(rotate(&picture, 90.0, Interpolation::Nearest, 0.0)?, Tensor::from([[[2.0, 4.0], [1.0, 3.0]]]));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
///
/// # Errors
/// When the picture is not `[C, H, W]`, or the angle is not finite.
pub fn rotate(picture: &Tensor<f32>, degrees: f64, interpolation: Interpolation, fill: f32) -> Result<Tensor<f32>, DataError> {
    let [c, h, w] = sizes("rotate", picture)?;
    if !degrees.is_finite() {
        return Err(DataError::new(format!("rotate: an angle of {degrees}; wanted a finite number of degrees")));
    }
    let whole = picture.contiguous();
    let from = whole.as_slice().expect("contiguous");
    let (sin, cos) = libm::sincos(degrees.to_radians());
    let (middle_x, middle_y) = (w as f64 / 2.0 - 0.5, h as f64 / 2.0 - 0.5);
    Ok(by_rows([c, h, w], |channel, row, out| {
        let plane = Plane { values: &from[channel * h * w..][..h * w], h, w, fill };
        let y = row as f64 - middle_y;
        for (column, to) in out.iter_mut().enumerate() {
            let x = column as f64 - middle_x;
            let (x, y) = (x * cos - y * sin + middle_x, x * sin + y * cos + middle_y);
            *to = match interpolation {
                Interpolation::Nearest => plane.nearest(x, y),
                Interpolation::Bilinear => plane.bilinear(x, y),
            };
        }
    }))
}

/// One channel, and what lies around it.
struct Plane<'a> {
    values: &'a [f32],
    h: usize,
    w: usize,
    fill: f32,
}

impl Plane<'_> {
    fn at(&self, x: f64, y: f64) -> f32 {
        let inside = x >= 0.0 && y >= 0.0 && x < self.w as f64 && y < self.h as f64;
        if inside { self.values[y as usize * self.w + x as usize] } else { self.fill }
    }

    fn nearest(&self, x: f64, y: f64) -> f32 {
        self.at(settle(x).round_ties_even(), settle(y).round_ties_even())
    }

    fn bilinear(&self, x: f64, y: f64) -> f32 {
        let (x, y) = (settle(x), settle(y));
        let (left, top) = (x.floor(), y.floor());
        let (right, down) = ((x - left) as f32, (y - top) as f32);
        let above = between_two(self.at(left, top), self.at(left + 1.0, top), right);
        let below = between_two(self.at(left, top + 1.0), self.at(left + 1.0, top + 1.0), right);
        between_two(above, below, down)
    }
}

/// A quarter turn ends on pixels but for rounding, which must not decide.
fn settle(v: f64) -> f64 {
    (v * 1e6).round_ties_even() / 1e6
}

/// From `a` to `b`; at `a` itself, `b` is not read.
fn between_two(a: f32, b: f32, share: f32) -> f32 {
    if share == 0.0 { a } else { a * (1.0 - share) + b * share }
}

/// Turns a picture by a random angle.
///
/// ```
/// use gradus_data::transforms::{Interpolation, RandomRotation, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let tilt = RandomRotation::new(-15.0, 15.0).interpolation(Interpolation::Bilinear);
/// assert_eq!(*tilt.apply(Tensor::zeros([3, 5, 4]), &mut Rng::seed(0))?.shape(), [3, 5, 4]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RandomRotation {
    degrees: (f64, f64),
    interpolation: Interpolation,
    fill: f32,
}

impl RandomRotation {
    /// By an angle from `low` to `high` degrees counter-clockwise; by the nearest pixel.
    ///
    /// # Panics
    /// When `low` is above `high`, or one is not finite.
    #[track_caller]
    pub fn new(low: f64, high: f64) -> Self {
        assert!(
            low <= high && low.is_finite() && high.is_finite(),
            "random rotation: {low} to {high} degrees; wanted low <= high"
        );
        Self { degrees: (low, high), interpolation: Interpolation::Nearest, fill: 0.0 }
    }

    /// How values between pixels are found.
    #[must_use]
    pub fn interpolation(self, interpolation: Interpolation) -> Self {
        Self { interpolation, ..self }
    }

    /// What was outside the picture; 0, which is black, unless set.
    #[must_use]
    pub fn fill(self, fill: f32) -> Self {
        Self { fill, ..self }
    }
}

impl Transform for RandomRotation {
    fn apply(&self, picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError> {
        rotate(&picture, between(self.degrees.0, self.degrees.1, rng), self.interpolation, self.fill)
    }
}
