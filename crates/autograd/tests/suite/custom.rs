//! Rules of one's own: whole computations under one rule, rules that refuse a second derivative, straight-through
//! estimators.

use gradus_autograd::{
    ForwardContext, GradMode, Gradients, Op, Saves, Var, VjpContext, apply, custom_op, custom_vjp, grad, grad_with, no_grad, op,
};
use gradus_check::check;
use gradus_tensor::{Rng, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn leaf<const N: usize>(values: [f64; N]) -> Var<f64> {
    Var::leaf(Tensor::from(values))
}

fn random(shape: [usize; 2], seed: u64) -> Tensor<f64> {
    Tensor::normal(shape, 0.0, 1.0, &mut Rng::seed(seed))
}

fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).err().expect("a panic");
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| payload.downcast_ref::<&str>().unwrap().to_string())
}

/// `x · sigmoid(b x)` under one rule.
fn swish(x: &Var<f64>, b: &Var<f64>) -> Var<f64> {
    let forward = |[x, b]: [&Var<f64>; 2]| x * (x * b).sigmoid();
    custom_vjp("swish", [x, b], forward, |p, [x, b]| {
        let s = (x * b).sigmoid();
        let slope = &s * (1.0 - &s);
        let dx = p.gy() * (&s + x * b * &slope);
        [Some(dx), Some((p.gy() * x.square() * slope).sum_to(b.shape()))]
    })
}

#[test]
fn a_custom_rule_takes_the_place_of_the_recorded_ops() {
    let (x, b) = (Var::leaf(random([3, 2], 0)), leaf([0.7]));
    let y = swish(&x, &b);
    let names: Vec<_> = y.tape().iter().map(|e| e.name).collect();
    assert_eq!(names, ["leaf", "leaf", "swish"]);
    assert!(y.tape()[2].at.file().ends_with("custom.rs"));
    let plain = &x * (&x * &b).sigmoid();
    assert_eq!(y.value(), plain.value());
    assert!(!no_grad(|| swish(&x, &b)).requires_grad());
    assert!(!swish(&x.detach(), &b.detach()).requires_grad());
}

#[test]
fn a_custom_rule_in_differentiable_ops_has_second_derivatives() {
    let inputs = [random([3, 2], 1), Tensor::from([0.7])];
    let report = check(|v| swish(&v[0], &v[1]), &inputs).unwrap();
    assert!(report.coverage(2).is_some());
}

#[test]
fn the_users_rule_is_the_one_that_counts() {
    let x = leaf([1.0, 2.0]);
    let y = custom_vjp("reversal", [&x], |[x]| x.clone(), |p, _| [Some(-p.gy())]);
    assert_eq!(y.value(), x.value());
    assert_eq!(y.sum(..).backward()[&x].to_vec(), [-1.0, -1.0]);
}

#[test]
fn a_custom_rule_knows_which_inputs_want_a_gradient() {
    let (a, b) = (leaf([2.0]), leaf([3.0]));
    let work = Arc::new(AtomicUsize::new(0));
    let count = work.clone();
    let y = custom_vjp(
        "times",
        [&a, &b],
        |[a, b]| a * b,
        move |p, [a, b]| {
            let side = |i, other: &Var<f64>| {
                p.needs(i).then(|| {
                    count.fetch_add(1, Ordering::Relaxed);
                    p.gy() * other
                })
            };
            [side(0, b), side(1, a)]
        },
    );
    assert_eq!(grad(&y, &[&b], GradMode::Plain).unwrap()[0].item(), 2.0);
    assert_eq!(work.load(Ordering::Relaxed), 1);
}

#[test]
fn a_variable_that_slips_into_the_forward_pass_is_an_error_and_not_a_lost_gradient() {
    let (x, w) = (leaf([1.0]), leaf([2.0]));
    let hidden = w.exp();
    let message = panic_of(|| custom_vjp("leaky", [&x], |[x]| x * &hidden, |p, _| [Some(p.gy().clone())]));
    assert!(message.contains("`leaky`") && message.contains("`exp`") && message.contains("custom.rs"), "{message}");
    // Stopped on purpose, or where nothing is recorded, it is no mistake.
    let stopped = hidden.detach();
    let y = custom_vjp("tight", [&x], |[x]| x * &stopped, |p, _| [Some(p.gy().clone())]);
    assert!(y.requires_grad());
    no_grad(|| custom_vjp("leaky", [&x], |[x]| x * &hidden, |p, _| [Some(p.gy().clone())]));
}

/// `x³` whose rule computes on plain tensors.
fn cube(x: &Var<f64>) -> Var<f64> {
    let kept = x.value().clone();
    op("cube", [x], x.value().powf(3.0), move |p| {
        p.once_differentiable(|| [Some(Var::constant(p.gy().value() * &kept.square() * 3.0))])
    })
}

#[test]
fn a_once_differentiable_rule_has_first_derivatives_in_both_modes() {
    let x = leaf([0.5, 2.0]);
    assert_eq!(cube(&x).sum(..).backward()[&x].to_vec(), [0.75, 12.0]);
    for mode in [GradMode::Plain, GradMode::Differentiable] {
        let g = grad(&cube(&x).sum(..), &[&x], mode).unwrap().remove(0);
        assert_eq!(g.value().to_vec(), [0.75, 12.0]);
    }
    let report = check(|v| cube(&v[0]), [random([2, 3], 2)]).unwrap();
    assert!(report.coverage(2).is_none());
}

#[test]
fn a_second_derivative_through_a_once_differentiable_rule_is_an_error_that_names_it() {
    let x = leaf([0.5, 2.0]);
    let y = cube(&x);
    let g = grad(&y.sum(..), &[&x], GradMode::Differentiable).unwrap().remove(0);
    let expected = ["`cube`", "once_differentiable", "custom.rs"];
    for mode in [GradMode::Plain, GradMode::Differentiable] {
        let error = grad(&g.sum(..), &[&x], mode).unwrap_err().to_string();
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    }
    let message = panic_of(|| g.sum(..).backward());
    assert!(message.starts_with("backward: ") && expected.iter().all(|part| message.contains(part)), "{message}");
    // With respect to the incoming gradient as well, and after further ops.
    let v = leaf([1.0, 1.0]);
    let g = grad_with(&cube(&x), &v, &[&x], GradMode::Differentiable).unwrap().remove(0);
    assert!(grad(&(g * 2.0).exp().sum(..), &[&v], GradMode::Plain).is_err());
}

#[test]
fn a_second_derivative_beside_a_once_differentiable_rule_is_right() {
    let (x, z) = (leaf([0.5]), leaf([2.0]));
    let y = cube(&x) + z.powf(3.0);
    let gs = grad(&y, &[&x, &z], GradMode::Differentiable).unwrap();
    let second = grad(&gs[1], &[&z], GradMode::Plain).unwrap();
    assert_eq!(second[0].item(), 12.0);
}

/// A product whose rule computes on plain tensors.
struct Pair;

impl Op<f64> for Pair {
    fn name(&self) -> &'static str {
        "pair"
    }
    fn saves(&self) -> Saves {
        Saves::ALL_INPUTS
    }
    fn forward(&self, cx: &mut ForwardContext<'_, f64>) -> Tensor<f64> {
        cx.input(0) * cx.input(1)
    }
    fn vjp(&self, cx: &mut VjpContext<'_, f64>) -> Gradients<f64> {
        let side = |other: Var<f64>| Some(Var::constant(cx.gy().value() * other.value()));
        cx.once_differentiable(|| [side(cx.input(1)), side(cx.input(0))]).into()
    }
}

#[test]
fn once_differentiable_serves_every_way_to_make_an_op() {
    let (a, b) = (leaf([2.0]), leaf([3.0]));
    let y = apply(Pair, &[&a, &b]);
    let gs = grad(&y, &[&a, &b], GradMode::Differentiable).unwrap();
    assert_eq!((gs[0].item(), gs[1].item()), (3.0, 2.0));
    assert!(grad(&gs[0], &[&b], GradMode::Plain).is_err());
    let y = custom_vjp("square", [&a], |[a]| a.square(), |p, [a]| p.once_differentiable(|| [Some(p.gy() * a * 2.0)]));
    let g = grad(&y, &[&a], GradMode::Differentiable).unwrap().remove(0);
    assert_eq!(g.item(), 4.0);
    assert!(grad(&g, &[&a], GradMode::Plain).unwrap_err().to_string().contains("`square`"));
}

#[test]
fn straight_through_estimators_have_the_gradients_of_their_soft_parts() {
    let x = leaf([-1.5, -0.4, 0.0, 0.6, 1.2, f64::NAN]);
    let y = x.sign_ste();
    assert_eq!(y.value().to_vec()[..5], [-1.0, -1.0, 1.0, 1.0, 1.0]);
    assert!(y.value().to_vec()[5].is_nan(), "what is not a number is not hidden");
    assert_eq!(y.sum(..).backward()[&x].to_vec()[..5], [0.0, 1.0, 1.0, 1.0, 0.0]);

    let x = leaf([0.2, 0.5, 1.5, -0.7]);
    let y = x.square().round_ste();
    assert_eq!(y.value().to_vec(), [0.0, 0.0, 2.0, 0.0]);
    assert_eq!(y.sum(..).backward()[&x].to_vec(), [0.4, 1.0, 3.0, -1.4]);
    assert!(panic_of(|| x.straight_through(Tensor::from([1.0]))).contains("[1]"));

    // Through a straight-through estimator the soft part's second derivative is taken.
    let x = leaf([0.3]);
    let g = grad(&x.powf(3.0).round_ste(), &[&x], GradMode::Differentiable).unwrap().remove(0);
    assert!((grad(&g, &[&x], GradMode::Plain).unwrap()[0].item() - 1.8).abs() < 1e-12);
}

#[test]
fn fake_quantize_rounds_within_its_range_and_stops_the_gradient_outside() {
    // An 8-bit grid around zero point 128: from -12.8 to 12.7 in steps of 0.1.
    let x = leaf([-20.0, -12.8, -0.26, 0.0, 3.12, 12.7, 30.0]);
    let y = x.fake_quantize(0.1, 128, 0, 255);
    let expected = [-12.8, -12.8, -0.3, 0.0, 3.1, 12.7, 12.7];
    assert!(y.value().to_vec().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", y.value());
    assert_eq!(y.sum(..).backward()[&x].to_vec(), [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
    assert!(panic_of(|| x.fake_quantize(0.0, 0, 0, 255)).contains("scale 0"));
    assert!(panic_of(|| x.fake_quantize(1.0, 300, 0, 255)).contains("300"));
}

#[test]
fn nothing_of_a_custom_forward_pass_stays() {
    let x = leaf([1.0, 2.0]);
    let y = custom_vjp("deep", [&x], |[x]| (0..50).fold(x.clone(), |x, _| x.tanh()), |p, _| [Some(p.gy().clone())]);
    assert_eq!(y.tape().len(), 2);
}

/// `Σ w x` of each row, of listed inputs.
fn weighted(x: &Var<f64>, w: &Var<f64>) -> Var<f64> {
    let (kept_x, kept_w) = (x.clone(), w.clone());
    custom_op(
        "weighted",
        [x, w],
        |[x, w]| x * w,
        move |p| [Some(p.gy() * &kept_w), Some((p.gy() * &kept_x).sum_to(kept_w.shape()))],
    )
}

#[test]
fn an_op_of_ones_own_computes_its_value_from_its_inputs() {
    let (x, w) = (random([3, 2], 5), Tensor::from([0.5, -2.0]));
    check(|v| weighted(&v[0], &v[1]), [x.clone(), w.clone()]).unwrap();
    let y = weighted(&Var::leaf(x.clone()), &Var::constant(w.clone()));
    assert_eq!((y.value(), y.tape()[1].name), (&(&x * &w), "weighted"));
    assert!(y.tape()[1].at.file().ends_with("custom.rs"));
    assert!(!weighted(&Var::constant(x), &Var::constant(w)).requires_grad());
}

#[test]
fn a_value_that_is_read_beside_the_inputs_is_refused() {
    let (x, w) = (leaf([1.0, 2.0]), leaf([3.0, 4.0]));
    let rule = |p: &mut VjpContext<'_, f64>| [Some(p.gy().clone())];
    let refused = |message: String, kind: &str, line: u32| {
        let place = format!("`f` at {}:{line}:", file!());
        assert!(message.starts_with(&place), "`{message}` does not start with `{place}`");
        assert!(message.contains("is not among its inputs, whose gradient would be lost"), "{message}");
        assert!(message.contains(&format!("`{kind}` of shape")) && message.ends_with("or detach() it"), "{message}");
    };
    refused(panic_of(|| custom_op("f", [&x], |[x]| x * w.value(), rule)), "leaf", line!());
    let made = &w * 2.0;
    refused(panic_of(|| custom_op("f", [&x], |[x]| x * made.value(), rule)), "mul_scalar", line!());
    refused(panic_of(|| custom_op("f", [&x], |[x]| x * w.sum(..).item(), rule)), "leaf", line!());
    refused(panic_of(|| custom_op("f", [&x], |[x]| x * w.clone().into_value(), rule)), "leaf", line!());
    let constant = |w: &Var<f64>| Var::constant(w.value().clone());
    let rebuilt = panic_of(|| custom_vjp("f", [&x], |[x]| x * constant(&w), |p, _| [Some(p.gy().clone())]));
    refused(rebuilt, "leaf", line!() - 2);
    let parameter = gradus_autograd::Param::new(Tensor::from([3.0, 4.0]));
    refused(panic_of(|| custom_op("f", [&x], |[x]| x * parameter.value(), rule)), "leaf", line!());
    // An op within reads for itself; what it reads of the op around it is still refused.
    let inner = |x: &Tensor<f64>| custom_op("f", [&Var::leaf(x.clone())], |[v]| v * w.value(), rule).into_value();
    refused(panic_of(|| custom_op("g", [&x], |[x]| inner(x), rule)), "leaf", line!() - 1);
    // Where nothing is recorded, no gradient is lost.
    assert_eq!(no_grad(|| custom_op("f", [&x], |[x]| x * w.value(), rule)).value().to_vec(), [3.0, 8.0]);
    // After a refusal values are read as ever.
    assert_eq!(w.value().to_vec(), [3.0, 4.0]);
}

#[test]
fn what_is_an_input_or_a_constant_or_its_own_may_be_read() {
    let (x, w) = (leaf([1.0, 2.0]), leaf([3.0, 4.0]));
    let rule = |p: &mut VjpContext<'_, f64>| [Some(p.gy().clone())];
    let detached = custom_op("f", [&x], |[x]| x * w.detach().value(), rule);
    let captured = custom_op("f", [&x], |_| x.value() * 3.0, rule);
    let own = custom_op(
        "f",
        [&x],
        |[x]| {
            let (a, at) = (Var::leaf(x.clone()), x.clone());
            let slope = a.square().sum(..).backward()[&a].clone();
            slope + Var::leaf(at).exp().value()
        },
        rule,
    );
    assert_eq!(detached.value().to_vec(), [3.0, 8.0]);
    assert_eq!(captured.value().to_vec(), [3.0, 6.0]);
    assert_eq!(own.value().to_vec(), [2.0 + 1f64.exp(), 4.0 + 2f64.exp()]);
}
