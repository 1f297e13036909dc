//! Gradients, by variable and by path.

use crate::module::Module;
use crate::param::Param;
use crate::tape_end::{Cut, listed};
use crate::var::Var;
use gradus_tensor::{Float, Tensor};
use std::collections::HashMap;
use std::ops::Index;

/// The gradients of one backward pass: those of all leaves that the result depends on, and those that
/// [`Var::retain_grad`] asked for.
#[derive(Clone, Debug)]
pub struct Grads<T: Float = f32> {
    pub(crate) by_id: HashMap<u64, Tensor<T>>,
    /// Where the tape ended on the way.
    pub(crate) ends: Vec<Cut>,
}

impl<T: Float> Grads<T> {
    /// The gradient with respect to `x`, if the result depends on it.
    pub fn get(&self, x: &Var<T>) -> Option<&Tensor<T>> {
        self.by_id.get(&x.id()?)
    }

    /// As [`get`](Self::get), to be changed in place.
    pub fn get_mut(&mut self, x: &Var<T>) -> Option<&mut Tensor<T>> {
        self.by_id.get_mut(&x.id()?)
    }

    /// Takes the gradient with respect to `x` out.
    pub fn remove(&mut self, x: &Var<T>) -> Option<Tensor<T>> {
        self.by_id.remove(&x.id()?)
    }

    /// Sets the gradient with respect to `x`.
    ///
    /// # Panics
    /// When `x` is a constant, or the shapes differ.
    #[track_caller]
    pub fn insert(&mut self, x: &Var<T>, grad: Tensor<T>) {
        let id = x.id().expect("a constant has no gradient");
        assert!(x.shape() == grad.shape(), "a gradient of shape {} for a variable of shape {}", grad.shape(), x.shape());
        self.by_id.insert(id, grad);
    }

    /// The gradients of `model`'s parameters with their paths, in the order of
    /// [`named_parameters`](Module::named_parameters). A parameter without a gradient is left out.
    ///
    /// ```
    /// use gradus_autograd::Param;
    /// let net = (Param::<f64>::new([3.0].into()), Param::new([1.0, 2.0].into()));
    /// let grads = (&*net.0 * net.1.square()).sum(..).backward();
    /// for (path, g) in grads.named(&net) {
    ///     println!("{path}: largest {}", g.abs().max(..).item());
    /// }
    /// assert_eq!(grads.named(&net)[1], ("1".to_string(), &[6.0, 12.0].into()));
    /// ```
    #[doc(alias("named_gradients", "named_parameters", "iter"))]
    pub fn named<M: Module<T> + ?Sized>(&self, model: &M) -> Vec<(String, &Tensor<T>)> {
        let with_gradient = |(path, param): (String, &Param<T>)| Some((path, self.get(param)?));
        model.named_parameters().into_iter().filter_map(with_gradient).collect()
    }

    /// As [`named`](Self::named), to be changed in place.
    ///
    /// ```
    /// use gradus_autograd::Param;
    /// let net = (Param::<f64>::new([3.0].into()), Param::new([1.0, 2.0].into()));
    /// let mut grads = (&*net.0 * net.1.square()).sum(..).backward();
    /// for (path, g) in grads.named_mut(&net) {
    ///     if path == "1" {
    ///         *g *= 0.5;
    ///     }
    /// }
    /// assert_eq!(grads[&net.1].to_vec(), [3.0, 6.0]);
    /// ```
    #[doc(alias("iter_mut"))]
    pub fn named_mut<M: Module<T> + ?Sized>(&mut self, model: &M) -> Vec<(String, &mut Tensor<T>)> {
        let mut by_id: HashMap<u64, &mut Tensor<T>> = self.by_id.iter_mut().map(|(id, g)| (*id, g)).collect();
        let with_gradient = |(path, param): (String, &Param<T>)| Some((path, by_id.remove(&param.id()?)?));
        model.named_parameters().into_iter().filter_map(with_gradient).collect()
    }

    /// Why there is no gradient with respect to `x`: for the message of whoever wants one.
    pub fn why_missing(&self, x: &Var<T>) -> String {
        why_missing(x, &self.ends)
    }

    /// Adds another pass's gradients to these, as over micro-batches.
    pub fn accumulate(&mut self, other: Grads<T>) {
        add_ends(&mut self.ends, &other.ends);
        for (id, g) in other.by_id {
            match self.by_id.remove(&id) {
                Some(sum) => self.by_id.insert(id, sum + &g),
                None => self.by_id.insert(id, g),
            };
        }
    }

    /// How many gradients there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// The gradient with respect to `x`.
///
/// # Panics
/// When the result does not depend on `x`.
impl<T: Float> Index<&Var<T>> for Grads<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn index(&self, x: &Var<T>) -> &Tensor<T> {
        self.get(x).unwrap_or_else(|| {
            panic!("no gradient for this variable of shape {}: {}", x.shape(), self.why_missing(x));
        })
    }
}

/// Why a result has no gradient with respect to `x`, when the tape under it ended at `ends`.
pub(crate) fn why_missing<T: Float>(x: &Var<T>, ends: &[Cut]) -> String {
    let on = match &x.node {
        None if x.cut.is_some() => return format!("it is {}", x.cut),
        None => return "it is a constant; make it with Var::leaf".into(),
        Some(node) if node.is_leaf() => "the result does not depend on it",
        Some(_) => "it is an intermediate result; call retain_grad() on it before backward, if the result depends on it",
    };
    if ends.is_empty() { on.into() } else { format!("{on}; on the way from the result the tape ends at {}", listed(ends)) }
}

pub(crate) fn add_ends(ends: &mut Vec<Cut>, more: &[Cut]) {
    more.iter().for_each(|end| {
        if !ends.contains(end) {
            ends.push(*end);
        }
    });
}
