//! Functions of two operands that broadcast against each other. Their rules do not mention
//! broadcasting: [`Var::sum_to`] brings each gradient back to its operand's shape.
//!
//! Slopes and gradients are multiplied by [`Var::mul_no_nan`], here and in all rules of elementwise functions: a gradient
//! of 0 gives 0, be the slope infinite or NaN.

use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::{Listed, apply};
use crate::ops::no_nan::quotient;
use crate::sampling::{Case, ListedOp, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Tensor};

/// Whether an operand is written by its name.
macro_rules! is_read {
    (_) => {
        false
    };
    ($name:ident) => {
        true
    };
}

macro_rules! when_read {
    (_, $cx:ident, $i:literal) => {};
    ($name:ident, $cx:ident, $i:literal) => {
        let $name = $cx.input($i);
    };
}

/// `Type name on domain a, domain b => value of two tensors; da(g, a, b) = ..., db(g, a, b) = ...;` An operand written `_` is
/// not kept on the tape.
macro_rules! binary_table {
    ($(
        $(#[$doc:meta])*
        $op:ident $name:ident on ($($da:expr, $db:expr);+) => |$x:ident, $y:ident| $f:expr,
            da($ga:ident, $aa:tt, $ab:tt) = $ea:expr, db($gb:ident, $ba:tt, $bb:tt) = $eb:expr;
    )*) => {
        #[compiled_once]
        impl<T: Float> Var<T> {$(
            $(#[$doc])*
            ///
            /// # Panics
            /// When the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, other: &Var<T>) -> Var<T> {
                apply($op, &[self, other])
            }
        )*}
        $(
            pub(crate) struct $op;

            impl<T: Float> Op<T> for $op {
                fn name(&self) -> &'static str {
                    stringify!($name)
                }

                fn kind(&self) -> OpKind {
                    OpKind::Elementwise
                }

                fn saves(&self) -> Saves {
                    const A: bool = is_read!($aa) || is_read!($ba);
                    const B: bool = is_read!($ab) || is_read!($bb);
                    const { Saves::NOTHING.with_input(0, A).with_input(1, B) }
                }

                fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
                    let ($x, $y) = (cx.input(0), cx.input(1));
                    $f
                }

                fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
                    let da = cx.needs(0).then(|| {
                        when_read!($aa, cx, 0);
                        when_read!($ab, cx, 1);
                        let $ga = cx.gy();
                        $ea.sum_to(cx.shape(0))
                    });
                    let db = cx.needs(1).then(|| {
                        when_read!($ba, cx, 0);
                        when_read!($bb, cx, 1);
                        let $gb = cx.gy();
                        $eb.sum_to(cx.shape(1))
                    });
                    [da, db].into()
                }
            }

            impl<T: Float> Sampled<T> for $op {
                fn samples() -> Vec<OpSample<T>> {
                    vec![$(
                        OpSample::new(stringify!($name), |rng| {
                            let (a, b) = draw::broadcast_pair(rng, $da, $db);
                            Case::new([a, b], |v| v[0].$name(&v[1]))
                        })
                        .elementwise(),
                    )+]
                }
            }
            impl<T: Float> Listed<T> for $op {}
        )*
        /// The table's part of the list of ops.
        pub(crate) fn listed<T: Float>() -> Vec<ListedOp<T>> {
            vec![$(ListedOp::of::<$op>()),*]
        }
    };
}

binary_table! {
    /// `a + b`; also the operator `+`.
    Add add on (-2.0..2.0, -2.0..2.0) => |x, y| x + y, da(g, _, _) = g.clone(), db(g, _, _) = g.clone();
    /// `a - b`; also the operator `-`.
    Sub sub on (-2.0..2.0, -2.0..2.0) => |x, y| x - y, da(g, _, _) = g.clone(), db(g, _, _) = -g;
    /// `a * b`, elementwise; also the operator `*`.
    Mul mul on (-2.0..2.0, -2.0..2.0) => |x, y| x * y, da(g, _, b) = b.mul_no_nan(g), db(g, a, _) = a.mul_no_nan(g);
    /// `a / b`, elementwise; also the operator `/`.
    Div div on (-2.0..2.0, 0.5..2.0) => |x, y| x / y,
        da(g, _, b) = quotient(g, &b), db(g, a, b) = -(&a / &b / &b).mul_no_nan(g);
    /// `a^b`, elementwise: `da = b a^(b-1) dy`, 0 where `b` is 0; `db = a^b ln a dy`, 0 where `a` is 0 and `b` is not negative.
    #[doc(alias = "power")]
    Pow pow on (0.4..2.0, -2.0..2.0) => |x, y| x.pow(y),
        da(g, a, b) = {
            let zero = b.value().eq(0.0);
            let power = a.pow(&(&b - 1.0));
            let lost = a.value().zip_map("pow", power.value(), |a, p| p == T::INFINITY && a > T::zero() && a < T::one());
            let mut slope = &b * power;
            if lost.any() {
                // b a^b / a may be small where a^(b-1) overflows.
                slope = (&b * a.pow(&b) / &a).where_(&lost, &slope);
            }
            slope.masked_fill(&zero, 0.0).mul_no_nan(g)
        },
        db(g, a, b) = {
            // 0^b is 0 for every b > 0, and ∞^b for every b < 0, but the logarithm would make both NaN.
            let flat = |a: T, b: T| (a == T::zero() && b >= T::zero()) || (a == T::INFINITY && b < T::zero());
            let flat = a.value().zip_map("pow", b.value(), flat);
            (a.pow(&b) * a.ln()).masked_fill(&flat, 0.0).mul_no_nan(g)
        };
    /// The angle of the point `(b, a)`: `da = b / (a² + b²) dy`, `db = -a / (a² + b²) dy`. At the origin, which has no angle,
    /// the gradient is 0, as in PyTorch, and second derivatives are NaN; at infinity both are 0.
    #[doc(alias = "arctan2")]
    Atan2 atan2 on (0.3..2.0, -2.0..2.0) => |x, y| x.atan2(y),
        da(g, a, b) = over_squares(&b, &a, &b).mul_no_nan(g),
        db(g, a, b) = -over_squares(&a, &a, &b).mul_no_nan(g);
    /// The larger of two; of equals, each gets half of the gradient, as in PyTorch.
    Maximum maximum on (-2.0..-0.1, 0.1..2.0; 0.1..2.0, -2.0..-0.1) => |x, y| x.maximum(y),
        da(g, a, b) = share(&a, &b, 1.0).mul_no_nan(g), db(g, a, b) = share(&a, &b, -1.0).mul_no_nan(g);
    /// The smaller of two; of equals, each gets half of the gradient, as in PyTorch.
    Minimum minimum on (-2.0..-0.1, 0.1..2.0; 0.1..2.0, -2.0..-0.1) => |x, y| x.minimum(y),
        da(g, a, b) = share(&a, &b, -1.0).mul_no_nan(g), db(g, a, b) = share(&a, &b, 1.0).mul_no_nan(g);
}

/// `n / (a² + b²)`. Where the squares overflow or vanish, all three are divided by a power of two first.
fn over_squares<T: Float>(n: &Var<T>, a: &Var<T>, b: &Var<T>) -> Var<T> {
    let squares = a.square() + b.square();
    let safe = |s: T| s >= T::TINY / T::EPSILON && s < T::INFINITY;
    if squares.value().map(safe).all() {
        return n / &squares;
    }
    let (size_a, size_b) = (a.value().abs(), b.value().abs());
    let larger = size_a.maximum(&size_b);
    let unit = Var::constant(larger.map(T::binade));
    let (n, a, b) = (n / &unit, a / &unit, b / &unit);
    let slope = n / (a.square() + b.square()) / &unit;
    // 0 at the origin, whatever the direction, so a second derivative is NaN.
    let origin = Var::constant(Tensor::scalar(T::NAN)).mul_no_nan(&(a + b));
    let infinite = size_a.zip_map("atan2", &size_b, |a, b| a == T::INFINITY || b == T::INFINITY);
    origin.where_(&larger.eq(0.0), &slope).masked_fill(&infinite, 0.0)
}

/// 1 where `sign · a` is above `sign · b`, 1/2 where they are equal, 0 where it is below; NaN where either is.
fn share<T: Float>(a: &Var<T>, b: &Var<T>, sign: f64) -> Var<T> {
    let (sign, half) = (T::lit(sign), T::lit(0.5));
    // Two infinities are equal, though their difference is NaN.
    let share = move |a: T, b: T| if a == b { half } else { half + half * sign * (a - b).sign() };
    Var::constant(a.value().zip_map("maximum", b.value(), share))
}
