//! Second derivatives where a slope is infinite or undefined and the gradient that meets it is 0.
//!
//! A rule multiplies the two and gives 0 (`no_nan.rs`). That is the gradient of what [`Var::where_`] left out, but not of
//! `f(y)` with `f'(y) = 0` where `y` is 0: there the product has a limit, by the rule of Bernoulli and l'Hôpital, and the
//! second derivative depends on it. The limit needs `f''`, the derivative of the gradient that comes in by `y`, which is on
//! the tape when gradients are differentiable. The price is a backward pass or two, paid at singular points only.

use crate::backward::{gradients, reaches_past};
use crate::mode::GradMode;
use crate::var::Var;
use gradus_tensor::{Float, Tensor};
use std::cell::Cell;

/// Up to so many places are looked at one by one.
const PLACES: usize = 64;

thread_local! {
    /// Whether this thread looks for a limit. On the way it takes no other.
    static LOOKING: Cell<bool> = const { Cell::new(false) };
    static PROBING: Cell<bool> = const { Cell::new(false) };
}

/// Whether a slope that a rule takes as 0 by convention must show itself, as NaN.
pub(super) fn is_probing() -> bool {
    PROBING.get()
}

/// Switches a flag of the thread off again, when a rule panics too.
struct Switched(&'static std::thread::LocalKey<Cell<bool>>);

impl Switched {
    fn on(flag: &'static std::thread::LocalKey<Cell<bool>>) -> Self {
        flag.set(true);
        Self(flag)
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// The derivative of each element of `gy` by the same element of `y` where `at` is true; `None` when it is 0 at all of them.
/// NaN where the element depends on others of these places too. It is a constant where `gy` is linear in `y`; any further
/// derivative is NaN.
pub(super) fn slope<T: Float>(gy: &Var<T>, y: &Var<T>, at: &Tensor<bool>) -> Option<Var<T>> {
    gy.id()?;
    if LOOKING.get() || !at.any() {
        return None;
    }
    let _looking = Switched::on(&LOOKING);
    let by = |weights: Tensor<T>, mode| match gradients(gy, &Var::constant(weights), &[y], mode) {
        Ok(mut found) => found.remove(0),
        Err(_) => Some(Var::constant(Tensor::full(y.shape().clone(), T::NAN))),
    };
    let one = at.to_num::<T>();
    let found = by(one.clone(), GradMode::Differentiable)?;
    // Elements that depend on one another give another sum with other weights.
    let weights =
        Tensor::from_vec((0..at.numel()).map(|i| T::lit(1.0 + (i as f64 * 0.618_033_988).fract())).collect(), at.shape().clone());
    let weighted = by(&one * &weights, GradMode::Plain)?;
    let expected = found.value() * &weights;
    let alone = |a: T, b: T| (a - b).abs() <= T::lit(1e-3) * b.abs();
    let alone = weighted.value().zip_map("limit", &expected, alone);
    let value = found.value().where_(&alone, &Tensor::scalar(T::NAN));
    let value = value.where_(at, &Tensor::scalar(T::zero()));
    if value.eq(0.0).all() {
        return None;
    }
    let further = Var::constant(Tensor::scalar(T::NAN)).mul_no_nan(&(&found - &found.detach()));
    Some(Var::constant(value) + further)
}

/// As [`slope`], and NaN also where `gy` depends on something by another way than through `y`: the limit is then none of `y`
/// alone.
pub(super) fn slope_of_one<T: Float>(gy: &Var<T>, y: &Var<T>, at: &Tensor<bool>) -> Option<Var<T>> {
    let through = slope(gy, y, at);
    let wanted = gy.id().is_some() && at.any() && !LOOKING.get();
    let (Some(except), true) = (y.id(), wanted) else { return through };
    let apart = depends_apart(gy, except, at);
    if !apart.any() {
        return through;
    }
    let none = Var::constant(Tensor::scalar(T::NAN));
    let through = through.unwrap_or_else(|| Var::constant(Tensor::zeros(y.shape().clone())));
    Some(none.where_(&apart, &through))
}

/// Where an element of `gy` depends on a leaf by a path that does not pass the node of number `except`.
fn depends_apart<T: Float>(gy: &Var<T>, except: u64, at: &Tensor<bool>) -> Tensor<bool> {
    let _probing = Switched::on(&PROBING);
    if !reaches_past(gy, at.to_num(), except) {
        return at.map(|_| false);
    }
    let places = at.to_vec();
    if places.iter().filter(|&&at| at).count() > PLACES {
        return at.clone();
    }
    let alone = |i: usize| {
        let seed = (0..places.len()).map(|k| if k == i { T::one() } else { T::zero() }).collect();
        reaches_past(gy, Tensor::from_vec(seed, at.shape().clone()), except)
    };
    Tensor::from_vec((0..places.len()).map(|i| places[i] && alone(i)).collect(), at.shape().clone())
}

/// `product`, the slope times `gy`, with its limit at poles of the slope at 0 that meet a gradient of 0, as that of the square root
/// in `√x²`. `slope_of` is the slope at a number, of the op `name`.
pub(super) fn of_pole<T: Float>(
    name: &'static str,
    slope_of: &dyn Fn(f64) -> f64,
    read: &Var<T>,
    slope_at: &Var<T>,
    gy: &Var<T>,
    product: Var<T>,
) -> Var<T> {
    let zero = |x: &Tensor<T>| x.as_slice().map_or_else(|| x.eq(0.0).any(), |x| x.contains(&T::zero()));
    if gy.id().is_none() || !zero(read.value()) {
        return product;
    }
    let pole = slope_at.value().map(|d| !d.is_finite());
    let flat = read.value().zip_map(name, gy.value(), |r, g| r == T::zero() && g == T::zero()).and(&pole);
    match slope(gy, read, &flat) {
        Some(slope) => (slope * residue(slope_of)).where_(&flat, &product),
        None => product,
    }
}

/// The limit of `d(r) r` as `r` falls to 0, of a slope with a pole there: 1/2 for the square root, 1 for the logarithm.
fn residue(slope_of: &dyn Fn(f64) -> f64) -> f64 {
    let at = |r: f64| slope_of(r) * r;
    let (near, nearer) = (at(1e-100), at(1e-200));
    match nearer.abs() / near.abs() {
        ratio if (ratio - 1.0).abs() < 1e-6 => nearer,
        ratio if ratio < 1.0 => 0.0,
        _ => f64::NAN,
    }
}
