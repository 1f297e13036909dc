//! Linear systems. The adjoint of a solution is the solution of the transposed system, by the same factors.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply_with;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, LinalgError, Lu, OrPanic, Tensor, solve_shape};
use std::sync::Arc;

#[compiled_once]
impl<T: Float> Var<T> {
    /// The solution `x` of `self x = b`, as `torch.linalg.solve`: of one system, for a vector `b` of `[n]`; of one a
    /// column, for `b` of `[.., n, columns]`. Axes before the matrices' are a batch and broadcast. A vector has one
    /// axis, as in NumPy 2; what PyTorch takes for vectors of `[batch, n]` is `b.unsqueeze(-1)` here. With `A` for
    /// `self`: `db = A⁻ᵀ dx`, `dA = -db xᵀ` (Giles 2008). A matrix is factored once, for derivatives of any order.
    ///
    /// # Errors
    /// When a matrix is singular to working precision; see [`Tensor::lu`].
    ///
    /// # Panics
    /// When the matrices are not square, or `b` does not fit.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let a = Var::leaf(Tensor::from([[2.0f64, 1.0], [1.0, 3.0]]));
    /// let b = Var::leaf(Tensor::from([3.0, 4.0]));
    /// let x = a.solve(&b)?;
    /// assert_eq!(x.value().to_vec(), [1.0, 1.0]);
    /// let grads = x.select(0, 0).backward();
    /// assert!((grads[&b].clone() - Tensor::from([0.6, -0.2])).abs().lt(1e-15).all());
    /// # Ok::<(), gradus_tensor::LinalgError>(())
    /// ```
    #[doc(alias("linalg.solve", "linalg.inv", "inverse"))]
    #[track_caller]
    pub fn solve(&self, b: &Var<T>) -> Result<Var<T>, LinalgError> {
        solve_shape(self.shape(), b.shape()).or_panic();
        let lu = Arc::new(self.value().lu()?);
        Ok(if b.rank() == 1 { solution(self, &b.unsqueeze(-1), &lu, false).squeeze(-1) } else { solution(self, b, &lu, false) })
    }
}

/// The solution of `a x = b`, or of `aᵀ x = b`, for columns `b` and the factors of `a`.
#[track_caller]
fn solution<T: Float>(a: &Var<T>, b: &Var<T>, lu: &Arc<Lu<T>>, transposed: bool) -> Var<T> {
    apply_with(Solve { transposed }, &[a, b], lu.clone())
}

/// The solution of `a x = b`, or of `aᵀ x = b`, for columns `b`. It saves the factors of `a`.
pub(crate) struct Solve {
    transposed: bool,
}

impl<T: Float> Op<T> for Solve {
    fn name(&self) -> &'static str {
        "solve"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("transposed", self.transposed)
    }

    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0]).and_output()
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let lu = cx.take_found::<Arc<Lu<T>>>();
        let lu = lu.unwrap_or_else(|| Arc::new(cx.input(0).lu().unwrap_or_else(|error| panic!("solve: {error}"))));
        let b = cx.input(1);
        let x = if self.transposed { lu.solve_transposed(b) } else { lu.solve(b) };
        cx.save(lu);
        x
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let gb = solution(&cx.input(0), cx.gy(), cx.residuals(), !self.transposed);
        let ga = cx.needs(0).then(|| {
            let outer = if self.transposed { cx.y().matmul(&gb.t()) } else { gb.matmul(&cx.y().t()) };
            -outer.sum_to(cx.shape(0))
        });
        [ga, cx.needs(1).then(|| gb.sum_to(cx.shape(1)))].into()
    }
}

/// Well away from singular: random numbers up to 1 beside a diagonal of 3.
fn matrices(rng: &mut gradus_tensor::Rng, batch: &[usize], n: usize) -> Tensor<f64> {
    Tensor::uniform([batch, &[n, n]].concat(), -1.0, 1.0, rng) + Tensor::eye(n) * 3.0
}
fn solve<T: Float>(v: &[Var<T>]) -> Var<T> {
    v[0].solve(&v[1]).expect("well away from singular")
}

impl<T: Float> Sampled<T> for Solve {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("solve", |rng| {
                let (n, columns) = (1 + rng.below(3), rng.below(3));
                Case::new([matrices(rng, &[], n), draw::of_shape(rng, [n, columns])], solve)
            })
            .without_ties(),
            OpSample::new("solve", |rng| {
                let n = rng.below(4);
                Case::new([matrices(rng, &[], n), draw::of_shape(rng, [n])], solve)
            })
            .without_ties(),
            OpSample::new("solve", |rng| {
                let n = 1 + rng.below(3);
                Case::new([matrices(rng, &[2, 1], n), draw::of_shape(rng, [3, n, 2])], solve)
            })
            .without_ties(),
            OpSample::new("solve", |rng| {
                let n = 1 + rng.below(3);
                Case::new([matrices(rng, &[2], n), draw::of_shape(rng, [n])], solve)
            })
            .without_ties(),
        ]
    }
}
