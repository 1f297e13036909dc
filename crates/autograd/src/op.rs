//! Operations as values: one trait says everything about an op.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, JvpContext, VjpContext};
use crate::var::Var;
use gradus_tensor::{Float, Tensor};
use std::any::Any;

/// A differentiable operation: what it computes, and how derivatives pass it.
///
/// A value of a type that implements this is one op with its attributes: `Conv2d { stride, padding, .. }`. [`apply`](crate::apply)
/// computes its value and records it. The ops of Gradus implement it as yours do; [`op`](crate::op) is a short form for an op without
/// attributes whose value is there already.
///
/// ```
/// use gradus_autograd::{Attributes, ForwardContext, Gradients, Op, Saves, Var, VjpContext, apply};
/// use gradus_tensor::{Float, Tensor};
/// /// `exponent · x^(exponent - 1)` is the derivative of `x^exponent`.
/// struct Power {
///     exponent: f64,
/// }
/// impl<T: Float> Op<T> for Power {
///     fn name(&self) -> &'static str {
///         "power"
///     }
///     fn attributes(&self) -> Attributes {
///         Attributes::new().with("exponent", self.exponent)
///     }
///     fn saves(&self) -> Saves {
///         Saves::inputs(&[0])
///     }
///     fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
///         cx.input(0).powf(self.exponent)
///     }
///     fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
///         (cx.gy() * cx.input(0).powf(self.exponent - 1.0) * self.exponent).into()
///     }
/// }
/// let x = Var::leaf([2.0f64].into());
/// let y = apply(Power { exponent: 3.0 }, &[&x]);
/// assert_eq!(y.op().unwrap().attributes().to_string(), "exponent=3");
/// assert_eq!(y.backward()[&x].item(), 12.0);
/// ```
#[doc(alias("Function", "autograd.Function", "Primitive"))]
pub trait Op<T: Float>: Any + Send + Sync {
    /// The name on the tape: `conv2d`.
    fn name(&self) -> &'static str;

    /// What decides the result besides the inputs: stride, axes, exponent.
    fn attributes(&self) -> Attributes {
        Attributes::new()
    }

    /// What sort of work it is; pictures of the tape show it by colour.
    fn kind(&self) -> OpKind {
        OpKind::Other
    }

    /// What the tape keeps for the rule.
    fn saves(&self) -> Saves {
        Saves::NOTHING
    }

    /// The value, computed from the inputs ([`ForwardContext::input`]) and the attributes alone.
    #[track_caller]
    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T>;

    /// The reverse rule: turns the gradient of the result ([`VjpContext::gy`]) into one for each input, of the input's shape. `None`
    /// where [`VjpContext::needs`] says that none is needed. Written in ops on variables, it is differentiable, to any order.
    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T>;

    /// The forward rule: the result's tangent from those of the inputs, for [`jvp`](crate::jvp) and what is made of it. `None`, the
    /// default, derives it from [`vjp`](Self::vjp), so a rule of its own is for speed only.
    #[doc(alias = "custom_jvp")]
    fn jvp(&self, _: &JvpContext<'_, T>) -> Option<Var<T>> {
        None
    }

    /// Whether the op has one input, of its result's shape, and a symmetric Jacobian, as every elementwise op has: then
    /// [`vjp`](Self::vjp) serves as the forward rule.
    fn has_symmetric_jacobian(&self) -> bool {
        false
    }
}

/// What sort of work an op does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpKind {
    /// No op: a variable that derivatives are taken with respect to.
    Leaf,
    /// Matrix products and convolutions.
    Product,
    /// Functions of one element, or of one of each operand.
    Elementwise,
    /// Sums and maxima over axes or windows.
    Reduction,
    /// Other shapes and orders of the same elements; indexing.
    Shape,
    /// Softmax and losses.
    Loss,
    /// Anything else.
    Other,
}

/// What the tape keeps for an op's rule: some inputs' values, and the result.
///
/// ```
/// use gradus_autograd::Saves;
/// // The first input, and the result.
/// const SAVES: Saves = Saves::inputs(&[0]).and_output();
/// ```
#[doc(alias = "save_for_backward")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saves {
    /// A bit an input; all ones for all inputs, however many.
    inputs: u64,
    pub(crate) output: bool,
}

impl Saves {
    /// Nothing: the rule reads the gradient alone.
    pub const NOTHING: Self = Self { inputs: 0, output: false };
    /// The result.
    pub const OUTPUT: Self = Self { inputs: 0, output: true };
    /// Every input.
    pub const ALL_INPUTS: Self = Self { inputs: u64::MAX, output: false };

    /// The inputs of these numbers.
    ///
    /// # Panics
    /// When a number is 63 or more; there is [`ALL_INPUTS`](Self::ALL_INPUTS).
    pub const fn inputs(numbers: &[usize]) -> Self {
        let (mut mask, mut i) = (0, 0);
        while i < numbers.len() {
            assert!(numbers[i] < 63, "Saves::inputs: an input of number 63 or more; say ALL_INPUTS");
            mask |= 1 << numbers[i];
            i += 1;
        }
        Self { inputs: mask, output: false }
    }

    /// And the result.
    #[must_use]
    pub const fn and_output(self) -> Self {
        Self { output: true, ..self }
    }

    /// And input `i`, if `kept`.
    pub(crate) const fn with_input(self, i: usize, kept: bool) -> Self {
        Self { inputs: self.inputs | (kept as u64) << i, ..self }
    }

    pub(crate) fn has_input(self, i: usize) -> bool {
        self.inputs == u64::MAX || (i < 63 && self.inputs >> i & 1 == 1)
    }

    /// How many values are kept of `inputs` inputs.
    pub(crate) fn count(self, inputs: usize) -> usize {
        let kept = if self.inputs == u64::MAX { inputs } else { self.inputs.count_ones() as usize };
        kept + usize::from(self.output)
    }

    /// The place of input `i` among the kept values.
    pub(crate) fn slot(self, i: usize) -> usize {
        if self.inputs == u64::MAX { i } else { (self.inputs & ((1 << i) - 1)).count_ones() as usize }
    }
}

/// What a reverse rule gives: a gradient for each input, `None` where none is needed.
///
/// It is made from one variable, for an op of one input, or from an array or a vector of gradients: `[dx, dw].into()`.
pub struct Gradients<T: Float>(pub(crate) Given<T>);

/// One and two lie in the value itself, and only what is there is written.
pub(crate) enum Given<T: Float> {
    One([Option<Var<T>>; 1]),
    Two([Option<Var<T>>; 2]),
    Many(Vec<Option<Var<T>>>),
}

impl<T: Float> Gradients<T> {
    /// None at all.
    pub(crate) fn none() -> Self {
        Self(Given::Many(Vec::new()))
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Option<Var<T>>] {
        match &mut self.0 {
            Given::One(grads) => grads,
            Given::Two(grads) => grads,
            Given::Many(grads) => grads,
        }
    }
}

impl<T: Float> From<Var<T>> for Gradients<T> {
    #[inline]
    fn from(g: Var<T>) -> Self {
        Self(Given::One([Some(g)]))
    }
}

impl<T: Float, const N: usize> From<[Option<Var<T>>; N]> for Gradients<T> {
    #[inline]
    fn from(grads: [Option<Var<T>>; N]) -> Self {
        let mut grads = grads.into_iter();
        let mut next = || grads.next().flatten();
        match N {
            1 => Self(Given::One([next()])),
            2 => Self(Given::Two([next(), next()])),
            _ => Self(Given::Many(grads.collect())),
        }
    }
}

impl<T: Float, const N: usize> From<[Var<T>; N]> for Gradients<T> {
    #[inline]
    fn from(grads: [Var<T>; N]) -> Self {
        grads.map(Some).into()
    }
}

impl<T: Float> From<Vec<Option<Var<T>>>> for Gradients<T> {
    fn from(grads: Vec<Option<Var<T>>>) -> Self {
        Self(Given::Many(grads))
    }
}

impl<T: Float> FromIterator<Option<Var<T>>> for Gradients<T> {
    fn from_iter<I: IntoIterator<Item = Option<Var<T>>>>(grads: I) -> Self {
        Self(Given::Many(grads.into_iter().collect()))
    }
}
