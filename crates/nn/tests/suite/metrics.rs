//! Metrics against values worked out by hand, and against the definitions counted out in loops.

use gradus_nn::metrics::*;
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;

/// Scores of which the largest is at the given class.
fn scores(predictions: &[i64], classes: usize) -> Tensor<f64> {
    Tensor::from(predictions.to_vec()).one_hot(classes)
}

#[test]
fn accuracy_by_hand() {
    let output = Tensor::from([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.35, 0.45], [0.6, 0.1, 0.3]]);
    let labels = Tensor::from([1i64, 1, 1, 2]);
    assert_eq!(accuracy(&output, &labels), 0.25);
    assert_eq!(top_k_accuracy(&output, &labels, 2), 1.0);
    assert_eq!(top_k_accuracy(&output, &labels, 0), 0.0);
    assert!(accuracy(&Tensor::<f32>::zeros([0, 3]), &Tensor::from(Vec::<i64>::new())).is_nan());
}

#[test]
fn of_equal_scores_the_first_is_ahead_and_nan_is_never_right() {
    let output = Tensor::from([[1.0, 1.0], [1.0, 1.0], [f64::NAN, 0.0], [0.0, f64::NAN]]);
    assert_eq!(accuracy(&output, &Tensor::from([0i64, 1, 0, 0])), 0.25);
    assert_eq!(accuracy(&output, &output.argmax(1)), 0.5);
}

#[test]
fn a_label_that_is_no_class_is_wrong() {
    let output = Tensor::from([[1.0f32, 0.0], [1.0, 0.0]]);
    assert_eq!(accuracy(&output, &Tensor::from([-1i64, 2])), 0.0);
}

#[test]
fn accuracy_over_batches_is_that_over_all() {
    let mut metric = Accuracy::new();
    let name = Metric::<f64, Tensor<i64>>::name(&metric).to_string();
    let value = |m: &Accuracy| Metric::<f64, Tensor<i64>>::value(m);
    assert!(value(&metric).is_nan());
    metric.update(&scores(&[0, 1, 2], 3), &Tensor::from([0i64, 0, 0]));
    metric.update(&scores(&[2], 3), &Tensor::from([2i64]));
    assert_eq!((name.as_str(), value(&metric)), ("acc", 0.5));
    Metric::<f64, Tensor<i64>>::reset(&mut metric);
    assert!(value(&metric).is_nan());
    assert_eq!(Metric::<f64, Tensor<i64>>::name(&Accuracy::top_k(5)), "top5_acc");
}

#[test]
fn binary_accuracy_by_hand() {
    let mut metric = BinaryAccuracy::new();
    metric.update(&Tensor::from([-1.0, 2.0, 0.0, f64::NAN]), &Tensor::from([0.0, 1.0, 1.0, 0.0]));
    assert_eq!(Metric::<f64, Tensor<f64>>::value(&metric), 0.5);
}

/// Truth 0: predicted 0, 0, 1. Truth 1: 1, 2. Truth 2: 2. No sample of class 3, no prediction of it.
fn matrix() -> ConfusionMatrix {
    let mut m = ConfusionMatrix::new(4);
    m.add(&Tensor::from([0i64, 0, 0, 1]), &Tensor::from([0i64, 0, 1, 1]));
    m.add_outputs(&Tensor::from([1i64, 2]), &scores(&[2, 2], 4));
    m
}

#[test]
fn the_confusion_matrix_by_hand() {
    let m = matrix();
    assert_eq!((m.count(0, 1), m.count(1, 0), m.total(), m.classes()), (1, 0, 6, 4));
    assert_eq!(m.accuracy(), 4.0 / 6.0);
    assert_eq!([0, 1, 2, 3].map(|c| m.precision(c)), [1.0, 0.5, 0.5, 0.0]);
    assert_eq!([0, 1, 2, 3].map(|c| m.recall(c)), [2.0 / 3.0, 0.5, 1.0, 0.0]);
    assert_eq!([0, 1, 2, 3].map(|c| (m.f1(c) * 1e9).round() / 1e9), [0.8, 0.5, 0.666666667, 0.0]);
    assert_eq!(m.macro_precision(), 0.5);
    assert!((m.macro_recall() - (2.0 / 3.0 + 1.5) / 4.0).abs() < 1e-15);
    assert!((m.macro_f1() - (1.3 + 2.0 / 3.0) / 4.0).abs() < 1e-15);
    assert_eq!(m.micro_f1(), m.accuracy());
}

#[test]
fn the_confusion_matrix_prints_as_a_table() {
    let mut m = ConfusionMatrix::new(2);
    m.add(&Tensor::from([0i64, 0, 1]), &Tensor::from([0i64, 1, 1]));
    (0..4).for_each(|_| m.add(&Tensor::from([1i64, 1, 1]), &Tensor::from([1i64, 1, 1])));
    assert_eq!(m.to_string(), "         0  1\n     0   1  1\n     1   0 13");
    m.reset();
    assert_eq!((m.total(), m), (0, ConfusionMatrix::new(2)));
}

#[test]
#[should_panic(expected = "confusion matrix: label 0, prediction 2; there are 2 classes")]
fn the_confusion_matrix_refuses_what_is_no_class() {
    ConfusionMatrix::new(2).add(&Tensor::from([0i64]), &Tensor::from([2i64]));
}

#[test]
fn f_scores_over_batches_are_those_of_the_matrix() {
    type Streaming = Box<dyn Metric<f64, Tensor<i64>>>;
    let mut metrics: Vec<(Streaming, &str, f64)> = vec![
        (Box::new(Precision::new(4)), "precision", matrix().macro_precision()),
        (Box::new(Recall::new(4)), "recall", matrix().macro_recall()),
        (Box::new(F1::new(4)), "f1", matrix().macro_f1()),
        (Box::new(Precision::of_class(1, 4)), "precision_1", 0.5),
        (Box::new(Recall::of_class(2, 4)), "recall_2", 1.0),
        (Box::new(F1::of_class(1, 4)), "f1_1", 0.5),
    ];
    for (metric, name, expected) in &mut metrics {
        assert_eq!(metric.name(), *name);
        metric.update(&scores(&[0, 0, 1, 1], 4), &Tensor::from([0i64, 0, 0, 1]));
        metric.update(&scores(&[2, 2], 4), &Tensor::from([1i64, 2]));
        assert_eq!(metric.value(), *expected, "{name}");
        metric.reset();
        assert!(metric.value().is_nan());
    }
}

#[test]
fn mean_errors_over_unequal_batches_by_hand() {
    let (mut mae, mut mse) = (MeanAbsoluteError::new(), MeanSquaredError::new());
    for (x, t) in [(vec![1.0, -2.0, 3.0], vec![0.0, 0.0, 3.0]), (vec![4.0], vec![1.0])] {
        mae.update(&Tensor::from(x.clone()), &Tensor::from(t.clone()));
        mse.update(&Tensor::from(x), &Tensor::from(t));
    }
    assert_eq!(Metric::<f64, Tensor<f64>>::value(&mae), 1.5);
    assert_eq!(Metric::<f64, Tensor<f64>>::value(&mse), 3.5);
    let mut mean = RunningMean::new();
    assert!(mean.value().is_nan());
    mean.add(f64::NAN, 0);
    mean.add(3.0, 2);
    assert_eq!((mean.value(), mean.weight()), (3.0, 2.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn top_k_is_a_place_among_the_sorted(n in 1..20usize, classes in 1..7usize, k in 1..8usize, seed: u64) {
        let rng = &mut Rng::seed(seed);
        // Few distinct scores, so that there are ties.
        let output: Tensor<f64> = Tensor::randint([classes, n], 0, 4, rng).cast().transpose(0, 1);
        let labels = Tensor::randint([n], 0, classes as i64, rng);
        let right = (0..n).filter(|&i| {
            let mut order: Vec<usize> = (0..classes).collect();
            order.sort_by(|&a, &b| output.at([i, b]).total_cmp(&output.at([i, a])));
            order.iter().take(k).any(|&c| c as i64 == labels.at([i]))
        });
        prop_assert_eq!(top_k_accuracy(&output, &labels, k), right.count() as f64 / n as f64);
        prop_assert_eq!(accuracy(&output, &output.argmax(1)), 1.0);
    }

    #[test]
    fn the_matrix_is_what_loops_count(n in 0..30usize, classes in 1..5usize, seed: u64) {
        let rng = &mut Rng::seed(seed);
        let labels = Tensor::randint([n], 0, classes as i64, rng);
        let predictions = Tensor::randint([n], 0, classes as i64, rng);
        let mut m = ConfusionMatrix::new(classes);
        m.add(&labels, &predictions);
        let (labels, predictions) = (labels.to_vec(), predictions.to_vec());
        let count = |f: &dyn Fn(i64, i64) -> bool| labels.iter().zip(&predictions).filter(|&(&l, &p)| f(l, p)).count() as f64;
        let share = |part: f64, whole: f64| if whole == 0.0 { 0.0 } else { part / whole };
        for class in 0..classes {
            let c = class as i64;
            let hits = count(&|l, p| l == c && p == c);
            prop_assert_eq!(m.precision(class), share(hits, count(&|_, p| p == c)));
            prop_assert_eq!(m.recall(class), share(hits, count(&|l, _| l == c)));
            // 2 TP / (2 TP + FP + FN), the other form of F1.
            let f1 = share(2.0 * hits, 2.0 * hits + count(&|l, p| (l == c) != (p == c)));
            prop_assert!((m.f1(class) - f1).abs() < 1e-12);
        }
    }
}

#[test]
fn an_interrupted_pass_goes_on_from_the_state() {
    fn goes_on<Y>(mut whole: impl Metric<f32, Y>, mut rest: impl Metric<f32, Y>, batches: [(Tensor<f32>, Y); 2]) {
        whole.update(&batches[0].0, &batches[0].1);
        rest.load_state(&whole.state());
        whole.update(&batches[1].0, &batches[1].1);
        rest.update(&batches[1].0, &batches[1].1);
        assert!(whole.value() > 0.0 && whole.value() == rest.value(), "{}", whole.name());
        let only_the_rest = {
            rest.reset();
            rest.update(&batches[1].0, &batches[1].1);
            rest.value()
        };
        assert_ne!(only_the_rest, whole.value(), "{}", whole.name());
    }
    let outputs = || [Tensor::from([[2.0f32, 1.0], [0.0, 3.0], [1.0, 0.0]]), Tensor::from([[0.5f32, 1.5]])];
    let labels = || {
        let [a, b] = outputs();
        [(a, Tensor::from([0i64, 1, 1])), (b, Tensor::from([1i64]))]
    };
    goes_on(Accuracy::new(), Accuracy::new(), labels());
    goes_on(Precision::new(2), Precision::new(2), labels());
    goes_on(Recall::new(2), Recall::new(2), labels());
    goes_on(F1::of_class(1, 2), F1::of_class(1, 2), labels());
    let targets = || {
        let [a, b] = outputs();
        [(a, Tensor::from([[1.0f32, 0.0], [0.0, 1.0], [0.0, 0.0]])), (b, Tensor::from([[0.0f32, 1.0]]))]
    };
    goes_on(BinaryAccuracy::new(), BinaryAccuracy::new(), targets());
    goes_on(MeanAbsoluteError::default(), MeanAbsoluteError::default(), targets());
    goes_on(MeanSquaredError::default(), MeanSquaredError::default(), targets());
}
