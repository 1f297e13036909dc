//! What the checker says of wrong derivatives, kinks, noise, and functions that refuse.

use gradus_autograd::{Param, Var, custom_op, op};
use gradus_check::{
    Array, Checker, Convention, Coverage, Fault, GradusFunction, Opinion, Oracle, Verdict, View, check, check_module, tensor_of,
};
use gradus_tensor::Tensor;

/// `x³`, with a derivative of one's own.
#[track_caller]
fn cube(x: &Var<f64>, d: impl Fn(&Var<f64>) -> Var<f64> + Send + Sync + 'static) -> Var<f64> {
    let saved = x.clone();
    op("cube", [x], x.value().map(|v| v * v * v), move |p| [Some(p.gy() * d(&saved))])
}

#[test]
fn a_wrong_rule_is_shrunk_to_one_element() {
    let x = Tensor::from([[0.3, -1.7, 2.2], [0.9, 1.1, -0.4]]);
    let failure = check(|v| cube(&v[0], |x| x.square() * 2.0), [x]).unwrap_err();
    let report = failure.report();
    assert_eq!(report.verdict(), Verdict::Fail);
    let smallest: Vec<&Array> = report.inputs().collect();
    assert_eq!((smallest[0].shape(), smallest[0].data()), (&[1, 1][..], &[1.0][..]));
    let finding = &report.failures()[0];
    assert_eq!((finding.order, finding.input, &finding.index[..], finding.fault.clone()), (1, 0, &[0, 0][..], Fault::Wrong));
    assert!((finding.analytic - 2.0).abs() < 1e-12 && (finding.numeric - 3.0).abs() < 1e-9);
    assert_eq!(report.opinion(1, Oracle::Differences), Some(Opinion::Disagrees));
    assert_eq!(report.opinion(1, Oracle::Taylor), Some(Opinion::Disagrees));
    let text = failure.to_string();
    assert!(text.contains("first derivative, input 0 at [0, 0]: analytic 2e0, numeric 2.999"), "{text}");
    assert!(text.contains("Tensor::from_vec(vec![1.0], [1, 1])"), "{text}");
    assert!(text.contains(file!()), "{text}");
    let json = report.to_json();
    assert_eq!((json["verdict"].as_str(), json["failures"][0]["fault"].as_str()), (Some("fail"), Some("wrong")));
}

#[test]
fn a_derivative_that_is_wrong_to_second_order_only_is_found() {
    let x = Tensor::from([0.4, 1.3]);
    let failure = check(|v| cube(&v[0], |x| x.detach().square() * 3.0), [x]).unwrap_err();
    assert_eq!(failure.report().failures()[0].order, 2);
    assert_eq!(failure.report().opinion(1, Oracle::Differences), Some(Opinion::Agrees));
}

#[test]
fn one_wrong_element_of_many_is_bisected_to() {
    let n = 5000;
    let spoilt = move |x: &Var<f64>| {
        let (saved, y) = (x.clone(), x.value().map(|v| v * v));
        op("square", [x], y, move |p| {
            let factor = Tensor::from_fn([n], |i| if i[0] == 1234 { 2.02 } else { 2.0 });
            [Some(p.gy() * &saved * Var::constant(factor))]
        })
    };
    let x = Tensor::from_fn([n], |i| (i[0] as f64 * 0.37).sin() + 1.5);
    let failure = Checker::new().shrink(false).check_fn(|v| spoilt(&v[0]), [x]).unwrap_err();
    assert_eq!(failure.report().failures()[0].index, [1234]);
    assert_eq!(failure.report().coverage(1).unwrap().method, "random projections");
}

#[test]
fn a_kink_is_no_wrong_gradient_and_follows_its_convention() {
    let zero = || [Tensor::from([0.0, 1.0])];
    let report = Checker::new().convention(Convention::Smaller).check_fn(|v| v[0].relu(), zero()).unwrap();
    assert_eq!(report.coverage(1).unwrap().kinks, 1);
    Checker::new().convention(Convention::Mean).check_fn(|v| v[0].abs(), zero()).unwrap();
    let failure = Checker::new().convention(Convention::Larger).check_fn(|v| v[0].relu(), zero()).unwrap_err();
    let Fault::OutsideKink { left, right } = failure.report().failures()[0].fault else { panic!("{failure}") };
    assert!(left.abs() < 1e-6 && (right - 1.0).abs() < 1e-6);
    // Beyond both slopes is wrong under any convention.
    let steep = |x: &Var<f64>| {
        let saved = x.value().clone();
        op("steep", [x], x.value().abs(), move |p| {
            [Some(p.gy() * Var::constant(saved.map(|v| if v == 0.0 { 1.5 } else { v.signum() })))]
        })
    };
    assert!(check(|v| steep(&v[0]), zero()).is_err());
}

#[test]
fn equal_elements_of_a_maximum_share_its_gradient() {
    let tied = || [Tensor::from([2.0, 0.5, 2.0])];
    check(|v| v[0].max(..), tied()).unwrap();
    // Each of the tied elements takes all of it: between the one-sided slopes, and still wrong.
    let greedy = |x: &Var<f64>| {
        let hit = x.value().eq(&x.value().max(..)).to_num::<f64>();
        op("greedy", [x], x.value().max(..), move |p| [Some(p.gy() * Var::constant(hit.clone()))])
    };
    assert!(check(|v| greedy(&v[0]), tied()).is_err());
}

/// Where a function is stationary, its slope is 0 and so may be its value: nothing there says what counts as small.
#[test]
fn stationary_points_are_checked() {
    for x in [vec![0.0, 0.5], vec![0.0], vec![1.5, 1.5, 1.5]] {
        let x = || [Tensor::from_vec(x.clone(), [x.len()])];
        check(|v| v[0].square(), x()).unwrap();
        check(|v| v[0].var(0, 0), x()).unwrap();
        check(|v| v[0].powf(4.0).sum(..), x()).unwrap();
    }
    let tilted = |x: &Var<f64>| op("square", [x], x.value().square(), |p| [Some(p.gy() * 1e-6)]);
    assert!(Checker::new().order(1).check_fn(|v| tilted(&v[0]), [Tensor::from([0.0])]).is_err());
}

/// Sums in another order differ by round-off, which is no jump.
#[test]
fn round_off_of_another_layout_is_no_jump() {
    let summed = |x: &Var<f64>| {
        let mask = Tensor::from([0.0, 1.0]);
        let noise = if x.value().is_contiguous() { 0.0 } else { 1e-14 };
        let y = x.value() * &mask + &Tensor::from([noise, 0.0]);
        op("summed", [x], y, move |p| [Some(p.gy() * Var::constant(mask.clone()))])
    };
    let x = Array::new([2], vec![0.5, 1.5]).viewed([View::Flipped(0)]);
    let report = Checker::new().check(&GradusFunction::new(|v: &[Var<f64>]| summed(&v[0])), &[x]).unwrap();
    assert_eq!(report.coverage(1).unwrap().share(), 1.0);
}

#[test]
fn noise_and_absolute_tolerances_never_make_a_pass() {
    // Values so large that their digits end before the slope begins.
    let drowned = |x: &Var<f64>| (x * 1e-12 + 1e9) * 1.0;
    let failure = check(|v| drowned(&v[0]), [Tensor::from([0.5, 0.7])]);
    assert!(failure.is_ok(), "a slope of 1e-12 beside values of 1e9 is zero to their precision: {failure:?}");
    let x = [Tensor::from([0.4, 1.3])];
    let failure = Checker::new().order(1).absolute(1e3).check_fn(|v| cube(&v[0], |x| x.square() * 2.0), x).unwrap_err();
    assert_eq!(failure.report().verdict(), Verdict::Unchecked);
    let Coverage { checked, unchecked, .. } = failure.report().coverage(1).unwrap();
    assert_eq!((*checked, *unchecked), (2, 2), "the two entries off the diagonal are 0, the two on it are open");
}

#[test]
fn what_every_gradient_must_satisfy_is_tried() {
    // Right for the cotangents of ones that a test might use, and not linear.
    let squared = |x: &Var<f64>| op("squared", [x], x.value().clone(), |p| [Some(p.gy() * p.gy())]);
    let failure = Checker::new().order(1).check_fn(|v| squared(&v[0]), [Tensor::from([0.5])]).unwrap_err();
    assert!(failure.to_string().contains("not linear in the cotangent"), "{failure}");
    // Reads the cotangent's memory and not its values.
    let strided = |x: &Var<f64>| {
        op("strided", [x], x.value().clone(), |p| {
            let gy = p.gy().value();
            let raw = if gy.is_contiguous() { gy.clone() } else { gy.map(|v| v + 1.0) };
            [Some(Var::constant(raw))]
        })
    };
    let failure = Checker::new().order(1).check_fn(|v| strided(&v[0]), [Tensor::from([[0.5, 1.0], [2.0, 3.0]])]).unwrap_err();
    assert!(failure.to_string().contains("a cotangent laid out as"), "{failure}");
}

#[test]
fn a_refusal_and_a_wrong_shape_are_reported() {
    let failure = check(|v| v[0].matmul(&v[1]), [Tensor::ones([2, 3]), Tensor::ones([2, 3])]).unwrap_err();
    assert!(matches!(&failure.report().failures()[0].fault, Fault::Refused(why) if why.contains("matmul")), "{failure}");
    let flat = |x: &Var<f64>| op("flat", [x], x.value().clone(), |p| [Some(p.gy().reshape([-1]))]);
    assert!(check(|v| flat(&v[0]), [Tensor::ones([2, 2])]).is_err());
}

#[test]
fn views_are_realised_as_asked() {
    let a = Array::new([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    for views in
        [vec![View::Transposed(0, 1)], vec![View::Flipped(1), View::Stepped(0)], vec![View::Stepped(1), View::Transposed(1, 0)]]
    {
        let t = tensor_of(&a.clone().viewed(views));
        assert!(!t.is_contiguous());
        assert_eq!((t.to_vec(), &t.shape()[..]), (a.data().to_vec(), a.shape()));
    }
    let same = Array::full([4, 2], 7.0).viewed([View::Expanded(0)]);
    assert_eq!(tensor_of(&same).strides()[0], 0);
    let report = Checker::new().check(
        &GradusFunction::new(|v: &[Var<f64>]| v[0].tanh()).named("tanh"),
        &[a.viewed([View::Transposed(0, 1), View::Stepped(0)])],
    );
    assert_eq!(report.unwrap().opinion(2, Oracle::Adjoint), Some(Opinion::Agrees));
}

#[test]
fn what_cancels_to_round_off_is_symmetric_and_linear_enough() {
    for seed in 0..20 {
        let checker = || Checker::new().seed(seed).floor(0.0);
        checker().check_fn(|v| v[0].atan2(&v[0]), [Tensor::from([0.7, 1.3, -2.1, 0.01])]).unwrap();
        checker().check_fn(|v| v[0].softmax(0), [Tensor::full([5], 0.4)]).unwrap();
        // A third of their sum is not one of these, but its neighbour.
        checker().check_fn(|v| v[0].var(0, 0), [Tensor::full([3], -1.7209984618161482)]).unwrap();
        checker().check_fn(|v| v[0].sin().square() + v[0].cos().square(), [Tensor::from([0.3, 2.0])]).unwrap();
    }
}

#[test]
fn a_finding_at_order_two_names_both_places_the_mistake_and_the_op() {
    let f = |v: &[Var<f64>]| {
        let x = (&v[0] * &v[1]).exp();
        let cubed = cube(&x, |x| x.detach().square() * 3.0);
        cubed.sin() + &v[1]
    };
    let line = line!() - 3;
    let inputs = [Tensor::from([0.3, -0.4]), Tensor::from([0.5, 0.2])];
    let failure = Checker::new().shrink(false).check_fn(f, inputs).unwrap_err();
    let finding = &failure.report().failures()[0];
    let of = finding.of.as_ref().unwrap();
    assert_eq!((finding.order, finding.index.len(), of.index.len()), (2, 1, 1));
    let text = failure.to_string();
    let places = format!(
        "second derivative, {} at {:?}, of the gradient of {} at {:?}: analytic",
        finding.input_name, finding.index, of.name, of.index
    );
    assert!(text.contains(&places), "{text}");
    assert!(text.contains(&format!("the first op on the way whose rule is off: `cube` at {}:{line}:", file!())), "{text}");
    // Alone, all that the rule makes is 0 where the second derivative is not.
    let failure = check(|v| cube(&v[0], |x| x.detach().square() * 3.0), [Tensor::from([0.4, 1.3])]).unwrap_err();
    assert!(failure.to_string().contains("looks like a rule that holds for a constant what depends on the inputs"), "{failure}");
    assert_eq!(failure.report().to_json()["failures"][0]["of"]["name"].as_str(), Some("input 0"));
    let severed = |v: &[Var<f64>]| {
        let y = v[0].value().exp();
        let constant = Var::constant(y.clone());
        op("severed", [&v[0]], y, move |p| [Some(p.gy() * &constant)])
    };
    let failure = check(severed, [Tensor::from([0.4, 1.3])]).unwrap_err();
    assert!(
        failure.report().hints()[0].contains("`VjpContext::y` of `op_with_output`")
            && failure.report().hints()[1].contains("`severed`")
    );
}

#[test]
fn the_first_op_with_a_wrong_rule_is_named() {
    let f = |v: &[Var<f64>]| {
        let hidden = v[0].matmul(&v[1]).tanh();
        let wrong = cube(&hidden, |x| x.square() * 2.0);
        let line = line!() - 1;
        assert_eq!(line, WRONG);
        (wrong + cube(&hidden, |x| x.square() * 3.0)).sum(1).exp()
    };
    const WRONG: u32 = line!() - 5;
    let inputs = [Tensor::from([[0.3, -0.4], [1.0, 0.5]]), Tensor::from([[0.5, 0.2], [-0.6, 0.1]])];
    let failure = check(f, inputs).unwrap_err();
    assert!(failure.to_string().contains(&format!("whose rule is off: `cube` at {}:{WRONG}:", file!())), "{failure}");
    // A right function names none, nor does one that only refuses.
    check(|v| cube(&v[0].tanh(), |x| x.square() * 3.0), [Tensor::from([0.3, -0.4])]).unwrap();
    let refuses = |v: &[Var<f64>]| v[0].reshape([3]) + v[0].sum(..);
    assert!(check(refuses, [Tensor::from([0.3, -0.4])]).unwrap_err().report().hints().is_empty());
}

/// `x · w`, which lists `x` only.
fn unlisted(x: &Var<f64>, w: &Var<f64>) -> Var<f64> {
    let kept = w.value().clone();
    op("unlisted", [x], x.value() * w.value(), move |p| [Some(p.gy() * Var::constant(kept.clone()))])
}

#[test]
fn a_variable_that_an_op_reads_without_listing_it_is_found() {
    let inputs = || [Tensor::from([0.3, -0.4]), Tensor::from([0.5, 0.2])];
    let failure = check(|v| unlisted(&v[0].exp(), &v[1].tanh()), inputs()).unwrap_err();
    let report = failure.report();
    assert_eq!((report.failures()[0].input, report.failures()[0].order, report.failures()[0].analytic), (1, 1, 0.0));
    assert!(report.hints()[0].contains("a gradient that is lost on the way to input 1"), "{failure}");
    assert!(report.hints()[1].contains("`unlisted` at"), "{failure}");
    // A parameter, by its path, beside a use of it that is recorded.
    let model = (Param::new(Tensor::from([0.5, 0.2])), Param::new(Tensor::from([2.0, 1.0])));
    let f = |model: &(Param<f64>, Param<f64>), x: &[Var<f64>]| unlisted(&x[0], &model.1) + &*model.0 * &*model.1;
    let failure = check_module(model, [Tensor::from([0.3, -0.4])], f).unwrap_err();
    assert_eq!(failure.report().failures()[0].input_name, "1");
    assert!(failure.to_string().contains("whose rule is off: `unlisted` at"), "{failure}");
    // The form that computes its value from its inputs refuses.
    let refused = |v: &[Var<f64>]| {
        let kept = v[0].clone();
        custom_op("scale", [&v[0]], |[x]| x * v[1].value(), move |p| [Some(p.gy() * &kept)])
    };
    let failure = check(refused, inputs()).unwrap_err();
    let Fault::Refused(why) = &failure.report().failures()[0].fault else { panic!("{failure}") };
    assert!(why.contains("`scale` at") && why.contains("not among its inputs, whose gradient would be lost"), "{why}");
}

/// `x + b` over rows, with a custom gradient of `b`.
fn shifted(x: &Var<f64>, b: &Var<f64>, db: impl Fn(&Var<f64>) -> Var<f64> + Send + Sync + 'static) -> Var<f64> {
    op("shifted", [x, b], x.value() + b.value(), move |p| [Some(p.gy().clone()), Some(db(p.gy()))])
}

#[test]
fn a_missing_sum_over_broadcast_axes_is_told() {
    let inputs = || [Tensor::from([[0.3, -1.7], [0.9, 1.1], [0.2, 0.1]]), Tensor::from([0.5, 0.2])];
    check(|v| shifted(&v[0], &v[1], |gy| gy.sum(0)), inputs()).unwrap();
    let failure = check(|v| shifted(&v[0], &v[1], |gy| gy.mean(0)), inputs()).unwrap_err();
    assert!(
        failure.report().hints()[0].starts_with("looks like a mean where the gradients of input 1, which is broadcast,"),
        "{failure}"
    );
    let failure = check(|v| shifted(&v[0], &v[1], |gy| gy.select(0, 0)), inputs()).unwrap_err();
    assert!(failure.report().hints()[0].starts_with("looks like a missing sum: the gradient of input 1"), "{failure}");
    assert!(failure.report().hints()[1].contains("`shifted` at"), "{failure}");
    let failure = check(|v| shifted(&v[0], &v[1], Clone::clone), inputs()).unwrap_err();
    let Fault::Refused(why) = &failure.report().failures()[0].fault else { panic!("{failure}") };
    assert!(why.ends_with("the input was broadcast: add its gradient up by sum_to"), "{why}");
}
