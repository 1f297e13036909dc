//! One variable, or several: what derivatives are taken with respect to.

use crate::var::Var;
use gradus_tensor::Float;

/// One variable or several: a [`Var`], an array of them, or a vector.
///
/// A closure takes what the point is, by reference: `|x| ..` for a `Var`, `|[a, b]| ..` for a `[Var; 2]`. Derivatives
/// come in the same arrangement, second derivatives in an arrangement of arrangements.
///
/// ```
/// use gradus_autograd::{Var, hessian, value_and_grad};
/// let a = Var::from(gradus_tensor::Tensor::from([1.0f64, 2.0]));
/// let b = Var::from(gradus_tensor::Tensor::from([3.0f64, 4.0]));
/// let f = |[a, b]: &[Var<f64>; 2]| (a * b).sum(..);
/// let (y, [da, db]) = value_and_grad(f, &[a.clone(), b.clone()]);
/// assert_eq!((y.item(), da.value().to_vec(), db.value().to_vec()), (11.0, vec![3.0, 4.0], vec![1.0, 2.0]));
/// let [[aa, ab], [ba, bb]] = hessian(f, &[a, b]);
/// assert_eq!(ab.value().to_vec(), [1.0, 0.0, 0.0, 1.0]);
/// assert_eq!(aa.value().to_vec(), [0.0; 4]);
/// # let _ = (ba, bb);
/// ```
pub trait Vars: Clone {
    /// The numbers' type.
    type Elem: Float;
    /// The same arrangement of other things.
    type Each<U>;
    /// The variables in their order.
    fn as_vars(&self) -> &[Var<Self::Elem>];
    /// The same arrangement of other variables, as many.
    fn with_vars(&self, vars: Vec<Var<Self::Elem>>) -> Self;
    /// The same arrangement of other things, as many.
    fn arrange<U>(&self, items: Vec<U>) -> Self::Each<U>;
}

impl<T: Float> Vars for Var<T> {
    type Elem = T;
    type Each<U> = U;

    fn as_vars(&self) -> &[Var<T>] {
        std::slice::from_ref(self)
    }
    fn with_vars(&self, vars: Vec<Var<T>>) -> Self {
        self.arrange(vars)
    }
    fn arrange<U>(&self, items: Vec<U>) -> U {
        let [item] = exactly(items);
        item
    }
}

impl<T: Float, const N: usize> Vars for [Var<T>; N] {
    type Elem = T;
    type Each<U> = [U; N];

    fn as_vars(&self) -> &[Var<T>] {
        self
    }
    fn with_vars(&self, vars: Vec<Var<T>>) -> Self {
        exactly(vars)
    }
    fn arrange<U>(&self, items: Vec<U>) -> [U; N] {
        exactly(items)
    }
}

impl<T: Float> Vars for Vec<Var<T>> {
    type Elem = T;
    type Each<U> = Vec<U>;

    fn as_vars(&self) -> &[Var<T>] {
        self
    }
    fn with_vars(&self, vars: Vec<Var<T>>) -> Self {
        vars
    }
    fn arrange<U>(&self, items: Vec<U>) -> Vec<U> {
        items
    }
}

fn exactly<U, const N: usize>(items: Vec<U>) -> [U; N] {
    let count = items.len();
    items.try_into().unwrap_or_else(|_| panic!("{count} items for an arrangement of {N}"))
}

/// That `v` has a vector of each variable's shape.
#[track_caller]
pub(super) fn check_like<T: Float>(what: &str, xs: &[Var<T>], vs: &[Var<T>]) {
    assert!(xs.len() == vs.len(), "{what}: {} vectors for {} variables; one each is wanted", vs.len(), xs.len());
    for (i, (x, v)) in xs.iter().zip(vs).enumerate() {
        assert!(x.shape() == v.shape(), "{what}: vector {i} has shape {}; wanted {}, the variable's", v.shape(), x.shape());
    }
}
