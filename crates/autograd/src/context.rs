//! What an op's methods are given: operands, gradients and tangents, and what the tape kept.

use crate::mode::GradMode;
use crate::node::{Inputs, Node, Residuals};
use crate::op::Gradients;
use crate::queue::{Queue, Wanted};
use crate::tape::nodes_since;
use crate::tape_end::Cut;
use crate::var::Var;
use gradus_tensor::{Float, Shape, Tensor};
use smallvec::SmallVec;
use std::any::Any;
use std::sync::Arc;

/// The operands of an op, lent, or the only one handed over.
pub(crate) enum Operands<'a, T: Float> {
    Lent(&'a [&'a Var<T>]),
    Owned(&'a mut Option<Tensor<T>>),
}

/// What [`Op::forward`](crate::Op::forward) is given: the operands' values.
pub struct ForwardContext<'a, T: Float> {
    pub(crate) operands: Operands<'a, T>,
    pub(crate) residuals: Option<Residuals>,
    pub(crate) aux: Option<Box<dyn Any>>,
    pub(crate) saving: bool,
}

const HANDED_OVER: &str = "the op has one operand, which was not handed over by `take` before";

impl<T: Float> ForwardContext<'_, T> {
    /// The value of input `i`.
    ///
    /// # Panics
    /// When there are not so many.
    #[inline]
    pub fn input(&self, i: usize) -> &Tensor<T> {
        match &self.operands {
            Operands::Lent(inputs) => &inputs[i].value,
            Operands::Owned(x) => x.as_ref().filter(|_| i == 0).expect(HANDED_OVER),
        }
    }

    /// All inputs' values.
    pub fn inputs(&self) -> Vec<&Tensor<T>> {
        (0..self.len()).map(|i| self.input(i)).collect()
    }

    /// How many inputs there are.
    pub fn len(&self) -> usize {
        match &self.operands {
            Operands::Lent(inputs) => inputs.len(),
            Operands::Owned(_) => 1,
        }
    }

    /// Whether there is no input.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of input `i` to be written to: its own buffer when it was handed over ([`apply_owned`](crate::apply_owned)) and
    /// nobody else holds it, a copy otherwise.
    ///
    /// # Panics
    /// The second time, of an operand that was handed over; and [`input`](Self::input) panics after it.
    #[inline]
    pub fn take(&mut self, i: usize) -> Tensor<T> {
        match &mut self.operands {
            Operands::Lent(inputs) => inputs[i].value.clone(),
            Operands::Owned(x) => x.take_if(|_| i == 0).expect(HANDED_OVER),
        }
    }

    /// Keeps what the rule reads and only the forward pass knows: the places of maxima, a logarithm's offset. The rule gets it from
    /// [`VjpContext::residuals`].
    #[doc(alias = "save_for_backward")]
    pub fn save<R: Send + Sync + 'static>(&mut self, residuals: R) {
        if self.saving {
            self.residuals = Some(Box::new(residuals));
        }
    }

    /// Whether anybody reads what [`save`](Self::save) keeps; where it costs something, it need not be computed otherwise.
    pub fn is_saving(&self) -> bool {
        self.saving
    }

    /// Hands the caller a by-product, as the places of maxima, which [`apply_aux`](crate::apply_aux) returns. The tape does not keep it.
    pub fn set_aux<A: 'static>(&mut self, aux: A) {
        self.aux = Some(Box::new(aux));
    }

    /// What the caller had found before, handed over by [`apply_with`](crate::apply_with), if it is of this type.
    pub fn take_found<R: 'static>(&mut self) -> Option<R> {
        Some(*self.residuals.take()?.downcast().ok()?)
    }
}

/// The value that the tape kept of input `i`.
#[track_caller]
fn kept_input<T: Float>(node: &Node<T>, mode: GradMode, i: usize) -> Var<T> {
    let saves = node.op().expect("a leaf has no rule").saves();
    if !saves.has_input(i) {
        panic!("the rule of `{}` reads input {i}, which the tape does not keep: name it in `Op::saves`", node.name());
    }
    let value = node.saved[saves.slot(i)].clone();
    match (mode, &node.inputs[i]) {
        (GradMode::Differentiable, Some(input)) => Var::on_tape(value, input.clone()),
        (GradMode::Differentiable, None) => Var::cut_at(value, node.ends().first().copied().unwrap_or(Cut::NONE)),
        (GradMode::Plain, _) => Var::constant(value),
    }
}

/// The kept result; a constant unless what is made of it is to be differentiated.
fn kept_output<T: Float>(node: &Arc<Node<T>>, mode: GradMode) -> Var<T> {
    if !node.op().is_some_and(|op| op.saves().output) {
        panic!(
            "the rule of `{}` reads its output, which the tape does not keep: make the op with `op_with_output`, or name the output \
             in `Op::saves`",
            node.name()
        )
    }
    let value = node.saved.last().expect("the output is kept").clone();
    match mode {
        GradMode::Differentiable => Var::on_tape(value, node.clone()),
        GradMode::Plain => Var::constant(value),
    }
}

#[track_caller]
fn kept_residuals<T: Float, R: 'static>(node: &Node<T>) -> &R {
    let found = node.residuals.as_ref().and_then(|r| r.downcast_ref());
    found.unwrap_or_else(|| panic!("the forward pass of `{}` kept no {}", node.name(), std::any::type_name::<R>()))
}

/// What [`Op::vjp`](crate::Op::vjp) is given: the gradient of the result, and what the tape kept.
pub struct VjpContext<'a, T: Float> {
    pub(crate) gy: Option<Var<T>>,
    pub(crate) node: &'a Arc<Node<T>>,
    pub(crate) mode: GradMode,
    pub(crate) wanted: &'a Wanted,
    /// The sums so far, in a walk for plain gradients.
    pub(crate) waiting: Option<&'a mut Queue<T>>,
    pub(crate) ending: Ending<T>,
}

/// How a rule ended.
#[derive(Default)]
pub(crate) enum Ending<T: Float> {
    /// It gave gradients.
    #[default]
    Gradients,
    /// It has none to give, for this reason: `grad` returns it as an error.
    Refused(String),
    /// The walk goes on from the result of what it recorded, with this gradient.
    Resumed(Arc<Node<T>>, Var<T>),
}

const TAKEN: &str = "the rule took the gradient by `take_gy` before";

impl<'a, T: Float> VjpContext<'a, T> {
    pub(crate) fn new(
        gy: Var<T>,
        node: &'a Arc<Node<T>>,
        mode: GradMode,
        wanted: &'a Wanted,
        waiting: Option<&'a mut Queue<T>>,
    ) -> Self {
        Self { gy: Some(gy), node, mode, wanted, waiting, ending: Ending::Gradients }
    }
}

impl<T: Float> VjpContext<'_, T> {
    /// The gradient with respect to the op's result; of the result's shape.
    #[inline]
    pub fn gy(&self) -> &Var<T> {
        self.gy.as_ref().expect(TAKEN)
    }

    /// As [`gy`](Self::gy), handed over: an op that takes it by value may write into its buffer.
    ///
    /// # Panics
    /// The second time; and [`gy`](Self::gy) panics after it.
    #[inline]
    pub fn take_gy(&mut self) -> Var<T> {
        self.gy.take().expect(TAKEN)
    }

    /// The gradient that input `i` has got so far from ops recorded later, handed over; the rule must then give the sum of it
    /// and its own. For an op that reads a part of its input: many of them, as the steps of a sequence, add their parts to one
    /// gradient in place, where each would otherwise be filled up with zeros to the input's size and added whole.
    ///
    /// `None` when there is none yet, or the gradient must be differentiable: the rule then gives its own gradient alone.
    ///
    /// ```
    /// use gradus_autograd::{Var, op};
    /// use gradus_tensor::{Float, Tensor};
    /// /// The element at `i` of a vector.
    /// fn pick<T: Float>(x: &Var<T>, i: usize) -> Var<T> {
    ///     let n = x.shape()[0];
    ///     op("pick", [x], x.value().slice(0, i..=i), move |p| match p.take_sum(0) {
    ///         Some(sum) => [Some(sum.into_value().slice_add_into(0, i, 1, p.gy().value()).into())],
    ///         None => [Some(p.gy().pad_step(0, n, i, 1))],
    ///     })
    /// }
    /// let x = Var::leaf([1.0f64, 2.0, 3.0].into());
    /// let y = pick(&x, 0) * pick(&x, 2) + pick(&x, 2);
    /// assert_eq!(y.backward()[&x].to_vec(), [3.0, 0.0, 2.0]);
    /// ```
    pub fn take_sum(&mut self, i: usize) -> Option<Var<T>> {
        let input = self.wanted.input(self.node, i)?;
        self.waiting.as_mut()?.take(input.id)
    }

    /// The value of input `i`, which [`Op::saves`](crate::Op::saves) names; differentiable where the gradients must be.
    ///
    /// # Panics
    /// When the tape does not keep it.
    #[inline]
    #[track_caller]
    pub fn input(&self, i: usize) -> Var<T> {
        kept_input(self.node, self.mode, i)
    }

    /// The shape of input `i`, which needs a gradient.
    ///
    /// # Panics
    /// When the input is a constant, of which the tape knows nothing.
    #[inline]
    #[track_caller]
    pub fn shape(&self, i: usize) -> &Shape {
        &self.node.inputs[i].as_ref().expect("a constant input needs no gradient").shape
    }

    /// How many inputs the op has.
    pub fn len(&self) -> usize {
        self.node.inputs.len()
    }

    /// Whether the op has no input.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The op's result, which [`Op::saves`](crate::Op::saves) names, or which [`op_with_output`](crate::op_with_output) keeps.
    ///
    /// # Panics
    /// When the tape does not keep it, as of an op made by [`op`](crate::op()).
    pub fn y(&self) -> Var<T> {
        kept_output(self.node, self.mode)
    }

    /// The op's result with the value `value`, for a rule that computes it again instead of having the tape keep it.
    pub fn y_from_value(&self, value: Tensor<T>) -> Var<T> {
        match self.mode {
            GradMode::Differentiable => Var::on_tape(value, self.node.clone()),
            GradMode::Plain => Var::constant(value),
        }
    }

    /// What the forward pass kept by [`ForwardContext::save`].
    ///
    /// # Panics
    /// When it kept nothing, or something of another type.
    #[track_caller]
    pub fn residuals<R: 'static>(&self) -> &R {
        kept_residuals(self.node)
    }

    /// Whether input `i` wants a gradient; a rule may skip the work for one that does not.
    #[doc(alias = "needs_input_grad")]
    #[inline]
    pub fn needs(&self, i: usize) -> bool {
        self.wanted.input(self.node, i).is_some()
    }

    /// Whether the gradients must be differentiable themselves. A rule may take a fused short cut on plain
    /// tensors when they need not; it must then give the same values.
    #[inline]
    pub fn is_differentiable(&self) -> bool {
        self.mode == GradMode::Differentiable
    }

    /// Hands the gradient on to `y`, which the rule has recorded anew from the op's inputs and has the value of the op's result: the
    /// walk goes on through what led to it. For an op that stands for a computation of which the tape keeps nothing.
    ///
    /// # Panics
    /// When `y` is a constant.
    #[track_caller]
    pub fn resume_at(&mut self, y: Var<T>) -> Gradients<T> {
        let root = y.node.expect("resume_at: the variable is a constant, and no gradient passes it");
        self.wanted.extend(&nodes_since(&root, self.node.id).0);
        self.ending = Ending::Resumed(root, self.take_gy());
        Gradients::none()
    }

    /// Says that there is no gradient to give, and why: [`grad`](crate::grad) returns it as an error, and
    /// [`Var::backward`] panics with it. What the rule then returns is not read.
    pub fn refuse(&mut self, why: String) {
        self.ending = Ending::Refused(why);
    }
}

/// The inputs' tangents; `None` for zero.
pub(crate) type Tangents<T> = SmallVec<[Option<Var<T>>; 2]>;

/// What [`Op::jvp`](crate::Op::jvp) is given: the inputs' tangents, and what the tape kept.
pub struct JvpContext<'a, T: Float> {
    pub(crate) tangents: &'a Tangents<T>,
    pub(crate) node: &'a Arc<Node<T>>,
    pub(crate) mode: GradMode,
}

impl<T: Float> JvpContext<'_, T> {
    /// The tangent of input `i`, of its shape; `None` for zero.
    pub fn tangent(&self, i: usize) -> Option<&Var<T>> {
        self.tangents[i].as_ref()
    }

    /// The value of input `i`, which [`Op::saves`](crate::Op::saves) names.
    ///
    /// # Panics
    /// When the tape does not keep it.
    #[track_caller]
    pub fn input(&self, i: usize) -> Var<T> {
        kept_input(self.node, self.mode, i)
    }

    /// The op's result, which [`Op::saves`](crate::Op::saves) names.
    ///
    /// # Panics
    /// When the tape does not keep it.
    pub fn y(&self) -> Var<T> {
        kept_output(self.node, self.mode)
    }

    /// The shape of the op's result.
    pub fn output_shape(&self) -> &Shape {
        &self.node.shape
    }

    /// What the forward pass kept by [`ForwardContext::save`].
    ///
    /// # Panics
    /// When it kept nothing, or something of another type.
    #[track_caller]
    pub fn residuals<R: 'static>(&self) -> &R {
        kept_residuals(self.node)
    }

    /// Whether the tangent must be differentiable itself.
    pub fn is_differentiable(&self) -> bool {
        self.mode == GradMode::Differentiable
    }

    /// The result's tangent for a function of inputs 0 and 1, both kept, that is linear in each: `f(da, b) + f(a, db)`.
    pub fn bilinear(&self, f: impl Fn(&Var<T>, &Var<T>) -> Var<T>) -> Var<T> {
        match (self.tangent(0), self.tangent(1)) {
            (Some(da), Some(db)) => f(da, &self.input(1)) + f(&self.input(0), db),
            (Some(da), None) => f(da, &self.input(1)),
            (None, db) => f(&self.input(0), db.expect("one of the operands moves")),
        }
    }

    pub(crate) fn inputs(&self) -> &Inputs<T> {
        &self.node.inputs
    }
}
