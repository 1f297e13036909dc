//! Functions of one element; those made for networks are in `activation.rs`. An entry of the table yields the method, its documentation, the rule for
//! derivatives of any order, and the samples that it is checked on.

use crate::attributes::Attributes;
use crate::calculus::{Calculus, Val};
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::limits;
use crate::ops::listed::{Listed, apply};
use crate::ops::no_nan::times_gradient;
use crate::ops::unary_rule::{Reads, UnaryRule};
use crate::sampling::{Case, ListedOp, OpSample, Sampled, draw};
use crate::tape_end::{Cut, End};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Real, Tensor, functions};

#[compiled_once]
impl<T: Float> Var<T> {
    /// Applies a function of one element, given with its derivative. Where the gradient of the result is 0, so is that of
    /// the operand, even where the slope is infinite or NaN, as that of the square root at 0.
    ///
    /// ```
    /// use gradus_autograd::{Calculus, UnaryRule, Var};
    /// use gradus_tensor::Real;
    /// /// x^4
    /// #[derive(Clone, Copy)]
    /// struct Fourth;
    /// impl UnaryRule for Fourth {
    ///     const NAME: &'static str = "fourth";
    ///     fn f<S: Real>(self, x: S) -> S {
    ///         x.powi(4)
    ///     }
    ///     fn d<S: Calculus>(self, x: &S, _: &S) -> S {
    ///         S::lit(4.0) * x.powf(3.0)
    ///     }
    /// }
    /// let x = Var::leaf([2.0f64].into());
    /// assert_eq!(x.apply(Fourth).sum(..).backward()[&x].item(), 32.0);
    /// ```
    #[track_caller]
    pub fn apply<R: UnaryRule>(&self, rule: R) -> Var<T> {
        crate::apply::apply(Unary(rule), &[self])
    }
}

/// A function of one element, as an op.
pub(crate) struct Unary<R>(pub(super) R);

impl<T: Float, R: UnaryRule> Op<T> for Unary<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn attributes(&self) -> Attributes {
        self.0.attributes()
    }

    fn kind(&self) -> OpKind {
        OpKind::Elementwise
    }

    fn saves(&self) -> Saves {
        match R::READS {
            Reads::Nothing => Saves::NOTHING,
            Reads::Input => Saves::inputs(&[0]),
            Reads::Output => Saves::OUTPUT,
        }
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        self.0.value(cx.input(0))
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        if R::READS == Reads::Nothing {
            return cx.scaled(self.0.d(&Val(T::zero()), &Val(T::zero())).0.to_f64());
        }
        let read = cx.read(R::READS);
        pull(self.0, cx, &read).into()
    }

    fn has_symmetric_jacobian(&self) -> bool {
        true
    }
}

#[compiled_once]
impl<T: Float> VjpContext<'_, T> {
    fn scaled(&mut self, slope: f64) -> Gradients<T> {
        (self.take_gy() * slope).into()
    }

    /// What the slope is computed from.
    fn read(&self, reads: Reads) -> Var<T> {
        if reads == Reads::Output { self.y() } else { self.input(0) }
    }
}

/// `gy * d(read)`, and 0 where `gy` is 0 whatever the slope: one fused loop over numbers, or differentiable ops over
/// variables.
fn pull<R: UnaryRule, T: Float>(rule: R, p: &mut VjpContext<'_, T>, read: &Var<T>) -> Var<T> {
    if p.is_differentiable() {
        let slope = rule.d(read, read);
        let product = slope.mul_no_nan(p.gy());
        return limits::of_pole(R::NAME, &|r| rule.d(&Val(r), &Val(r)).0, read, &slope, p.gy(), product);
    }
    let d = move |g: T, v: T| times_gradient(rule.d(&Val(v), &Val(v)).0, g);
    Var::constant(p.take_gy().into_value().zip_map_into(R::NAME, read.value(), d))
}

#[compiled_once]
impl<T: Float> Calculus for Var<T> {
    fn lit(v: f64) -> Self {
        Var::constant(Tensor::scalar(T::lit(v)))
    }
    fn recip(&self) -> Self {
        Var::recip(self)
    }
    fn square(&self) -> Self {
        Var::square(self)
    }
    fn sqrt(&self) -> Self {
        Var::sqrt(self)
    }
    fn exp(&self) -> Self {
        Var::exp(self)
    }
    fn ln(&self) -> Self {
        Var::ln(self)
    }
    fn sin(&self) -> Self {
        Var::sin(self)
    }
    fn cos(&self) -> Self {
        Var::cos(self)
    }
    fn sinh(&self) -> Self {
        Var::sinh(self)
    }
    fn cosh(&self) -> Self {
        Var::cosh(self)
    }
    fn tanh(&self) -> Self {
        Var::tanh(self)
    }
    fn sigmoid(&self) -> Self {
        Var::sigmoid(self)
    }
    fn erf(&self) -> Self {
        Var::erf(self)
    }
    fn powf(&self, p: f64) -> Self {
        Var::powf(self, p)
    }
    fn sign(&self) -> Self {
        step(self, self.value().sign())
    }
    fn within(&self, low: f64, high: f64) -> Self {
        step(self, self.value().map(move |v| Val(v).within(low, high).0))
    }
    fn between(&self, low: f64, high: f64) -> Self {
        step(self, self.value().map(move |v| Val(v).between(low, high).0))
    }
    fn step(&self) -> Self {
        step(self, self.value().map(|v| Val(v).step().0))
    }
    fn clamp(&self, low: f64, high: f64) -> Self {
        Var::clamp(self, low, high)
    }
}

/// The value of a step function at `x`: a constant.
#[track_caller]
fn step<T: Float>(x: &Var<T>, y: Tensor<T>) -> Var<T> {
    Var::cut_at(y, if x.requires_grad() { Cut::here(End::Step) } else { x.cut })
}

/// What the arguments of `d(x, y)` say is read.
macro_rules! reads {
    (_, _) => {
        Reads::Nothing
    };
    ($x:ident, _) => {
        Reads::Input
    };
    (_, $y:ident) => {
        Reads::Output
    };
}
pub(crate) use reads;

/// `name(parameter: type = sample) on low..high => d(x, y) = derivative;` The value is [`gradus_tensor::functions`]' function of this
/// name, and the tensor's method.
macro_rules! unary {
    ($(
        $(#[$doc:meta])*
        $name:ident $(($($p:ident: $pt:ty = $sample:expr),+))? on $($domain:expr),+ => d($x:tt, $y:tt) = $d:expr;
    )*) => {
        $(
            mod $name {
                use super::*;

                #[derive(Clone, Copy)]
                pub(super) struct Rule { $($(pub(super) $p: $pt),+)? }

                impl UnaryRule for Rule {
                    const NAME: &'static str = stringify!($name);
                    const READS: Reads = reads!($x, $y);
                    $(fn attributes(self) -> Attributes {
                        Attributes::new()$(.with(stringify!($p), self.$p))+
                    })?
                    #[inline(always)]
                    fn f<S: Real>(self, x: S) -> S {
                        functions::$name(x $($(, self.$p)+)?)
                    }
                    #[track_caller]
                    fn value<T: Float>(self, x: &Tensor<T>) -> Tensor<T> {
                        x.$name($($(self.$p),+)?)
                    }
                    #[inline(always)]
                    fn d<S: Calculus>(self, $x: &S, $y: &S) -> S {
                        $(
                            let Self { $($p),+ } = self;
                            $(let _ = $p;)+ // a formula may need no parameter
                        )?
                        $d
                    }
                }
            }
        )*
        #[gradus_tensor::compiled_once::compiled_once]
        impl<T: Float> Var<T> {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self $($(, $p: $pt)+)?) -> Var<T> {
                apply(Unary($name::Rule { $($($p),+)? }), &[self])
            }
        )*}
        $(
            impl<T: Float> Sampled<T> for Unary<$name::Rule> {
                fn samples() -> Vec<OpSample<T>> {
                    vec![OpSample::new(stringify!($name), |rng| {
                        let domains = [$($domain),+];
                        let domain = domains[rng.below(domains.len())].clone();
                        Case::new([draw::tensor(rng, domain)], |v| v[0].$name($($($sample),+)?))
                            .with_dual(|x| $name::Rule { $($($p: $sample),+)? }.f(x))
                    })
                    .elementwise()]
                }
            }
            impl<T: Float> Listed<T> for Unary<$name::Rule> {}
        )*
        /// The table's part of the list of ops.
        pub(crate) fn listed<T: Float>() -> Vec<ListedOp<T>> {
            vec![$(ListedOp::of::<Unary<$name::Rule>>()),*]
        }
    };
}

pub(crate) use unary;

/// `1 - x²`: as a product where the difference would cancel, near ±1, and as a difference where the product's derivative would,
/// near 0.
#[inline(always)]
fn complement<S: Calculus>(x: &S) -> S {
    let (one, near) = (S::lit(1.0), x.within(-0.5, 0.5));
    let product = (one.clone() - x.clone()) * (one.clone() + x.clone());
    near.clone() * (one.clone() - x.square()) + (one - near) * product
}

unary! {
    /// `y = x²`, `dx = 2 x dy`.
    square on -2.0..2.0 => d(x, _) = S::lit(2.0) * x.clone();
    /// `y = 1/x`, `dx = -y² dy`.
    #[doc(alias = "reciprocal")]
    recip on 0.4..3.0, -3.0..-0.4 => d(_, y) = -y.square();
    /// Square root: `dx = dy / (2 y)`.
    sqrt on 0.2..4.0 => d(_, y) = S::lit(0.5) / y.clone();
    /// `y = e^x`, `dx = y dy`.
    exp on -2.0..2.0 => d(_, y) = y.clone();
    /// `y = e^x - 1`, exact near 0; `dx = e^x dy`.
    exp_m1 on -2.0..2.0 => d(x, _) = x.exp(); // y + 1 would cancel where y is near -1
    /// `y = 2^x`, `dx = ln 2 · y dy`.
    exp2 on -2.0..2.0 => d(_, y) = y.clone() * S::lit(std::f64::consts::LN_2);
    /// Natural logarithm: `dx = dy / x`.
    #[doc(alias = "log")]
    ln on 0.2..5.0 => d(x, _) = x.recip();
    /// `y = ln(1 + x)`, exact near 0; `dx = dy / (1 + x)`.
    #[doc(alias = "log1p")]
    ln_1p on -0.7..3.0 => d(x, _) = (x.clone() + S::lit(1.0)).recip();
    /// Logarithm to base 2: `dx = dy / (x ln 2)`.
    log2 on 0.2..5.0 => d(x, _) = S::lit(std::f64::consts::LOG2_E) / x.clone();
    /// Logarithm to base 10: `dx = dy / (x ln 10)`.
    log10 on 0.2..5.0 => d(x, _) = S::lit(std::f64::consts::LOG10_E) / x.clone();
    /// Sine of radians: `dx = cos x dy`.
    sin on -3.0..3.0 => d(x, _) = x.cos();
    /// Cosine of radians: `dx = -sin x dy`.
    cos on -3.0..3.0 => d(x, _) = -x.sin();
    /// Tangent of radians: `dx = (1 + y²) dy`.
    tan on -1.2..1.2 => d(_, y) = S::lit(1.0) + y.square();
    /// Inverse sine: `dx = dy / √(1 - x²)`.
    #[doc(alias = "arcsin")]
    asin on -0.8..0.8 => d(x, _) = complement(x).sqrt().recip();
    /// Inverse cosine: `dx = -dy / √(1 - x²)`.
    #[doc(alias = "arccos")]
    acos on -0.8..0.8 => d(x, _) = -complement(x).sqrt().recip();
    /// Inverse tangent: `dx = dy / (1 + x²)`.
    #[doc(alias = "arctan")]
    atan on -3.0..3.0 =>
        // By the root, as the square of the slope, which the second derivative would read, underflows long before that.
        d(x, _) = (S::lit(1.0) + x.square()).sqrt().recip().square();
    /// Hyperbolic sine: `dx = cosh x dy`.
    sinh on -2.0..2.0 => d(x, _) = x.cosh();
    /// Hyperbolic cosine: `dx = sinh x dy`.
    cosh on -2.0..2.0 => d(x, _) = x.sinh();
    /// Hyperbolic tangent: `dx = (1 - y²) dy`, to the precision of 1: 0 where `y` has rounded to ±1, as in PyTorch.
    tanh on -3.0..3.0 => d(_, y) = S::lit(1.0) - y.square();
    /// `y = 1 / (1 + e^-x)`, `dx = y (1 - y) dy`: exact for negative `x`, and 0 where `y` has rounded to 1, as in PyTorch.
    #[doc(alias("expit", "logistic"))]
    sigmoid on -4.0..4.0 => d(_, y) = y.clone() - y.square();
    /// The error function: `dx = 2/√π e^(-x²) dy`.
    erf on -2.0..2.0 => d(x, _) = (-x.square()).exp() * S::lit(std::f64::consts::FRAC_2_SQRT_PI);
    /// `x^p` for a fixed power `p`: `dx = p x^(p-1) dy`.
    #[doc(alias = "pow")]
    powf(p: f64 = 3.0) on 0.3..2.0, -2.0..-0.3 =>
        // 0 · 0^-1 would be NaN: the slope of a constant is 0 everywhere.
        d(x, _) = if p == 0.0 { S::lit(0.0) } else { S::lit(p) * x.powf(p - 1.0) };
    /// `min(max(x, low), high)`: values below `low` become `low`, above `high` become `high`; all become `high` where `low` is
    /// above it. The derivative is 1 between the two, and 0 outside, at both of them and at NaN, as in PyTorch.
    #[doc(alias = "clip")]
    clamp(low: f64 = -1.0, high: f64 = 1.0) on -0.9..0.9, 1.1..2.0, -2.0..-1.1 => d(x, _) = x.between(low, high);
    /// 1, -1 or 0 by the sign; the derivative is 0.
    sign on 0.2..3.0, -3.0..-0.2 => d(_, _) = S::lit(0.0);
    /// Down to a whole number; the derivative is 0.
    floor on 0.2..0.8, -1.8..-1.2 => d(_, _) = S::lit(0.0);
    /// Up to a whole number; the derivative is 0.
    ceil on 0.2..0.8, -1.8..-1.2 => d(_, _) = S::lit(0.0);
    /// To the nearest whole number, halves to even; the derivative is 0. [`round_ste`](Self::round_ste) lets the gradient pass.
    #[doc(alias = "rint")]
    round on 0.7..1.3, -1.3..-0.7 => d(_, _) = S::lit(0.0);
    /// Towards zero to a whole number; the derivative is 0.
    #[doc(alias = "fix")]
    trunc on 0.2..0.8, -1.8..-1.2 => d(_, _) = S::lit(0.0);
}
