//! Pictures made larger or smaller.
//!
//! Bilinear with antialiasing, as torchvision does it by default: a triangle as wide as the step between output pixels,
//! or as the step between input pixels if that is wider, laid over the input and normalised to sum 1; along rows, then
//! along columns.

use super::crop::crop;
use super::{Transform, between, sizes, up_to, wanted};
use crate::error::DataError;
use gradus_tensor::{Rng, Tensor};

/// Which inputs an output is made of: the first one, and the weights of it and those after.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// The taps of each of `to` outputs along a side of `from` inputs; only those that have a weight.
///
/// In units of `1 / 2to` of an input pixel, all places are whole numbers: output `i` is at `(2i + 1) from`, input `j` at `(2j + 1) to`,
/// and the triangle reaches `2 max(from, to)` to either side.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let [from, to] = [from, to].map(|n| n as i128);
    let reach = 2 * from.max(to);
    let of = |i: i128| {
        let center = (2 * i + 1) * from;
        let first = ((center - reach - to).div_euclid(2 * to) + 1).max(0);
        let end = (-(to - center - reach).div_euclid(2 * to)).min(from);
        let weight = |j: i128| 1.0 - ((2 * j + 1) * to - center).abs() as f64 / reach as f64;
        let total: f64 = (first..end).map(weight).sum();
        Taps { first: first as usize, weights: (first..end).map(|j| (weight(j) / total) as f32).collect() }
    };
    (0..to).map(of).collect()
}

/// The picture in `size` `[H, W]`; proportions are not kept.
///
/// # Errors
/// When a size is 0.
///
/// ```
/// use gradus_data::transforms::resize;
/// use gradus_tensor::Tensor;
/// let picture = Tensor::from([[[0.0f32, 1.0, 0.0, 1.0]]]);
/// let half = resize(&picture, [1, 2])?;
/// assert_eq!(half, Tensor::from([[[3.0 / 7.0, 4.0 / 7.0]]]));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub fn resize(picture: &Tensor<f32>, size: [usize; 2]) -> Result<Tensor<f32>, DataError> {
    let [c, h, w] = sizes("resize", picture)?;
    let [rows, columns] = wanted("resize", size)?;
    let mut picture = picture.contiguous();
    if columns != w {
        let (along, from) = (taps(w, columns), picture.as_slice().expect("contiguous"));
        picture = Tensor::build([c, h, columns], |out| {
            for (out, from) in out.chunks_exact_mut(columns).zip(from.chunks_exact(w)) {
                for (to, t) in out.iter_mut().zip(&along) {
                    *to = t.weights.iter().zip(&from[t.first..]).map(|(a, b)| a * b).sum();
                }
            }
        });
    }
    if rows != h {
        let (along, from) = (taps(h, rows), picture.as_slice().expect("contiguous"));
        picture = Tensor::build([c, rows, columns], |out| {
            for (i, out) in out.chunks_exact_mut(columns).enumerate() {
                let (channel, t) = (i / rows, &along[i % rows]);
                out.fill(0.0);
                let lines = from[(channel * h + t.first) * columns..].chunks_exact(columns);
                for (line, weight) in lines.zip(&t.weights) {
                    out.iter_mut().zip(line).for_each(|(to, v)| *to += weight * v);
                }
            }
        });
    }
    Ok(picture)
}

/// A picture in another size.
///
/// ```
/// use gradus_data::transforms::{Resize, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// assert_eq!(*Resize::new([224, 224]).apply(Tensor::zeros([3, 40, 60]), rng)?.shape(), [3, 224, 224]);
/// assert_eq!(*Resize::shorter_side(20).apply(Tensor::zeros([3, 40, 60]), rng)?.shape(), [3, 20, 30]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[doc(alias = "Resizing")]
#[derive(Clone, Copy, Debug)]
pub struct Resize(To);

#[derive(Clone, Copy, Debug)]
enum To {
    Size([usize; 2]),
    ShorterSide(usize),
}

impl Resize {
    /// To `size` `[H, W]`; proportions are not kept.
    pub fn new(size: [usize; 2]) -> Self {
        Self(To::Size(size))
    }

    /// So that the shorter side has `side` pixels, and the longer one in proportion, rounded down.
    pub fn shorter_side(side: usize) -> Self {
        Self(To::ShorterSide(side))
    }
}

impl Transform for Resize {
    fn apply(&self, picture: Tensor<f32>, _: &mut Rng) -> Result<Tensor<f32>, DataError> {
        let [_, h, w] = sizes("resize", &picture)?;
        match self.0 {
            To::Size(size) => resize(&picture, size),
            To::ShorterSide(n) if h <= w => resize(&picture, [n, n.saturating_mul(w) / h]),
            To::ShorterSide(n) => resize(&picture, [n.saturating_mul(h) / w, n]),
        }
    }
}

/// A window of random area and proportions at a random place, resized (Szegedy et al. 2015): what networks are commonly
/// trained with on ImageNet.
///
/// The window has from 0.08 to 1 of the picture's area, and is from 3/4 to 4/3 times as wide as high. If ten draws do not
/// fit into the picture, the window is the largest in the middle whose proportions are within the range.
///
/// ```
/// use gradus_data::transforms::{RandomResizedCrop, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let transform = RandomResizedCrop::new([24, 24]).scale(0.5, 1.0);
/// assert_eq!(*transform.apply(Tensor::zeros([3, 32, 32]), &mut Rng::seed(0))?.shape(), [3, 24, 24]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[doc(alias = "RandomZoom")]
#[derive(Clone, Copy, Debug)]
pub struct RandomResizedCrop {
    size: [usize; 2],
    scale: (f64, f64),
    ratio: (f64, f64),
}

impl RandomResizedCrop {
    /// To `size` `[H, W]`.
    pub fn new(size: [usize; 2]) -> Self {
        Self { size, scale: (0.08, 1.0), ratio: (3.0 / 4.0, 4.0 / 3.0) }
    }

    /// The window's share of the picture's area.
    ///
    /// # Panics
    /// Unless `0 < low <= high <= 1`.
    #[must_use]
    #[track_caller]
    pub fn scale(self, low: f64, high: f64) -> Self {
        assert!(
            0.0 < low && low <= high && high <= 1.0,
            "random resized crop: scale {low} to {high}; wanted 0 < low <= high <= 1"
        );
        Self { scale: (low, high), ..self }
    }

    /// The window's width divided by its height, before it is resized.
    ///
    /// # Panics
    /// Unless `0 < low <= high`.
    #[must_use]
    #[track_caller]
    pub fn ratio(self, low: f64, high: f64) -> Self {
        assert!(
            0.0 < low && low <= high && high.is_finite(),
            "random resized crop: ratio {low} to {high}; wanted 0 < low <= high"
        );
        Self { ratio: (low, high), ..self }
    }

    /// Corner and size of the window in a picture of `h` x `w`.
    fn window(&self, h: usize, w: usize, rng: &mut Rng) -> ([usize; 2], [usize; 2]) {
        let ((low, high), (height, width)) = (self.ratio, (h as f64, w as f64));
        for _ in 0..10 {
            let area = height * width * between(self.scale.0, self.scale.1, rng);
            let ratio = libm::exp(between(libm::log(low), libm::log(high), rng));
            let (rows, columns) = ((area / ratio).sqrt().round_ties_even(), (area * ratio).sqrt().round_ties_even());
            if (1.0..=height).contains(&rows) && (1.0..=width).contains(&columns) {
                let (rows, columns) = (rows as usize, columns as usize);
                return ([up_to(h - rows, rng), up_to(w - columns, rng)], [rows, columns]);
            }
        }
        let (rows, columns) = match width / height {
            r if r < low => ((width / low).round_ties_even() as usize, w),
            r if r > high => (h, (height * high).round_ties_even() as usize),
            _ => (h, w),
        };
        let (rows, columns) = (rows.clamp(1, h), columns.clamp(1, w));
        ([(h - rows) / 2, (w - columns) / 2], [rows, columns])
    }
}

impl Transform for RandomResizedCrop {
    fn apply(&self, picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError> {
        let [_, h, w] = sizes("random resized crop", &picture)?;
        let (corner, size) = self.window(h, w, rng);
        resize(&crop(&picture, corner, size)?, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::taps;

    #[test]
    fn taps_are_where_the_triangle_is_above_zero() {
        for from in 1..20usize {
            for to in 1..20usize {
                let (scale, reach) = (from as f64 / to as f64, (from as f64 / to as f64).max(1.0));
                for (i, tap) in taps(from, to).into_iter().enumerate() {
                    let height = |j: usize| 1.0 - ((j as f64 + 0.5 - scale * (i as f64 + 0.5)) / reach).abs();
                    let total: f64 = (0..from).map(|j| height(j).max(0.0)).sum();
                    for j in 0..from {
                        let weight = j.checked_sub(tap.first).and_then(|k| tap.weights.get(k)).copied();
                        let wanted = height(j) / total;
                        assert!((f64::from(weight.unwrap_or(0.0)) - wanted.max(0.0)).abs() < 1e-6, "{from} to {to}, {i} and {j}");
                        assert!(weight != Some(0.0) && (weight.is_some() || wanted < 1e-12), "{from} to {to}, {i} and {j}");
                    }
                }
            }
        }
    }
}
