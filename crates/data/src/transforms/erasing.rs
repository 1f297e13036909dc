//! Parts of pictures blotted out, so that a network does not rely on any one of them.

use super::{Transform, between, probability, sizes, up_to};
use crate::error::DataError;
use gradus_tensor::{Rng, Tensor};
use std::ops::Range;

fn erase(picture: &mut Tensor<f32>, [_, h, w]: [usize; 3], rows: Range<usize>, columns: Range<usize>, value: f32) {
    for (i, line) in picture.as_mut_slice().chunks_exact_mut(w).enumerate() {
        if rows.contains(&(i % h)) {
            line[columns.clone()].fill(value);
        }
    }
}

/// A rectangle of random area and proportions at a random place is filled with one value (Zhong et al. 2017).
///
/// It has from 0.02 to 0.33 of the picture's area, and is from 0.3 to 3.3 times as wide as high; if ten draws do not fit into
/// the picture, it stays whole. Put it behind [`Normalize`](super::Normalize) to fill with the mean.
///
/// ```
/// use gradus_data::transforms::{RandomErasing, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let erased = RandomErasing::new(1.0).apply(Tensor::ones([1, 20, 20]), &mut Rng::seed(0))?;
/// let gone = 400.0 - erased.sum(..).item();
/// assert!((0.015..0.35).contains(&(gone / 400.0)));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RandomErasing {
    p: f64,
    scale: (f64, f64),
    ratio: (f64, f64),
    value: f32,
}

impl RandomErasing {
    /// With probability `p`; torchvision takes 0.5.
    ///
    /// # Panics
    /// When `p` is not from 0 to 1.
    #[track_caller]
    pub fn new(p: f64) -> Self {
        Self { p: probability("random erasing", p), scale: (0.02, 0.33), ratio: (0.3, 3.3), value: 0.0 }
    }

    /// The rectangle's share of the picture's area.
    ///
    /// # Panics
    /// Unless `0 < low <= high <= 1`.
    #[must_use]
    #[track_caller]
    pub fn scale(self, low: f64, high: f64) -> Self {
        assert!(0.0 < low && low <= high && high <= 1.0, "random erasing: scale {low} to {high}; wanted 0 < low <= high <= 1");
        Self { scale: (low, high), ..self }
    }

    /// What the rectangle is filled with; 0 unless set.
    #[must_use]
    pub fn value(self, value: f32) -> Self {
        Self { value, ..self }
    }
}

impl Transform for RandomErasing {
    fn apply(&self, mut picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError> {
        let [c, h, w] = sizes("random erasing", &picture)?;
        if rng.uniform() >= self.p {
            return Ok(picture);
        }
        for _ in 0..10 {
            let area = (h * w) as f64 * between(self.scale.0, self.scale.1, rng);
            let ratio = libm::exp(between(libm::log(self.ratio.0), libm::log(self.ratio.1), rng));
            let (rows, columns) = ((area / ratio).sqrt().round_ties_even(), (area * ratio).sqrt().round_ties_even());
            if rows < h as f64 && columns < w as f64 {
                let (rows, columns) = (rows as usize, columns as usize);
                let (top, left) = (up_to(h - rows, rng), up_to(w - columns, rng));
                erase(&mut picture, [c, h, w], top..top + rows, left..left + columns, self.value);
                break;
            }
        }
        Ok(picture)
    }
}

/// A square whose middle is any pixel of the picture is filled with one value; what lies outside is cut off (DeVries and
/// Taylor 2017).
///
/// ```
/// use gradus_data::transforms::{Cutout, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let cut = Cutout::new(2).apply(Tensor::ones([1, 8, 8]), &mut Rng::seed(0))?;
/// assert!([60.0, 62.0, 63.0].contains(&cut.sum(..).item()));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cutout {
    length: usize,
    value: f32,
}

impl Cutout {
    /// A square of `length` x `length` pixels; the paper takes 16 for CIFAR-10.
    pub fn new(length: usize) -> Self {
        Self { length, value: 0.0 }
    }

    /// What the square is filled with; 0 unless set.
    #[must_use]
    pub fn value(self, value: f32) -> Self {
        Self { value, ..self }
    }
}

impl Transform for Cutout {
    fn apply(&self, mut picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError> {
        let [c, h, w] = sizes("cutout", &picture)?;
        let mut range = |side: usize| {
            let middle = rng.below(side);
            let start = middle.saturating_sub(self.length / 2);
            start..(middle.saturating_add(self.length - self.length / 2)).min(side)
        };
        let (rows, columns) = (range(h), range(w));
        erase(&mut picture, [c, h, w], rows, columns, self.value);
        Ok(picture)
    }
}
