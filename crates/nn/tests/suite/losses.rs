//! What losses refuse, and where they must not overflow.

use gradus_autograd::Var;
use gradus_nn::*;
use gradus_tensor::Tensor;

fn logits() -> Var<f64> {
    Var::leaf(Tensor::zeros([2, 3]))
}

#[test]
#[should_panic(expected = "label 3 at position 1 is outside the classes 0 to 2")]
fn labels_outside_the_classes_are_named() {
    logits().cross_entropy(&Tensor::from([0i64, 3]));
}

#[test]
#[should_panic(expected = "label -1 at position 0 is outside the classes 0 to 2")]
fn an_ignored_label_must_be_said_to_be() {
    logits().nll(&Tensor::from([-1i64, 2]));
}

#[test]
#[should_panic(expected = "labels of shape [3] for input [2, 3]; wanted [2]")]
fn as_many_labels_as_samples() {
    logits().cross_entropy(&Tensor::from([0i64, 1, 2]));
}

#[test]
#[should_panic(expected = "2 class weights for 3 classes")]
fn as_many_weights_as_classes() {
    CrossEntropy::new().weight([1.0, 2.0]).loss(&logits(), &Tensor::from([0i64, 1]));
}

#[test]
#[should_panic(expected = "output [2, 3] and target [3] must have one shape")]
fn targets_do_not_broadcast() {
    logits().mse(&Tensor::zeros([3]));
}

#[test]
#[should_panic(expected = "weights [2] do not broadcast to the output [2, 3]")]
fn weights_of_elements_must_broadcast() {
    BceWithLogits::new().pos_weight([1.0, 2.0]).loss(&logits(), &Tensor::zeros([2, 3]));
}

#[test]
fn there_are_no_labels_without_classes() {
    let error = check_labels("cross_entropy", &Tensor::from([0i64]), 0, None).unwrap_err();
    assert_eq!(error.to_string(), "cross_entropy: there are no classes");
    assert!(check_labels("cross_entropy", &Tensor::from([-100i64, 1]), 2, Some(-100)).is_ok());
}

#[test]
fn cross_entropy_is_one_op_whose_gradient_is_softmax_minus_one_hot() {
    let x = Var::leaf(Tensor::from([[1.0f64, 2.0, 0.5], [0.0, 0.0, 3.0]]));
    let labels = Tensor::from([1i64, 0]);
    let loss = x.cross_entropy(&labels);
    assert_eq!(loss.tape().iter().filter(|e| e.name == "softmax_cross_entropy").count(), 1);
    assert!(loss.tape().len() <= 4, "{:?}", loss.tape());
    let expected = (x.softmax(1).value() - &labels.one_hot(3)) / 2.0;
    assert!((&loss.backward()[&x] - &expected).abs().max(..).item() < 1e-15);
}

#[test]
fn extreme_logits_give_finite_losses_and_gradients() {
    let x = Var::leaf(Tensor::from([[1e4f32, -1e4, 0.0], [-1e4, 1e4, 0.0]]));
    let all_finite = |t: &Tensor<f32>| t.to_vec().iter().all(|v| v.is_finite());
    let loss = x.cross_entropy(&Tensor::from([1i64, 0]));
    assert_eq!(loss.item(), 2e4);
    assert!(all_finite(&loss.backward()[&x]));
    let loss = x.bce_with_logits(&Tensor::from([[0.0, 1.0, 0.5], [1.0, 0.0, 1.0]]));
    assert!(loss.item().is_finite() && all_finite(&loss.backward()[&x]));
}

#[test]
fn an_ignored_sample_counts_for_nothing_be_it_infinite() {
    let x = Var::leaf(Tensor::from([[0.0f64, 1.0], [f64::NEG_INFINITY, 0.0]]));
    let labels = Tensor::from([1i64, -100]);
    let expected = Var::leaf(Tensor::from([[0.0f64, 1.0]])).nll(&Tensor::from([1i64])).item();
    assert_eq!(Nll::new().ignore_index(-100).loss(&x, &labels).item(), expected);
    let smooth = CrossEntropy::new().ignore_index(-100).label_smoothing(0.1).loss(&x, &labels);
    assert!(smooth.item().is_finite());
    // The mean over no sample at all is 0 / 0, as in PyTorch.
    assert!(CrossEntropy::new().ignore_index(-100).loss(&x, &Tensor::from([-100i64, -100])).item().is_nan());
}

#[test]
fn an_ignored_sample_has_no_gradient_be_it_infinite() {
    for bad in [f64::NEG_INFINITY, f64::INFINITY, f64::NAN] {
        let x = Var::leaf(Tensor::from([[0.0f64, 1.0], [bad, bad]]));
        let alone = Var::leaf(Tensor::from([[0.0f64, 1.0]]));
        let expected = alone.cross_entropy(&Tensor::from([1i64])).backward()[&alone].to_vec();
        let loss = CrossEntropy::new().ignore_index(-100).loss(&x, &Tensor::from([1i64, -100]));
        let g = loss.backward()[&x].to_vec();
        assert_eq!((&g[..2], &g[2..]), (&expected[..], &[0.0, 0.0][..]), "a row of {bad}");
    }
}

#[test]
fn the_methods_are_the_losses_with_their_defaults() {
    let x = Var::leaf(Tensor::from([[0.3f64, -1.2, 2.0], [1.0, 0.0, -0.5]]));
    let (labels, t) = (Tensor::from([0i64, 2]), Tensor::from([[0.0f64, 1.0, 0.5], [0.2, 0.8, 0.0]]));
    assert_eq!(x.cross_entropy(&labels).item(), CrossEntropy::new().loss(&x, &labels).item());
    assert_eq!(x.nll(&labels).item(), Nll::new().loss(&x, &labels).item());
    assert_eq!(x.bce_with_logits(&t).item(), BceWithLogits::new().loss(&x, &t).item());
    assert_eq!(x.mse(&t).item(), Mse::new().loss(&x, &t).item());
    assert_eq!(x.l1(&t).item(), L1::new().loss(&x, &t).item());
    assert_eq!(x.huber(&t, 0.5).item(), Huber::new(0.5).loss(&x, &t).item());
    assert_eq!(x.smooth_l1(&t).item(), SmoothL1::new(1.0).loss(&x, &t).item());
    assert_eq!(x.kl_divergence(&t).item(), KlDivergence::new().loss(&x, &t).item());
    // Huber and smooth L1 with parameter 1 are one function, and Huber with a large one is half of the squared error.
    assert_eq!(x.huber(&t, 1.0).item(), x.smooth_l1(&t).item());
    assert!((x.huber(&t, 1e3).item() - x.mse(&t).item() / 2.0).abs() < 1e-15);
}

#[test]
fn losses_work_in_f32() {
    let x = Var::leaf(Tensor::from([[0.3f32, -1.2], [1.0, 0.0]]));
    let p = Tensor::from([[0.25f32, 0.75], [1.0, 0.0]]);
    let loss = CrossEntropy::new().label_smoothing(0.1).loss(&x, &p);
    assert!(loss.item() > 0.0 && loss.backward()[&x].to_vec().len() == 4);
}

#[test]
fn weighted_samples_are_a_weighted_mean() {
    let x = Var::leaf(Tensor::from([[0.3f64, -1.0, 0.5], [2.0, 0.1, 0.0], [0.0, 1.0, -1.0]]));
    let (labels, weights) = (Tensor::from([2i64, 0, 1]), Tensor::from([2.0, 0.5, 1.0]));
    let apart = CrossEntropy::new().reduction(Reduction::None);
    let each = apart.loss(&x, &labels).value().to_vec();
    let expected = (2.0 * each[0] + 0.5 * each[1] + each[2]) / 3.5;
    let loss = SampleWeighted::new(apart.clone());
    assert!((loss.loss(&x, &(labels.clone(), weights.clone())).item() - expected).abs() < 1e-12);
    // The same as class weights, when samples of a class weigh the same.
    let by_class = CrossEntropy::new().weight([0.5, 1.0, 2.0]).loss(&x, &labels);
    assert!((by_class.item() - expected).abs() < 1e-12);
    // Several values a sample count as their mean.
    let squares = SampleWeighted::new(Mse::new().reduction(Reduction::None));
    let ones = (Tensor::zeros([3, 3]), Tensor::ones([3]));
    assert!((squares.loss(&x, &ones).item() - Mse::new().loss(&x, &ones.0).item()).abs() < 1e-12);
    let infinite = Var::leaf(Tensor::from([[1.0f64], [f64::INFINITY]]));
    let y = squares.loss(&infinite, &(Tensor::zeros([2, 1]), Tensor::from([1.0, 0.0])));
    assert_eq!(y.item(), 1.0);
    let refused = |w: Tensor<f64>| loss.check(&[3, 3], &(labels.clone(), w)).unwrap_err().to_string();
    assert!(refused(Tensor::ones([2])).contains("weights of shape [2] for 3 samples"));
    assert!(refused(Tensor::from([1.0, -1.0, 1.0])).contains("sample 1 has the weight -1"));
    assert!(loss.check(&[3, 3], &(Tensor::from([0i64, 1, 3]), weights.clone())).is_err());
    assert!(loss.check(&[3, 3], &(labels, weights)).is_ok());
}

#[test]
#[should_panic(expected = "set its reduction to Reduction::None")]
fn a_reduced_loss_cannot_be_weighted() {
    let x = Var::leaf(Tensor::<f64>::zeros([2, 3]));
    SampleWeighted::new(CrossEntropy::new()).loss(&x, &(Tensor::from([0i64, 1]), Tensor::ones([2])));
}

/// Minus infinity where a target is 0: values and gradients of all forms of cross-entropy, which is that of the other classes.
#[test]
fn an_impossible_class_that_is_no_target_counts_for_nothing() {
    const NONE: f64 = f64::NEG_INFINITY;
    let (x, two) =
        (Var::leaf(Tensor::from([[1.0, NONE, 2.0], [0.5, NONE, 0.0]])), Var::leaf(Tensor::from([[1.0, 2.0], [0.5, 0.0]])));
    let targets = (Tensor::from([[0.25, 0.0, 0.75], [1.0, 0.0, 0.0]]), Tensor::from([[0.25, 0.75], [1.0, 0.0]]));
    let near = |a: f64, b: f64| (a - b).abs() < 1e-15;
    let check = |all: Var<f64>, few: Var<f64>| {
        assert!(near(all.item(), few.item()), "{} where {} is right", all.item(), few.item());
        let (all, few) = (all.backward()[&x].clone(), few.backward()[&two].clone());
        for row in 0..2 {
            assert_eq!(all.at([row, 1]), 0.0);
            assert!(near(all.at([row, 0]), few.at([row, 0])) && near(all.at([row, 2]), few.at([row, 1])), "{all:?} and {few:?}");
        }
    };
    let loss = CrossEntropy::new();
    check(loss.loss(&x, &targets.0), loss.loss(&two, &targets.1));
    check(loss.loss(&x, &Tensor::from([2i64, 0])), loss.loss(&two, &Tensor::from([1i64, 0])));
    // Smoothed over the classes that have a weight.
    let smoothed = |classes: f64| CrossEntropy::new().label_smoothing(0.1 * classes / 3.0);
    let weighted = smoothed(3.0).weight([1.0, 0.0, 2.0]).reduction(Reduction::Sum).loss(&x, &Tensor::from([2i64, 0]));
    assert!(weighted.item().is_finite());
    let apart = SampleWeighted::new(CrossEntropy::new().reduction(Reduction::None));
    let weights = Tensor::from([2.0, 1.0]);
    check(apart.loss(&x, &(targets.0.clone(), weights.clone())), apart.loss(&two, &(targets.1.clone(), weights)));
    let (p, q) = (x.log_softmax(1), two.log_softmax(1));
    check(KlDivergence::new().loss(&p, &targets.0), KlDivergence::new().loss(&q, &targets.1));
    let kl = KlDivergence::new().log_target();
    check(kl.loss(&p, &targets.0.ln()), kl.loss(&q, &targets.1.ln()));
    // Where the target is not 0, an impossible class costs infinitely much.
    assert_eq!(loss.loss(&x, &Tensor::from([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])).item(), f64::INFINITY);
}

#[test]
fn cross_entropy_of_large_logits_keeps_its_digits() {
    for level in [0.0f32, 1e3, 1e4, -1e6] {
        let x = Var::leaf(Tensor::from([[0.0f32, 1.0, 2.5], [3.0, 0.5, 0.0]]) + f64::from(level));
        let labels = Tensor::from([1i64, 2]);
        let exact = Var::leaf(x.value().cast::<f64>() - f64::from(level));
        for loss in [CrossEntropy::new(), CrossEntropy::new().label_smoothing(0.1), CrossEntropy::new().weight([1.0, 2.0, 0.5])] {
            let (y, wanted) = (loss.loss(&x, &labels), loss.loss(&exact, &labels));
            assert!((f64::from(y.item()) - wanted.item()).abs() < 1e-6 * wanted.item(), "{} at {level}", y.item());
            let (g, wanted) = (y.backward()[&x].cast::<f64>(), wanted.backward()[&exact].clone());
            assert!((&g - &wanted).abs().le(5e-7).all(), "at {level}: {g:?} where {wanted:?} is right");
        }
    }
}
