//! Tensors from nothing: constants, ranges, arrays.

use crate::compiled_once::compiled_once;
use crate::element::{Element, Num};
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::shape::Shape;
use crate::tensor::Tensor;

#[compiled_once]
impl<T: Element> Tensor<T> {
    /// Every element `value`; one stored element, broadcast, so that it costs no memory.
    ///
    /// # Panics
    /// When the shape is too large for a tensor ([`Shape::MAX_NUMEL`]).
    #[doc(alias = "full_like")]
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, value: T) -> Self {
        Self::scalar(value).expand_for("full", shape)
    }

    /// A tensor without axes.
    #[doc(alias = "scalar_tensor")]
    pub fn scalar(value: T) -> Self {
        Self::from_vec(vec![value], [])
    }

    /// The element at each index, computed by `f` in row-major order.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from_fn([2, 2], |i| i[0] * 10 + i[1] == 11);
    /// assert_eq!(x.to_vec(), [false, false, false, true]);
    /// ```
    ///
    /// # Panics
    /// When the shape is too large for a tensor ([`Shape::MAX_NUMEL`]), or for the machine's memory.
    #[track_caller]
    pub fn from_fn(shape: impl Into<Shape>, mut f: impl FnMut(&[usize]) -> T) -> Self {
        let shape = shape.into();
        let mut index = vec![0; shape.rank()];
        Self::build_for("from_fn", shape.clone(), |out| {
            for v in out {
                *v = f(&index);
                for (i, &n) in index.iter_mut().zip(shape.iter()).rev() {
                    *i += 1;
                    if *i < n {
                        break;
                    }
                    *i = 0;
                }
            }
        })
    }
}

#[compiled_once]
impl<T: Num> Tensor<T> {
    /// All zeros.
    ///
    /// # Panics
    /// When the shape is too large for a tensor ([`Shape::MAX_NUMEL`]), or for the machine's memory.
    #[doc(alias("zeros_like", "empty", "empty_like"))]
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        Self::build_for("zeros", shape, |out| out.fill(T::zero()))
    }

    /// All ones.
    ///
    /// # Panics
    /// When the shape is too large for a tensor ([`Shape::MAX_NUMEL`]), or for the machine's memory.
    #[doc(alias = "ones_like")]
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>) -> Self {
        Self::build_for("ones", shape, |out| out.fill(T::one()))
    }

    /// The identity matrix of `n` rows.
    ///
    /// # Panics
    /// When it is too large for a tensor ([`Shape::MAX_NUMEL`]), or for the machine's memory.
    #[doc(alias = "identity")]
    #[track_caller]
    pub fn eye(n: usize) -> Self {
        Self::build_for("eye", [n, n], |out| {
            out.fill(T::zero());
            out.iter_mut().step_by(n.saturating_add(1)).for_each(|v| *v = T::one());
        })
    }

    /// `start, start + step, …` as long as it is before `end`, which is never among them.
    ///
    /// Integers are exact. Of floats, `(end - start) / step` counts as whole when it is so but for the rounding of the three: from 1
    /// to 1.3 by 0.1 there are 3 elements, where NumPy and PyTorch give 4.
    ///
    /// # Panics
    /// When `step` is 0 or not finite, or the machine has no memory for so many.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::<i64>::arange(0, 5, 2).to_vec(), [0, 2, 4]);
    /// assert_eq!(Tensor::<f32>::arange(1.0, 0.0, -0.5).to_vec(), [1.0, 0.5]);
    /// assert_eq!(*Tensor::<f64>::arange(1.0, 1.3, 0.1).shape(), [3]);
    /// ```
    #[doc(alias = "range")]
    #[track_caller]
    pub fn arange(start: T, end: T, step: T) -> Self {
        let n = steps(start, end, step).or_panic();
        if T::INTEGER {
            let [start, step] = [start, step].map(whole);
            let at = |i: usize| T::from_whole(start + i as i128 * step).expect("before the end");
            return Self::build_for("arange", [n], |out| out.iter_mut().enumerate().for_each(|(i, v)| *v = at(i)));
        }
        let (start, step) = (start.to_f64(), step.to_f64());
        Self::build_for("arange", [n], |out| {
            out.iter_mut().enumerate().for_each(|(i, v)| *v = T::from_f64(start + i as f64 * step));
        })
    }
}

/// An integer's value.
fn whole<T: Num>(v: T) -> i128 {
    v.to_i128().expect("an integer")
}

/// How many steps lie before the end.
fn steps<T: Num>(start: T, end: T, step: T) -> Result<usize, ShapeError> {
    let error = |what: &str| Err(ShapeError::new("arange", format!("from {start} to {end} by {step}: {what}")));
    let (a, b, s) = (start.to_f64(), end.to_f64(), step.to_f64());
    if s == 0.0 || !((b - a) / s).is_finite() {
        return error("the step must be finite and not 0");
    }
    let n = if T::INTEGER {
        let [a, b, s] = [start, end, step].map(whole);
        let (span, s) = if s > 0 { (b - a, s) } else { (a - b, -s) };
        (span.max(0) as u128).div_ceil(s as u128)
    } else {
        let exact = (b - a) / s;
        // Each of the three may be off by about half the distance to the next float; whole numbers are not.
        let rounded = if [a, b, s].iter().all(|v| v.fract() == 0.0) { 0.0 } else { 0.51 * T::epsilon() };
        let slack = (rounded * ((a.abs() + b.abs()) / s.abs() + exact.abs())).min(0.25);
        let near = exact.round();
        (if (exact - near).abs() <= slack { near } else { exact.ceil() }).max(0.0) as u128
    };
    // More than a tensor can hold, if it saturates.
    Ok(usize::try_from(n).unwrap_or(usize::MAX))
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// `n` evenly spaced values from `start` to `end`, both included.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::<f64>::linspace(0.0, 1.0, 5).to_vec(), [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// ```
    ///
    /// # Panics
    /// When the machine has no memory for so many.
    #[track_caller]
    pub fn linspace(start: f64, end: f64, n: usize) -> Self {
        let last = (n.max(2) - 1) as f64;
        let fits = ((end - start) * last).is_finite();
        let at = |i: usize| match i as f64 {
            _ if n > 1 && i == n - 1 => end,
            i if fits => start + (end - start) * i / last,
            // The distance between the ends overflows.
            i => start * (1.0 - i / last) + end * (i / last),
        };
        Self::build_for("linspace", [n], |out| out.iter_mut().enumerate().for_each(|(i, v)| *v = T::from_f64(at(i))))
    }
}

impl<T: Element> From<T> for Tensor<T> {
    fn from(v: T) -> Self {
        Self::scalar(v)
    }
}

impl<T: Element> From<Vec<T>> for Tensor<T> {
    fn from(v: Vec<T>) -> Self {
        let n = v.len();
        Self::from_vec(v, [n])
    }
}

impl<T: Element, const A: usize> From<[T; A]> for Tensor<T> {
    fn from(v: [T; A]) -> Self {
        Self::from_vec(v.to_vec(), [A])
    }
}

impl<T: Element, const A: usize, const B: usize> From<[[T; B]; A]> for Tensor<T> {
    fn from(v: [[T; B]; A]) -> Self {
        Self::from_vec(v.as_flattened().to_vec(), [A, B])
    }
}

impl<T: Element, const A: usize, const B: usize, const C: usize> From<[[[T; C]; B]; A]> for Tensor<T> {
    fn from(v: [[[T; C]; B]; A]) -> Self {
        Self::from_vec(v.as_flattened().as_flattened().to_vec(), [A, B, C])
    }
}

impl<T: Element, const A: usize, const B: usize, const C: usize, const D: usize> From<[[[[T; D]; C]; B]; A]> for Tensor<T> {
    fn from(v: [[[[T; D]; C]; B]; A]) -> Self {
        Self::from_vec(v.as_flattened().as_flattened().as_flattened().to_vec(), [A, B, C, D])
    }
}
