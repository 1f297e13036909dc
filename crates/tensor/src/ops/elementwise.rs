//! Functions of each element, or of one of each operand. Named functions of one number are in `functions`.

use crate::compiled_once::compiled_once;
use crate::element::{Element, Num};
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::map::{self, BinaryInPlaceLoop, BinaryLoop};
use crate::kernels::strided::{Blocks, Operand};
use crate::shape::{Shape, Strides, broadcast_shapes};
use crate::tensor::Tensor;
use std::sync::Arc;

#[compiled_once]
impl<T: Element> Tensor<T> {
    /// `f` of each element. Loops over `f` are compiled for the processor's widest vectors, as long as
    /// `f` is short enough to be inlined (a few functions of [`Float`]); in code for a fixed type mind
    /// that `v.exp()` is the standard library's, and `Float::exp(v)` the one that vectorises.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([1.0f32, -2.0]);
    /// assert_eq!(x.map(|v| v * v + 1.0).to_vec(), [2.0, 5.0]);
    /// ```
    #[track_caller]
    pub fn map<U: Element>(&self, f: impl Fn(T) -> U + Copy + Send + Sync) -> Tensor<U> {
        self.map_for("map", f)
    }

    /// [`map`](Self::map) on behalf of the operation `op`.
    #[track_caller]
    #[inline]
    pub(crate) fn map_for<U: Element>(&self, op: &'static str, f: impl Fn(T) -> U + Copy + Send + Sync) -> Tensor<U> {
        self.mapped(op, &map::unary_loop(f))
    }

    #[track_caller]
    fn mapped<U: Element>(&self, op: &'static str, run: &(dyn Fn(&[T], &mut [U]) + Sync)) -> Tensor<U> {
        if let Some(x) = self.as_slice() {
            return Tensor::build_for(op, self.shape.clone(), |out| map::unary(x, out, run));
        }
        if let Some(x) = self.dense_slice() {
            // The same layout as this one's: no need to move elements about.
            let new = Tensor::build_for(op, [x.len()], |out| map::unary(x, out, run));
            return Tensor { buffer: new.buffer, shape: self.shape.clone(), strides: self.strides.clone(), offset: 0 };
        }
        self.copy_for(op).mapped(op, run)
    }

    /// As [`map`](Self::map), reusing the buffer when nobody else holds it.
    #[track_caller]
    pub fn map_into(self, f: impl Fn(T) -> T + Copy + Send + Sync) -> Tensor<T> {
        self.map_into_for("map_into", f)
    }

    /// [`map_into`](Self::map_into) on behalf of the operation `op`.
    #[track_caller]
    #[inline]
    pub(crate) fn map_into_for(self, op: &'static str, f: impl Fn(T) -> T + Copy + Send + Sync) -> Tensor<T> {
        self.mapped_into(op, &map::in_place_loop(f))
    }

    #[track_caller]
    fn mapped_into(mut self, op: &'static str, run: &(dyn Fn(&mut [T]) + Sync)) -> Tensor<T> {
        let (at, dense) = (self.offset, self.dense_slice().map(<[T]>::len));
        if let (Some(n), Some(buffer)) = (dense, Arc::get_mut(&mut self.buffer)) {
            map::unary_in_place(&mut buffer.as_mut_slice()[at..at + n], run);
            return self;
        }
        self.mapped(op, &map::unary_of_copy(run))
    }

    /// The window as a slice in memory order, when it has no gaps and no repeats (a permuted
    /// contiguous tensor).
    pub(crate) fn dense_slice(&self) -> Option<&[T]> {
        if let Some(x) = self.as_slice() {
            return Some(x);
        }
        is_dense(&self.shape, &self.strides).then(|| &self.raw()[self.offset..self.offset + self.numel()])
    }

    /// `f(a, b)` for each pair of elements, broadcast against each other; `op` names the operation in
    /// errors.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn zip_map<B: Element, O: Element>(
        &self,
        op: &'static str,
        other: &Tensor<B>,
        f: impl Fn(T, B) -> O + Copy + Send + Sync,
    ) -> Tensor<O> {
        self.try_zip_map(op, other, f).or_panic()
    }

    /// As [`zip_map`](Self::zip_map), with an error instead of a panic.
    #[track_caller]
    #[inline]
    pub fn try_zip_map<B: Element, O: Element>(
        &self,
        op: &'static str,
        other: &Tensor<B>,
        f: impl Fn(T, B) -> O + Copy + Send + Sync,
    ) -> Result<Tensor<O>, ShapeError> {
        self.zipped(op, other, &map::binary_loop(f))
    }

    #[track_caller]
    fn zipped<B: Element, O: Element>(
        &self,
        op: &'static str,
        other: &Tensor<B>,
        run: BinaryLoop<'_, T, B, O>,
    ) -> Result<Tensor<O>, ShapeError> {
        if self.shape == other.shape {
            if let (Some(a), Some(b)) = (self.as_slice(), other.as_slice()) {
                return Ok(Tensor::build_for(op, self.shape.clone(), |out| map::binary(a, b, out, run)));
            }
            let same_layout = self.strides == other.strides;
            if let (true, Some(a), Some(b)) = (same_layout, self.dense_slice(), other.dense_slice()) {
                let new = Tensor::build_for(op, [a.len()], |out| map::binary(a, b, out, run));
                return Ok(Tensor { buffer: new.buffer, shape: self.shape.clone(), strides: self.strides.clone(), offset: 0 });
            }
        }
        let shape = broadcast_shapes(op, &self.shape, &other.shape)?;
        let (a, b) = (self.rows_of(op, &shape), other.rows_of(op, &shape));
        let blocks = Blocks::new(&shape, [&a.strides, &b.strides]);
        Ok(Tensor::build_for(op, shape, |out| map::binary_strided(a.operand(), b.operand(), &blocks, out, run)))
    }

    fn operand(&self) -> Operand<'_, T> {
        Operand { data: self.raw(), offset: self.offset }
    }

    /// This tensor as a loop over rows of `shape` likes to read it: expanded, but a transposed one
    /// copied to row-major order first, as a walk across its lines would fetch each of them many times.
    #[track_caller]
    fn rows_of(&self, op: &'static str, shape: &Shape) -> Self {
        const LINE: usize = 16;
        let inner = (0..self.rank()).rfind(|&a| self.shape[a] != 1 && self.strides[a] != 0);
        let across = inner.is_some_and(|a| self.strides[a].unsigned_abs() >= LINE);
        if across && self.strides.iter().any(|s| s.unsigned_abs() == 1) {
            return self.copy_for(op).expand_for(op, shape.clone());
        }
        self.expand_for(op, shape.clone())
    }

    /// As [`zip_map`](Self::zip_map), writing into this tensor's buffer when nobody else holds it and
    /// the result has its shape.
    #[track_caller]
    #[inline]
    pub fn zip_map_into<B: Element>(
        self,
        op: &'static str,
        other: &Tensor<B>,
        f: impl Fn(T, B) -> T + Copy + Send + Sync,
    ) -> Tensor<T> {
        self.zipped_into(op, other, &map::binary_in_place_loop(f), &map::binary_anew_loop(f))
    }

    /// As [`zip_map_into`](Self::zip_map_into), for an operator: one operand is often a value for each row.
    #[track_caller]
    #[inline]
    pub(crate) fn operate_into<B: Element>(
        self,
        op: &'static str,
        other: &Tensor<B>,
        f: impl Fn(T, B) -> T + Copy + Send + Sync,
    ) -> Tensor<T> {
        self.zipped_into(op, other, &map::broadcast_in_place_loop(f), &map::binary_loop(f))
    }

    #[track_caller]
    fn zipped_into<B: Element>(
        mut self,
        op: &'static str,
        other: &Tensor<B>,
        run: BinaryInPlaceLoop<'_, T, B>,
        anew: BinaryLoop<'_, T, B, T>,
    ) -> Tensor<T> {
        let equal = self.shape == other.shape;
        let shape = if equal { self.shape.clone() } else { broadcast_shapes(op, &self.shape, &other.shape).or_panic() };
        if (!equal && shape != self.shape) || !self.is_writable() {
            return self.zipped(op, other, anew).or_panic();
        }
        match other.as_slice() {
            Some(b) if other.shape == shape => map::binary_in_place(self.as_mut_slice(), b, run),
            _ => {
                let b = other.rows_of(op, &shape);
                let blocks = Blocks::new(&shape, [&b.strides]);
                map::binary_strided_in_place(self.as_mut_slice(), b.operand(), &blocks, run);
            }
        }
        self
    }
}

/// Whether a window has no gaps and no repeats: in some order of its axes it is row-major.
fn is_dense(shape: &Shape, strides: &Strides) -> bool {
    let mut axes: smallvec::SmallVec<[usize; 6]> = (0..shape.rank()).filter(|&a| shape[a] != 1).collect();
    axes.sort_unstable_by_key(|&a| strides[a]);
    let mut step = 1isize;
    for &a in &axes {
        if strides[a] != step {
            return false;
        }
        step *= shape[a] as isize;
    }
    true
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// `x^y`, elementwise.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[doc(alias = "power")]
    #[track_caller]
    pub fn pow(&self, y: &Tensor<T>) -> Self {
        self.zip_map("pow", y, T::powf)
    }

    /// The angle of the point `(x, self)`, elementwise.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[doc(alias = "arctan2")]
    #[track_caller]
    pub fn atan2(&self, x: &Tensor<T>) -> Self {
        self.zip_map("atan2", x, T::atan2)
    }

    /// The larger of two, elementwise; NaN where either is.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn maximum(&self, other: &Tensor<T>) -> Self {
        self.zip_map("maximum", other, T::maximum)
    }

    /// The smaller of two, elementwise; NaN where either is.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn minimum(&self, other: &Tensor<T>) -> Self {
        self.zip_map("minimum", other, T::minimum)
    }
}

#[compiled_once]
impl<T: Num> Tensor<T> {
    /// The nearest value of another number type; fractions are cut off when it is an integer.
    ///
    /// As Rust's `as`: a float beyond an integer type's range becomes its nearest bound and NaN becomes 0, and an integer that a float
    /// type does not hold (from 2^24 on for `f32`, 2^53 for `f64`) becomes the nearest that it holds. An integer beyond another
    /// integer type's range becomes the nearest bound, where PyTorch wraps around.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from([1.5f32, -2.5]).cast::<i64>().to_vec(), [1, -2]);
    /// ```
    #[doc(alias("to", "type", "double", "long", "astype"))]
    #[track_caller]
    pub fn cast<U: Num>(&self) -> Tensor<U> {
        if let Some(same) = (self as &dyn std::any::Any).downcast_ref::<Tensor<U>>() {
            return same.clone();
        }
        self.map_for("cast", |v| num_traits::cast::<T, U>(v).unwrap_or_else(|| U::from_f64(v.to_f64())))
    }
}
