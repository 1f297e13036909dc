//! What a loss divides by, what kind of output it takes, and losses of probabilities against loops.

use gradus_autograd::Var;
use gradus_nn::metrics::*;
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};

fn logits() -> Var<f64> {
    Var::leaf(Tensor::normal([4, 3], 0.0, 2.0, &mut Rng::seed(3)))
}

fn targets() -> Tensor<f64> {
    let t = Tensor::uniform([4, 3], 0.1, 1.0, &mut Rng::seed(4));
    &t / &t.sum_keep(1)
}

/// The weight of a batch of four.
fn weight<Y>(loss: &impl Loss<f64, Y>, target: &Y) -> BatchWeight {
    loss.weight(target, 4)
}

#[test]
fn the_weight_is_what_the_mean_divides_by() {
    let labels = Tensor::from([0i64, 2, -1, 2]);
    let mean = BatchWeight::Mean;
    let ignoring = || CrossEntropy::new().ignore_index(-1);
    assert_eq!(weight(&CrossEntropy::new(), &labels), mean(4.0));
    assert_eq!(weight(&ignoring(), &labels), mean(3.0));
    assert_eq!(weight(&ignoring().weight([0.5, 9.0, 2.0]), &labels), mean(4.5));
    assert_eq!(weight(&ignoring().reduction(Reduction::Sum), &labels), BatchWeight::Sum);
    assert_eq!(weight(&ignoring(), &Tensor::full([4], -1i64)), mean(0.0));
    assert_eq!(weight(&Nll::new().ignore_index(2).weight([3.0, 1.0, 1.0]), &Tensor::from([0i64, 2, 1, 2])), mean(4.0));
    // One outside of the classes counts, for the check to refuse it.
    assert_eq!(weight(&CrossEntropy::new().weight([0.0, 0.0, 0.0]), &labels), mean(1.0));
    assert_eq!(weight(&CrossEntropy::new(), &targets()), mean(4.0));
    assert_eq!(weight(&CrossEntropy::new(), &Tensor::<f64>::ones([4, 3, 5])), mean(20.0));
    assert_eq!(weight(&Mse::new(), &targets()), mean(12.0));
    assert_eq!(weight(&BceWithLogits::new().weight([1.0, 0.0, 2.0]), &targets()), mean(12.0));
    assert_eq!(weight(&KlDivergence::new(), &targets()), mean(4.0));
    assert_eq!(weight(&KlDivergence::new().reduction(Reduction::Mean), &targets()), mean(12.0));
    assert_eq!(weight(&Ctc::new(), &vec![vec![1], vec![]]), mean(2.0));
    let weights = Tensor::from([1.0, 0.5, 7.0, 0.0]);
    assert_eq!(weight(&SampleWeighted::new(ignoring()), &(labels.clone(), weights.clone())), mean(1.5));
    let by_class = SampleWeighted::new(ignoring().weight([2.0, 1.0, 4.0]));
    assert_eq!(weight(&by_class, &(labels, weights)), mean(4.0));
}

#[test]
fn equal_sample_weights_give_the_mean_of_the_loss_inside() {
    let x = logits();
    let ones = Tensor::full([4], 0.7);
    let labels = Tensor::from([0i64, 2, -1, 2]);
    fn near(what: &str, a: Var<f64>, b: Var<f64>) {
        assert!((a.item() - b.item()).abs() < 1e-12, "{what}: {a:?} {b:?}");
    }
    let apart = |loss: &CrossEntropy| SampleWeighted::new(loss.clone().reduction(Reduction::None));
    let ce = || CrossEntropy::new().ignore_index(-1);
    for loss in [ce(), ce().weight([0.5, 1.0, 4.0]), ce().label_smoothing(0.2), ce().weight([0.5, 1.0, 4.0]).label_smoothing(0.2)]
    {
        near("labels", apart(&loss).loss(&x, &(labels.clone(), ones.clone())), loss.loss(&x, &labels));
        near("soft", apart(&loss).loss(&x, &(targets(), ones.clone())), loss.loss(&x, &targets()));
    }
    let mse = SampleWeighted::new(Mse::new().reduction(Reduction::None));
    near("mse", mse.loss(&x, &(targets(), ones.clone())), Mse::new().loss(&x, &targets()));
    // Of several labels a sample, some ignored.
    let dense = Var::leaf(Tensor::normal([4, 3, 2], 0.0, 1.0, &mut Rng::seed(5)));
    let labels = Tensor::from([[0i64, -1], [1, 2], [-1, -1], [2, 0]]);
    let loss = ce().weight([0.5, 1.0, 4.0]);
    near("dense", apart(&loss).loss(&dense, &(labels.clone(), ones)), loss.loss(&dense, &labels));
    // A weight of 2 counts as the sample twice.
    let twice = apart(&loss).loss(&dense, &(labels.clone(), Tensor::from([1.0, 2.0, 1.0, 1.0])));
    let again = Tensor::from([0i64, 1, 1, 2, 3]);
    let rows = Var::constant(dense.value().index_select(0, &again));
    near("twice", twice, loss.loss(&rows, &labels.index_select(0, &again)));
}

#[test]
#[should_panic(expected = "no sample has a weight above 0")]
fn a_mean_over_nothing_is_refused() {
    let loss = SampleWeighted::new(CrossEntropy::new().reduction(Reduction::None));
    loss.loss(&logits(), &(Tensor::from([0i64, 1, 2, 0]), Tensor::zeros([4])));
}

#[test]
#[should_panic(expected = "class 1 has the weight -1; wanted a number from 0")]
fn class_weights_are_not_negative() {
    let _ = CrossEntropy::new().weight([1.0, -1.0]);
}

#[test]
fn losses_of_probabilities_are_those_of_loops() {
    let (x, t) = (logits(), targets());
    let (p, q) = (x.softmax(1), x.sigmoid());
    let mut sums = [0.0; 4];
    for i in 0..4 {
        for c in 0..3 {
            let (p, q, t) = (p.value().at([i, c]), q.value().at([i, c]), t.at([i, c]));
            let smooth = 0.9 * t + 0.1 / 3.0;
            sums[0] -= t * p.ln();
            sums[1] -= smooth * [0.5, 1.0, 4.0][c] * p.ln();
            sums[2] -= t * q.ln() + (1.0 - t) * (1.0 - q).ln();
            sums[3] -= [1.0, 2.0, 0.0][c] * (3.0 * t * q.ln() + (1.0 - t) * (1.0 - q).ln());
        }
    }
    let ce = CrossEntropy::from_probabilities;
    let bce = Bce::new;
    let found = [
        ce().loss(&p, &t).item() * 4.0,
        ce().weight([0.5, 1.0, 4.0]).label_smoothing(0.1).loss(&p, &t).item() * 4.0,
        bce().loss(&q, &t).item() * 12.0,
        bce().pos_weight(3.0).weight([1.0, 2.0, 0.0]).reduction(Reduction::Sum).loss(&q, &t).item(),
    ];
    assert!(found.iter().zip(sums).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {sums:?}");
    // Values and gradients are those of the losses of logits.
    let labels = Tensor::from([0i64, 2, -1, 2]);
    let options = |loss: CrossEntropy| loss.ignore_index(-1).weight([0.5, 1.0, 4.0]).label_smoothing(0.2);
    let pairs = [
        (options(ce()).loss(&p, &labels), options(CrossEntropy::new()).loss(&x, &labels)),
        (bce().pos_weight(3.0).loss(&q, &t), BceWithLogits::new().pos_weight(3.0).loss(&x, &t)),
    ];
    for (by_probabilities, by_logits) in pairs {
        assert!((by_probabilities.item() - by_logits.item()).abs() < 1e-12);
        let (a, b) = (by_probabilities.backward(), by_logits.backward());
        assert!((&a[&x] - &b[&x]).abs().max(..).item() < 1e-12);
    }
}

#[test]
fn a_probability_of_0_is_a_large_loss_and_no_nan() {
    let x = Var::leaf(Tensor::from([[200.0f32, 0.0, -200.0]]));
    let loss = CrossEntropy::from_probabilities().loss(&x.softmax(1), &Tensor::from([2i64]));
    assert!((loss.item() - 87.3).abs() < 0.1);
    assert!(loss.backward()[&x].to_vec().iter().all(|g| g.is_finite()));
    let q = Var::leaf(Tensor::from([0.0f32, 1.0, 0.0, 1.0]));
    let loss = Bce::new().loss(&q, &Tensor::from([0.0, 1.0, 1.0, 0.0]));
    assert!((loss.item() - 87.3 / 2.0).abs() < 0.1);
    assert!(loss.backward()[&q].to_vec().iter().all(|g| g.is_finite()));
}

#[test]
#[should_panic(expected = "leave out the last softmax, or write `CrossEntropy::from_probabilities()`")]
fn probabilities_are_no_logits_by_hand_either() {
    logits().softmax(1).cross_entropy(&Tensor::from([0i64, 1, 2, 0]));
}

#[test]
#[should_panic(expected = "ctc at ")]
fn ctc_takes_no_probabilities() {
    let x = Var::leaf(Tensor::<f64>::zeros([1, 4, 3])).softmax(-1);
    Ctc::new().loss(&x, &vec![vec![1usize]]);
}

#[test]
fn metrics_leave_out_ignored_labels() {
    // Class 1 is predicted throughout.
    let output: Tensor<f64> = Tensor::from([1i64, 1, 1, 1]).one_hot(3);
    let labels = Tensor::from([1i64, 7, 1, 0]);
    fn value(mut metric: impl Metric<f64, Tensor<i64>>, output: &Tensor<f64>, labels: &Tensor<i64>) -> f64 {
        metric.update(output, labels);
        metric.value()
    }
    let two_of_three = 2.0 / 3.0;
    assert_eq!(value(Accuracy::new().ignore_index(7), &output, &labels), two_of_three);
    assert_eq!(value(Accuracy::top_k(1).ignore_index(7), &output, &labels), two_of_three);
    assert_eq!(value(Precision::of_class(1, 3).ignore_index(7), &output, &labels), two_of_three);
    assert_eq!(value(Recall::of_class(1, 3).ignore_index(7), &output, &labels), 1.0);
    assert_eq!(value(F1::of_class(1, 3).ignore_index(7), &output, &labels), 0.8);
    let refused = Metric::<f64, _>::check(&F1::new(3), &[4, 3], &labels).unwrap_err().to_string();
    assert!(refused.contains("f1: label 7 at position 1"), "{refused}");
}

#[test]
fn metrics_take_more_axes_and_distributions() {
    let output: Tensor<f64> = Tensor::normal([3, 4, 2, 5], 0.0, 1.0, &mut Rng::seed(6));
    let labels = Tensor::randint([3, 2, 5], 0, 4, &mut Rng::seed(7));
    let (flat, flat_labels) = (output.permute([0, 2, 3, 1]).reshape([30, 4]), labels.reshape([30]));
    for k in [1, 2, 3] {
        assert_eq!(top_k_accuracy(&output, &labels, k), top_k_accuracy(&flat, &flat_labels, k));
    }
    let mut metric = F1::new(4);
    metric.update(&output, &labels);
    let expected = Metric::<f64, Tensor<i64>>::value(&metric);
    Metric::<f64, Tensor<i64>>::reset(&mut metric);
    metric.update(&output, &flat_labels.one_hot::<f64>(4).reshape([3, 2, 5, 4]).permute([0, 3, 1, 2]));
    assert_eq!(Metric::<f64, Tensor<f64>>::value(&metric), expected);
}
