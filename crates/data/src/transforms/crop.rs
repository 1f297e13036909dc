//! Windows cut out of pictures.

use super::{Transform, by_rows, sizes, up_to, wanted};
use crate::error::DataError;
use gradus_tensor::{Rng, Tensor};

/// The window of `size` `[H, W]` whose first row and column are `top` and `left`.
///
/// # Errors
/// When the window does not lie within the picture, or has a size of 0.
///
/// ```
/// use gradus_data::transforms::crop;
/// use gradus_tensor::Tensor;
/// let picture = Tensor::from([[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]]);
/// assert_eq!(crop(&picture, [0, 1], [2, 2])?, Tensor::from([[[2.0, 3.0], [5.0, 6.0]]]));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub fn crop(picture: &Tensor<f32>, [top, left]: [usize; 2], size: [usize; 2]) -> Result<Tensor<f32>, DataError> {
    let [_, h, w] = sizes("crop", picture)?;
    let [rows, columns] = wanted("crop", size)?;
    if top.checked_add(rows).is_none_or(|end| end > h) || left.checked_add(columns).is_none_or(|end| end > w) {
        let reason = format!("crop: {rows} x {columns} from row {top} and column {left} of a picture of {h} x {w}");
        return Err(DataError::new(reason));
    }
    Ok(picture.slice(1, top..top + rows).slice(2, left..left + columns).contiguous())
}

/// A window at a random place, with a margin around the picture first if one is asked for.
///
/// ```
/// use gradus_data::transforms::{RandomCrop, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let moved = RandomCrop::new([32, 32]).padding(4).apply(Tensor::ones([3, 32, 32]), &mut Rng::seed(0))?;
/// assert_eq!(*moved.shape(), [3, 32, 32]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RandomCrop {
    size: [usize; 2],
    padding: usize,
    fill: f32,
}

impl RandomCrop {
    /// A window of `size` `[H, W]`, every place as likely.
    pub fn new(size: [usize; 2]) -> Self {
        Self { size, padding: 0, fill: 0.0 }
    }

    /// So many pixels are added on every side first.
    #[must_use]
    pub fn padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// What the margin is filled with; 0, which is black, unless set.
    #[must_use]
    pub fn fill(self, fill: f32) -> Self {
        Self { fill, ..self }
    }
}

impl Transform for RandomCrop {
    fn apply(&self, picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError> {
        let ([c, h, w], [rows, columns], pad) =
            (sizes("random crop", &picture)?, wanted("random crop", self.size)?, self.padding);
        let room = |side: usize, part: usize| side.saturating_add(pad.saturating_mul(2)).checked_sub(part);
        let (Some(down), Some(right)) = (room(h, rows), room(w, columns)) else {
            let reason = format!("random crop: {rows} x {columns} of a picture of {h} x {w} with a margin of {pad}");
            return Err(DataError::new(reason));
        };
        let (top, left) = (up_to(down, rng), up_to(right, rng));
        if pad == 0 {
            return crop(&picture, [top, left], self.size);
        }
        let whole = picture.contiguous();
        let from = whole.as_slice().expect("contiguous");
        // Within the margin's coordinates, the picture is rows pad..pad + h and columns pad..pad + w.
        let (first, last) = (pad.max(left), (pad + w).min(left + columns));
        Ok(by_rows([c, rows, columns], |channel, row, out| {
            out.fill(self.fill);
            let y = top + row;
            if (pad..pad + h).contains(&y) && first < last {
                let start = (channel * h + y - pad) * w;
                out[first - left..last - left].copy_from_slice(&from[start + first - pad..start + last - pad]);
            }
        }))
    }
}

/// The window in the middle; where a side leaves an odd rest, it is rounded as torchvision does.
///
/// ```
/// use gradus_data::transforms::{CenterCrop, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let middle = CenterCrop::new([1, 1]).apply(Tensor::from([[[1.0f32, 2.0, 3.0]]]), &mut Rng::seed(0))?;
/// assert_eq!(middle, Tensor::from([[[2.0]]]));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CenterCrop {
    size: [usize; 2],
}

impl CenterCrop {
    /// A window of `size` `[H, W]`.
    pub fn new(size: [usize; 2]) -> Self {
        Self { size }
    }
}

impl Transform for CenterCrop {
    fn apply(&self, picture: Tensor<f32>, _: &mut Rng) -> Result<Tensor<f32>, DataError> {
        let [_, h, w] = sizes("centre crop", &picture)?;
        let [rows, columns] = self.size;
        if rows > h || columns > w {
            return Err(DataError::new(format!("centre crop: {rows} x {columns} of a picture of {h} x {w}; resize it before")));
        }
        // Python's round: half to even.
        let start = |side: usize, part: usize| ((side - part) as f64 / 2.0).round_ties_even() as usize;
        crop(&picture, [start(h, rows), start(w, columns)], self.size)
    }
}
