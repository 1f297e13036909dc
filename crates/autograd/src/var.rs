//! Variables: tensors that remember how they were made.

use crate::declared_inputs;
use crate::mode::MODE;
use crate::node::{Hook, Inputs, Node, Recorded};
use crate::tape_end::{Cut, End};
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::Axis;
use gradus_tensor::{Element, Float, Shape, Tensor};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// A tensor that derivatives can be taken through.
///
/// A `Var` is a value and, unless it is a constant, its place on the tape. Leaves
/// ([`Var::leaf`]) are what derivatives are taken with respect to; every operation on one adds a node.
/// Cloning is cheap and keeps the identity.
///
/// ```
/// use gradus_autograd::Var;
/// let x = Var::leaf([1.0, 2.0, 3.0].into());
/// let y = (&x * &x).sum(..);
/// let grads = y.backward();
/// assert_eq!(grads[&x].to_vec(), [2.0, 4.0, 6.0]);
/// ```
#[derive(Clone)]
pub struct Var<T: Float = f32> {
    pub(crate) value: Tensor<T>,
    pub(crate) node: Option<Arc<Node<T>>>,
    /// Of a constant, where the tape ended that it was cut from.
    pub(crate) cut: Cut,
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// A variable that derivatives are taken with respect to.
    #[doc(alias("requires_grad_", "Variable", "GradientTape"))]
    #[track_caller]
    pub fn leaf(value: Tensor<T>) -> Self {
        let node = Node::new(Inputs::new(), Recorded::leaf(value.shape().clone(), Location::caller()));
        Self::on_tape(value, Arc::new(node))
    }

    /// A value that no derivative is taken through; also `tensor.into()`.
    pub fn constant(value: Tensor<T>) -> Self {
        Self { value, node: None, cut: Cut::NONE }
    }

    #[inline]
    pub(crate) fn on_tape(value: Tensor<T>, node: Arc<Node<T>>) -> Self {
        Self { value, node: Some(node), cut: Cut::NONE }
    }

    /// A variable that stands for a place on the tape, where no value is read.
    pub(crate) fn place(node: &Arc<Node<T>>) -> Self {
        Self::on_tape(Tensor::from_vec(vec![], [0]), node.clone())
    }

    /// A constant whose tape ended there.
    #[inline]
    pub(crate) fn cut_at(value: Tensor<T>, cut: Cut) -> Self {
        Self { value, node: None, cut }
    }

    /// The same value as a constant that this crate works with: no place where a user's tape ends.
    pub(crate) fn untracked(&self) -> Self {
        Self::cut_at(self.value.clone(), self.cut)
    }

    /// The value: a plain tensor. What is computed from it is a constant to derivatives.
    ///
    /// # Panics
    /// Inside the forward pass of a [`custom_op`](crate::custom_op) or a [`custom_vjp`](crate::custom_vjp), when this is on the
    /// tape and not one of its inputs: its gradient would be lost.
    #[inline]
    #[track_caller]
    pub fn value(&self) -> &Tensor<T> {
        self.read();
        &self.value
    }

    /// The value, without the place on the tape; reuses the buffer when nobody else holds it.
    ///
    /// # Panics
    /// As [`value`](Self::value).
    #[track_caller]
    pub fn into_value(self) -> Tensor<T> {
        self.read();
        self.value
    }

    /// The value is read: not inside the forward pass of an op that would lose its gradient.
    #[inline]
    #[track_caller]
    pub(crate) fn read(&self) {
        if MODE.get().closed
            && let Some(node) = &self.node
        {
            declared_inputs::reads(node.id, || format!("`{}` of shape {} made at {}", node.name(), node.shape, node.at));
        }
    }

    /// The sizes of the axes.
    #[inline]
    pub fn shape(&self) -> &Shape {
        self.value.shape()
    }

    /// How many axes there are.
    #[doc(alias = "ndim")]
    pub fn rank(&self) -> usize {
        self.value.rank()
    }

    /// How many elements there are.
    #[doc(alias = "nelement")]
    #[inline]
    pub fn numel(&self) -> usize {
        self.value.numel()
    }

    /// The size of one axis.
    ///
    /// # Panics
    /// When there is no such axis.
    #[track_caller]
    pub fn size(&self, axis: impl Axis) -> usize {
        self.value.size(axis)
    }

    /// The only element of a value that has just one.
    ///
    /// # Panics
    /// When there are more, or none.
    #[track_caller]
    pub fn item(&self) -> T {
        self.value().item()
    }

    /// Whether this is on the tape: a leaf, or computed from one.
    #[inline]
    pub fn requires_grad(&self) -> bool {
        self.node.is_some()
    }

    /// Whether this is a leaf.
    pub fn is_leaf(&self) -> bool {
        self.node.as_ref().is_some_and(|n| n.is_leaf())
    }

    /// The number of this variable's node; nodes are numbered in the order of their making.
    pub fn id(&self) -> Option<u64> {
        self.node.as_ref().map(|n| n.id)
    }

    /// The name of the op that computed this, and the line that called it; of an op named in `through`, those of its first
    /// recorded operand instead. `None` for a leaf or a constant.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// let y = Var::leaf([[1.0, 2.0]].into()).softmax(1).reshape([2]);
    /// assert_eq!(y.source_op(&[]).map(|(op, _)| op), Some("reshape"));
    /// assert_eq!(y.source_op(&["reshape"]).map(|(op, _)| op), Some("softmax"));
    /// ```
    #[doc(alias = "grad_fn")]
    pub fn source_op(&self, through: &[&str]) -> Option<(&'static str, &'static Location<'static>)> {
        let mut node = self.node.as_ref()?;
        while through.contains(&node.name()) {
            node = node.inputs.iter().flatten().next()?;
        }
        (!node.is_leaf()).then_some((node.name(), node.at))
    }

    /// The same value as a constant: derivatives stop here (`jax.lax.stop_gradient`, `tf.stop_gradient`).
    #[doc(alias("stop_gradient", "lax.stop_gradient"))]
    #[track_caller]
    pub fn detach(&self) -> Self {
        Self::cut_at(self.value.clone(), if self.requires_grad() { Cut::here(End::Detach) } else { self.cut })
    }

    /// Makes [`backward`](Self::backward) report this intermediate variable's gradient as well.
    /// Leaves are reported anyway.
    ///
    /// # Panics
    /// When this is a constant.
    #[track_caller]
    pub fn retain_grad(&self) {
        self.expect_node("retain_grad").extras().retain();
    }

    /// Calls `hook` with this variable's gradient once it is complete; what the hook returns, if
    /// anything, takes its place (clipping, scaling, printing).
    ///
    /// # Panics
    /// When this is a constant.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// let x = Var::leaf([3.0f64].into());
    /// let h = &x * 2.0;
    /// h.register_hook(|g| Some(g * 10.0));
    /// assert_eq!(h.sum(..).backward()[&x].to_vec(), [20.0]);
    /// ```
    #[track_caller]
    pub fn register_hook(&self, hook: impl Fn(&Var<T>) -> Option<Var<T>> + Send + Sync + 'static) {
        let hook: Hook<T> = Box::new(hook);
        self.expect_node("register_hook").extras().add_hook(hook);
    }

    #[track_caller]
    fn expect_node(&self, what: &str) -> &Arc<Node<T>> {
        match &self.node {
            Some(node) => node,
            None if self.cut.is_some() => {
                panic!("{what}: no gradient reaches this variable of shape {}: it is {}", self.shape(), self.cut)
            }
            None => panic!("{what}: this variable of shape {} is a constant, no gradient reaches it", self.shape()),
        }
    }
}

impl<T: Float> From<Tensor<T>> for Var<T> {
    fn from(value: Tensor<T>) -> Self {
        Self::constant(value)
    }
}

impl<T: Float> From<&Tensor<T>> for Var<T> {
    fn from(value: &Tensor<T>) -> Self {
        Self::constant(value.clone())
    }
}

impl<T: Float> From<&Var<T>> for Var<T> {
    fn from(v: &Var<T>) -> Self {
        v.clone()
    }
}

impl<T: Float> fmt::Debug for Var<T>
where
    T: Element,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.node {
            None => "constant",
            Some(n) => n.name(),
        };
        write!(f, "Var({kind}) {:?}", self.value)
    }
}
