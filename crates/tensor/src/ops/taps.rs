//! Weighted sums of a few elements along an axis: interpolation, and means over regions.

use crate::compiled_once::compiled_once;
use crate::element::Element;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::parallel::{Parts, chunks_mut};
use crate::shape::Axis;
use crate::tensor::Tensor;

/// Outputs below which a second thread does not pay.
const SERIAL: usize = 1 << 16;

/// A matrix of mostly zeros, by rows: of which inputs each output is a sum, and with which weights.
///
/// A product with such a matrix must not read what has the weight 0: there `0 · NaN` would be NaN.
///
/// ```
/// use gradus_tensor::{Taps, Tensor};
/// // Each output lies between two inputs; the last is an input itself.
/// let taps = Taps::new(3, [vec![(0, 0.5), (1, 0.5)], vec![(1, 0.5), (2, 0.5)], vec![(2, 1.0)]]);
/// let y = Tensor::from([f64::NAN, 2.0, 4.0]).weighted_sums(0, &taps);
/// assert!(y.at([0]).is_nan());
/// assert_eq!(y.slice(0, 1..).to_vec(), [3.0, 4.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Taps<T> {
    inputs: usize,
    /// Row `i` is `taps[starts[i]..starts[i + 1]]`.
    starts: Vec<usize>,
    taps: Vec<(usize, T)>,
}

#[compiled_once]
impl<T: Float> Taps<T> {
    /// The inputs and weights of each output. Weights of 0 are left out.
    ///
    /// # Panics
    /// When an input is outside `0..inputs`, or there is no memory for so many outputs.
    #[track_caller]
    pub fn new(inputs: usize, rows: impl IntoIterator<Item = Vec<(usize, T)>>) -> Self {
        let (mut starts, mut taps) = (vec![0], Vec::new());
        let rows = rows.into_iter();
        let outputs = rows.size_hint().0;
        if starts.try_reserve_exact(outputs).is_err() {
            Err(ShapeError::new("taps", format!("no memory for rows of {outputs} outputs"))).or_panic()
        }
        for row in rows {
            taps.extend(row.into_iter().filter(|(_, weight)| *weight != T::zero()));
            starts.push(taps.len());
        }
        if let Some((input, _)) = taps.iter().find(|(input, _)| *input >= inputs) {
            Err(ShapeError::new("taps", format!("input {input} of {inputs}"))).or_panic()
        }
        Self { inputs, starts, taps }
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.starts.len() - 1
    }

    /// The transposed matrix: the outputs that each input is a part of.
    ///
    /// # Panics
    /// When there is no memory for a row of each input.
    #[must_use]
    #[track_caller]
    pub fn transposed(&self) -> Self {
        let mut rows: Vec<Vec<(usize, T)>> = vec![];
        if rows.try_reserve_exact(self.inputs).is_err() {
            Err(ShapeError::new("taps", format!("no memory for rows of {} inputs", self.inputs))).or_panic()
        }
        rows.resize_with(self.inputs, Vec::new);
        for i in 0..self.outputs() {
            for &(input, weight) in self.row(i) {
                rows[input].push((i, weight));
            }
        }
        Self::new(self.outputs(), rows)
    }

    fn row(&self, i: usize) -> &[(usize, T)] {
        &self.taps[self.starts[i]..self.starts[i + 1]]
    }
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// `y[.., i, ..] = Σ weight · x[.., input, ..]` along one axis, over the taps of output `i`.
    ///
    /// # Panics
    /// When the axis has not as many elements as the taps have inputs.
    #[track_caller]
    pub fn weighted_sums(&self, axis: impl Axis, taps: &Taps<T>) -> Self {
        let axis = axis.resolve("weighted_sums", self.rank()).or_panic();
        if self.shape[axis] != taps.inputs {
            let detail = format!("axis {axis} of shape {}; expected {} elements", self.shape, taps.inputs);
            Err(ShapeError::new("weighted_sums", detail)).or_panic()
        }
        let mut shape = self.shape.clone();
        shape[axis] = taps.outputs();
        let (n, m, inner) = (taps.inputs, taps.outputs(), shape[axis + 1..].iter().product::<usize>());
        let x = self.contiguous();
        let x = x.as_slice().expect("contiguous");
        Self::build_for("weighted_sums", shape, |out| {
            if out.is_empty() {
                return;
            }
            // Planes of one column are rows of outputs; of several, an output is a row.
            let columns = inner == 1;
            let width = if columns { m } else { inner };
            let row = |r: usize, out: &mut [T]| {
                if columns {
                    let x = &x[r * n..][..n];
                    out.iter_mut().enumerate().for_each(|(i, y)| *y = dot(taps.row(i), x));
                } else {
                    add_rows(taps.row(r % m), &x[r / m * n * inner..][..n * inner], out);
                }
            };
            if out.len() < SERIAL {
                out.chunks_exact_mut(width).enumerate().for_each(|(r, out)| row(r, out));
            } else {
                chunks_mut(out, width).each_at_least(SERIAL / 4 / width, row);
            }
        })
    }
}

fn dot<T: Float>(taps: &[(usize, T)], x: &[T]) -> T {
    match taps {
        [] => T::zero(),
        [first, rest @ ..] => rest.iter().fold(first.1 * x[first.0], |sum, &(i, weight)| sum + weight * x[i]),
    }
}

fn add_rows<T: Float + Element>(taps: &[(usize, T)], x: &[T], out: &mut [T]) {
    let n = out.len();
    let Some((&(first, weight), rest)) = taps.split_first() else { return out.fill(T::zero()) };
    out.iter_mut().zip(&x[first * n..]).for_each(|(y, &x)| *y = weight * x);
    for &(i, weight) in rest {
        out.iter_mut().zip(&x[i * n..]).for_each(|(y, &x)| *y += weight * x);
    }
}
