//! Linear maps along one axis.

use gradus_autograd::Var;
use gradus_tensor::{Float, Tensor};

/// `y[.., i, ..] = Σ_j matrix[i, j] x[.., j, ..]` along one axis, the matrix being a constant.
#[track_caller]
pub(crate) fn product_along<T: Float>(x: &Var<T>, axis: usize, matrix: &Tensor<T>) -> Var<T> {
    let mut shape = x.shape().clone();
    let (outer, inner) = (shape[..axis].iter().product::<usize>(), shape[axis + 1..].iter().product::<usize>());
    if inner == 1 {
        let y = x.reshape([outer, shape[axis]]).matmul(&Var::constant(matrix.t()));
        shape[axis] = matrix.shape()[0];
        return y.reshape(&shape);
    }
    let y = Var::constant(matrix.clone()).matmul(&x.reshape([outer, shape[axis], inner]));
    shape[axis] = matrix.shape()[0];
    y.reshape(&shape)
}
