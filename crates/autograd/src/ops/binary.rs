//! Functions of two operands that broadcast against each other. Their rules do not mention
//! broadcasting: [`Var::sum_to`] brings each gradient back to its operand's shape.
//!
//! Slopes and gradients are multiplied by [`Var::mul_no_nan`], here and in all rules of elementwise functions: a gradient
//! of 0 gives 0, be the slope infinite or NaN.

use crate::op::{Pull, op};
use crate::ops::no_nan::quotient;
use crate::samples::{Case, OpSample, draw};
use crate::var::Var;
use gradus_tensor::once::compiled_once;
use gradus_tensor::{Float, Shape, Tensor};

/// Records a broadcasting op; `da` and `db` give the gradients in the result's shape.
#[track_caller]
pub(super) fn binary<T: Float>(
    name: &'static str,
    a: &Var<T>,
    b: &Var<T>,
    y: Tensor<T>,
    da: impl Fn(&mut Pull<'_, T>) -> Var<T> + Send + Sync + 'static,
    db: impl Fn(&mut Pull<'_, T>) -> Var<T> + Send + Sync + 'static,
) -> Var<T> {
    let (sa, sb): (Shape, Shape) = (a.shape().clone(), b.shape().clone());
    op(name, [a, b], y, move |p| [p.needs(0).then(|| da(p).sum_to(&sa)), p.needs(1).then(|| db(p).sum_to(&sb))])
}

macro_rules! when_read {
    (_, $v:ident) => {};
    ($name:ident, $v:ident) => {
        let $name = $v.clone();
    };
}

/// `name on domain a, domain b => value; da(g, a, b) = ..., db(g, a, b) = ...;` An operand written `_` is
/// not kept on the tape.
macro_rules! binary_table {
    ($(
        $(#[$doc:meta])*
        $name:ident on ($($da:expr, $db:expr);+) => |$x:ident, $y:ident| $f:expr,
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
                let y = self.value().zip_map(stringify!($name), other.value(), |$x: T, $y: T| $f);
                let for_a = {
                    when_read!($aa, self);
                    when_read!($ab, other);
                    move |p: &mut Pull<'_, T>| { let $ga = p.gy(); $ea }
                };
                let for_b = {
                    when_read!($ba, self);
                    when_read!($bb, other);
                    move |p: &mut Pull<'_, T>| { let $gb = p.gy(); $eb }
                };
                binary(stringify!($name), self, other, y, for_a, for_b)
            }
        )*}
        pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
            vec![$($(
                OpSample::new(stringify!($name), |rng| {
                    let (a, b) = draw::broadcast_pair(rng, $da, $db);
                    Case::new([a, b], |v| v[0].$name(&v[1]))
                }),
            )+)*]
        }
    };
}

binary_table! {
    /// `a + b`; also the operator `+`.
    add on (-2.0..2.0, -2.0..2.0) => |x, y| x + y, da(g, _, _) = g.clone(), db(g, _, _) = g.clone();
    /// `a - b`; also the operator `-`.
    sub on (-2.0..2.0, -2.0..2.0) => |x, y| x - y, da(g, _, _) = g.clone(), db(g, _, _) = -g;
    /// `a * b`, elementwise; also the operator `*`.
    mul on (-2.0..2.0, -2.0..2.0) => |x, y| x * y, da(g, _, b) = b.mul_no_nan(g), db(g, a, _) = a.mul_no_nan(g);
    /// `a / b`, elementwise; also the operator `/`.
    div on (-2.0..2.0, 0.5..2.0) => |x, y| x / y,
        da(g, _, b) = quotient(g, &b), db(g, a, b) = -(&a / &b / &b).mul_no_nan(g);
    /// `a^b`, elementwise: `da = b a^(b-1) dy`, 0 where `b` is 0; `db = a^b ln a dy`, 0 where `a` is 0 and `b` is not negative.
    pow on (0.4..2.0, -2.0..2.0) => |x, y| x.powf(y),
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
    atan2 on (0.3..2.0, -2.0..2.0) => |x, y| x.atan2(y),
        da(g, a, b) = over_squares(&b, &a, &b).mul_no_nan(g),
        db(g, a, b) = -over_squares(&a, &a, &b).mul_no_nan(g);
    /// The larger of two; of equals, each gets half of the gradient, as in PyTorch.
    maximum on (-2.0..-0.1, 0.1..2.0; 0.1..2.0, -2.0..-0.1) => |x, y| x.maximum(y),
        da(g, a, b) = share(&a, &b, 1.0).mul_no_nan(g), db(g, a, b) = share(&a, &b, -1.0).mul_no_nan(g);
    /// The smaller of two; of equals, each gets half of the gradient, as in PyTorch.
    minimum on (-2.0..-0.1, 0.1..2.0; 0.1..2.0, -2.0..-0.1) => |x, y| x.minimum(y),
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
