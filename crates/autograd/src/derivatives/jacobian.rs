//! Whole Jacobians, row by row or column by column.

use super::recorded::{Recorded, record};
use super::vars::Vars;
use crate::var::Var;
use gradus_tensor::{Float, Shape, Tensor};

type Jacobian<X, Y> = <Y as Vars>::Each<<X as Vars>::Each<Var<<X as Vars>::Elem>>>;

/// The Jacobian of `f` at `x`: for a result of shape `R` and a variable of shape `S` a tensor of shape `[R.., S..]`. By
/// rows ([`jacrev`]), or by columns ([`jacfwd`]) when they are fewer than a third as many: most ops' forward rules are
/// derived from their pullbacks, and a column costs 2 to 4 rows.
///
/// ```
/// use gradus_autograd::{Var, jacobian};
/// let x = Var::from(gradus_tensor::Tensor::from([1.0f64, 2.0, 3.0]));
/// let j = jacobian(|x| x.square().slice(0, ..2), &x);
/// assert_eq!(*j.shape(), [2, 3]);
/// assert_eq!(j.value().to_vec(), [2.0, 0.0, 0.0, 0.0, 4.0, 0.0]);
/// ```
#[track_caller]
pub fn jacobian<X: Vars, Y: Vars<Elem = X::Elem>>(f: impl FnOnce(&X) -> Y, x: &X) -> Jacobian<X, Y> {
    let (y, recorded) = record(f, x);
    let numel = |vars: &[Var<X::Elem>]| vars.iter().map(|v| v.value().numel()).sum::<usize>();
    if 3 * numel(x.as_vars()) < numel(y.as_vars()) { by_columns(x, &y, &recorded) } else { by_rows(x, &y, &recorded) }
}

/// As [`jacobian`], by rows: one forward pass, and one backward pass for each element of the result.
#[track_caller]
pub fn jacrev<X: Vars, Y: Vars<Elem = X::Elem>>(f: impl FnOnce(&X) -> Y, x: &X) -> Jacobian<X, Y> {
    let (y, recorded) = record(f, x);
    by_rows(x, &y, &recorded)
}

/// As [`jacobian`], by columns: one forward pass, and one walk with a tangent for each element of `x`.
#[track_caller]
pub fn jacfwd<X: Vars, Y: Vars<Elem = X::Elem>>(f: impl FnOnce(&X) -> Y, x: &X) -> Jacobian<X, Y> {
    let (y, recorded) = record(f, x);
    by_columns(x, &y, &recorded)
}

fn by_rows<X: Vars, Y: Vars<Elem = X::Elem>>(x: &X, y: &Y, recorded: &Recorded<X::Elem>) -> Jacobian<X, Y> {
    let (xs, ys) = (x.as_vars(), y.as_vars());
    let of_output = |(i, yi): (usize, &Var<X::Elem>)| {
        let rows = unit_vectors(yi).map(|v| recorded.pull(&only(i, &v, ys.len())));
        let blocks = transposed(rows.collect(), xs.len());
        let block = |(rows, x): (Vec<_>, &Var<X::Elem>)| stacked(&rows, x.shape(), 0).reshape(joined(yi.shape(), x.shape()));
        x.arrange(blocks.into_iter().zip(xs).map(block).collect())
    };
    y.arrange(ys.iter().enumerate().map(of_output).collect())
}

fn by_columns<X: Vars, Y: Vars<Elem = X::Elem>>(x: &X, y: &Y, recorded: &Recorded<X::Elem>) -> Jacobian<X, Y> {
    let (xs, ys) = (x.as_vars(), y.as_vars());
    let of_input = |(i, xi): (usize, &Var<X::Elem>)| -> Vec<Var<X::Elem>> {
        let columns = unit_vectors(xi).map(|u| recorded.push(&only(i, &u, xs.len())));
        let blocks = transposed(columns.collect(), ys.len());
        let block =
            |(columns, y): (Vec<_>, &Var<X::Elem>)| stacked(&columns, y.shape(), y.rank()).reshape(joined(y.shape(), xi.shape()));
        blocks.into_iter().zip(ys).map(block).collect()
    };
    let by_input: Vec<Vec<Var<X::Elem>>> = xs.iter().enumerate().map(of_input).collect();
    y.arrange((0..ys.len()).map(|j| x.arrange(by_input.iter().map(|blocks| blocks[j].clone()).collect())).collect())
}

/// 1 at one element and 0 elsewhere, for each element in row-major order.
fn unit_vectors<T: Float>(like: &Var<T>) -> impl Iterator<Item = Var<T>> {
    let (n, shape) = (like.value().numel(), like.shape().clone());
    (0..n).map(move |k| {
        let mut unit = vec![T::zero(); n];
        unit[k] = T::one();
        Var::constant(Tensor::from_vec(unit, shape.clone()))
    })
}

fn only<T: Float>(i: usize, v: &Var<T>, n: usize) -> Vec<Option<&Var<T>>> {
    (0..n).map(|k| (k == i).then_some(v)).collect()
}

/// From a vector of rows, each with `n` parts, to `n` vectors of one part of each row.
fn transposed<U>(rows: Vec<Vec<U>>, n: usize) -> Vec<Vec<U>> {
    let mut parts: Vec<Vec<U>> = (0..n).map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        for (part, item) in parts.iter_mut().zip(row) {
            part.push(item);
        }
    }
    parts
}

/// The parts along a new axis; `None` counts as zeros of `shape`.
#[track_caller]
pub(super) fn stacked<T: Float>(parts: &[Option<Var<T>>], shape: &Shape, axis: usize) -> Var<T> {
    if parts.iter().all(Option::is_none) {
        let mut shape = shape.clone();
        shape.insert(axis, parts.len());
        return Var::constant(Tensor::zeros(shape));
    }
    let zero = Var::constant(Tensor::zeros(shape.clone()));
    let parts: Vec<&Var<T>> = parts.iter().map(|p| p.as_ref().unwrap_or(&zero)).collect();
    Var::stack(&parts, axis)
}

fn joined(a: &Shape, b: &Shape) -> Shape {
    a.iter().chain(b.iter()).copied().collect()
}
