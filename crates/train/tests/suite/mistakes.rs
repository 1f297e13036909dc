//! What data and networks do wrong, and what `fit` and `evaluate` say about it.

use crate::common::{AtEpochEnd, plain_net, quiet, spirals, trainer};
use gradus_autograd::{Module, Param, Path, Var, Visitor};
use gradus_data::{DataError, Dataset, TensorDataset};
use gradus_nn::metrics::{BinaryAccuracy, F1, MeanAbsoluteError, Precision};
use gradus_nn::*;
use gradus_optim::{Adam, Sgd};
use gradus_tensor::{Rng, Tensor};
use gradus_train::{TrainData, Trainer};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn rng() -> Rng {
    Rng::seed(0)
}

/// What both say: `fit` with the place of its first batch, `evaluate` with its own.
fn refused<L, Y>(
    what: &str,
    net: impl Fn() -> Sequential,
    loss: impl Fn() -> L,
    data: &impl TrainData<Batch = (Tensor<f32>, Y)>,
    parts: &[&str],
) where
    L: Loss<f32, Y> + 'static,
    Y: Send + 'static,
{
    let trainer = || Trainer::new(net(), loss(), Adam::new(0.01));
    let fit = trainer().fit_without_validation(data, quiet(1).batch(4).shuffle(false)).unwrap_err().to_string();
    let evaluated = trainer().evaluate(data, 4).unwrap_err().to_string();
    assert!(
        fit.starts_with("fit: epoch 1, batch 1: ") && evaluated.starts_with("evaluate: batch 1: "),
        "{what}: {fit}, {evaluated}"
    );
    for part in parts {
        assert!(fit.contains(part) && evaluated.contains(part), "{what}: `{part}` is neither in `{fit}` nor in `{evaluated}`");
    }
}

fn linear(outputs: usize) -> Sequential {
    Sequential::new().add(Linear::new(2, outputs, &mut rng()))
}

fn numbers(outputs: usize) -> TensorDataset<f32, f32> {
    let t = Tensor::uniform([8, outputs], 0.1, 0.9, &mut rng());
    TensorDataset::new(spirals(8, 1).inputs().clone(), &t / &t.sum_keep(1)).unwrap()
}

/// A network of one's own, which ends in a softmax and says nothing of it.
struct OfOnesOwn(Linear);

impl Module<f32> for OfOnesOwn {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, f32>) {
        self.0.visit(path, v);
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<f32>)) {
        self.0.visit_mut(path, f);
    }
}

impl Layer<f32> for OfOnesOwn {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        self.0.forward(x, mode).softmax(-1).unsqueeze(2).squeeze(2).clamp(1e-7, 1.0)
    }
}

#[test]
fn probabilities_are_no_logits() {
    let (labels, soft) = (spirals(8, 1), numbers(2));
    let softmax = || linear(2).add(Softmax(1));
    let advice = ["`softmax`", "expected logits", "`CrossEntropy::from_probabilities()`"];
    refused("labels", softmax, CrossEntropy::new, &labels, &advice);
    refused("soft", softmax, || CrossEntropy::new().label_smoothing(0.1), &soft, &advice);
    refused("softmin", || linear(2).add(Softmin(1)), CrossEntropy::new, &labels, &advice);
    refused("custom", || Sequential::new().add(OfOnesOwn(Linear::new(2, 2, &mut rng()))), CrossEntropy::new, &labels, &advice);
    refused("sigmoid", || linear(2).add(Sigmoid), CrossEntropy::new, &labels, &["`sigmoid`", "expected logits"]);
    let weighted = soft.clone().with_sample_weights(&[1.0; 8]).unwrap();
    let apart = || SampleWeighted::new(CrossEntropy::new().reduction(Reduction::None));
    refused("weighted", softmax, apart, &weighted, &advice);
    let advice = ["`sigmoid`", "expected logits", "`Bce::new()`"];
    refused("binary", || linear(2).add(Sigmoid), BceWithLogits::new, &soft, &advice);
    refused("binary", || linear(2).add(Sigmoid).add(Lambda(|x: &Var| x.t().t())), BceWithLogits::new, &soft, &advice);
    refused("log", || linear(2).add(LogSigmoid), BceWithLogits::new, &soft, &["`log_sigmoid`", "expected logits"]);
}

#[test]
fn neither_logits_nor_probabilities_are_log_probabilities() {
    let (labels, soft) = (spirals(8, 1), numbers(2));
    // All logits are above 0, so that some are in any case.
    let raised = || -> Sequential {
        let layer = Linear::new(2, 2, &mut rng());
        Sequential::new().add(Lambda(|x: &Var| x.clone())).add(layer)
    };
    for (net, op) in [(&raised as &dyn Fn() -> Sequential, "`linear`"), (&|| linear(2).add(Softmax(1)), "`softmax`")] {
        refused("nll", net, Nll::new, &labels, &[op, "expected log-probabilities", "LogSoftmax", "CrossEntropy::new()"]);
        refused("kl", net, KlDivergence::new, &soft, &[op, "expected log-probabilities", "LogSoftmax"]);
    }
}

#[test]
fn outputs_that_are_no_probabilities_are_named() {
    let part = ["expected probabilities"];
    refused("logits", || linear(2), CrossEntropy::from_probabilities, &spirals(8, 1), &part);
    refused("logits", || linear(2), Bce::new, &numbers(2), &part);
    let sigmoid = || linear(2).add(Sigmoid);
    refused("sigmoid", sigmoid, CrossEntropy::from_probabilities, &spirals(8, 1), &["add up to 1", "softmax over axis 1"]);
}

#[test]
fn what_a_loss_takes_is_not_refused() {
    let (labels, soft) = (spirals(8, 1), numbers(2));
    fn runs<L: Loss<f32, Y> + 'static, Y: Send + 'static>(
        net: Sequential,
        loss: L,
        data: &impl TrainData<Batch = (Tensor<f32>, Y)>,
    ) {
        let mut t = Trainer::new(net, loss, Adam::new(0.01));
        t.fit(data, data, quiet(1)).unwrap();
    }
    let softmax = || linear(2).add(Softmax(1));
    let log_softmax = || linear(2).add(LogSoftmax(1));
    runs(softmax(), CrossEntropy::from_probabilities(), &labels);
    runs(softmax(), CrossEntropy::from_probabilities(), &soft);
    runs(linear(2).add(Sigmoid), Bce::new(), &soft);
    runs(softmax(), Mse::new(), &soft);
    runs(log_softmax(), Nll::new(), &labels);
    runs(log_softmax(), KlDivergence::new(), &soft);
    // Log-probabilities are logits too.
    runs(log_softmax(), CrossEntropy::new(), &labels);
    // Logits may lie where probabilities do.
    runs(linear(2).add(Softplus).add(Tanh), CrossEntropy::new(), &labels);
    // A softmax within the network is no matter.
    runs(softmax().add(Linear::new(2, 2, &mut rng())), CrossEntropy::new(), &labels);
}

#[test]
fn cross_entropy_of_a_softmax_trains_as_that_of_logits_does() {
    let data = spirals(120, 1);
    let trained = |net: Sequential, loss| {
        let mut t = Trainer::new(net, loss, Adam::new(0.03)).metric(Accuracy::new());
        let history = t.fit_without_validation(&data, quiet(20).seed(1)).unwrap();
        (history.last("loss").unwrap(), history.last("acc").unwrap())
    };
    let (loss, right) = trained(plain_net(3), CrossEntropy::new());
    let (same_loss, same_right) = trained(plain_net(3).add(Softmax(1)), CrossEntropy::from_probabilities());
    assert!((loss - same_loss).abs() < 1e-3 && (right - same_right).abs() < 0.01, "{loss} {same_loss} {right} {same_right}");
}

#[test]
fn a_metric_of_logits_is_refused_beside_a_loss_of_probabilities() {
    let data = numbers(2);
    let net = || linear(2).add(Sigmoid);
    let loss = Bce::new;
    let mut t = Trainer::new(net(), loss(), Adam::new(0.01)).metric(BinaryAccuracy::new());
    for message in [t.evaluate(&data, 4).unwrap_err(), t.fit_without_validation(&data, quiet(1)).unwrap_err()] {
        let text = message.to_string();
        assert!(text.contains("`acc` takes logits, the loss probabilities") && text.contains("BinaryAccuracy::from_"), "{text}");
    }
    let mut t = Trainer::new(net(), loss(), Adam::new(0.01)).metric(BinaryAccuracy::from_probabilities());
    let right = t.evaluate(&data, 3).unwrap()[1].1;
    let output = t.predict(data.inputs(), 8).unwrap().to_vec();
    let expected = output.iter().zip(data.targets().to_vec()).filter(|(x, t)| (**x > 0.5) == (*t > 0.5)).count() as f64 / 16.0;
    assert_eq!(right, expected);
}

/// Four samples, the third of which is wrong; in the second batch of two.
fn third(wrong: i64) -> TensorDataset<f32, i64> {
    TensorDataset::new(Tensor::ones([4, 2]), Tensor::from([0i64, 1, wrong, 1])).unwrap()
}

fn message<L, Y>(
    net: Sequential,
    loss: L,
    metric: Option<Box<dyn Metric<f32, Y>>>,
    data: &impl TrainData<Batch = (Tensor<f32>, Y)>,
) -> String
where
    L: Loss<f32, Y> + 'static,
    Y: Send + 'static,
{
    let mut t = Trainer::new(net, loss, Adam::new(0.01));
    if let Some(metric) = metric {
        t = t.metric(Boxed(metric));
    }
    t.fit_without_validation(data, quiet(1).batch(2).shuffle(false)).unwrap_err().to_string()
}

/// A metric whose type is not known.
struct Boxed<Y>(Box<dyn Metric<f32, Y>>);

impl<Y> Metric<f32, Y> for Boxed<Y> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn update(&mut self, output: &Tensor<f32>, target: &Y) {
        self.0.update(output, target);
    }
    fn check(&self, output: &[usize], target: &Y) -> Result<(), gradus_tensor::ShapeError> {
        self.0.check(output, target)
    }
    fn value(&self) -> f64 {
        self.0.value()
    }
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// Targets that need more steps than there are, in the second batch.
#[derive(Clone)]
struct TooLong;

impl Dataset for TooLong {
    type Batch = (Tensor<f32>, Vec<Vec<usize>>);
    fn len(&self) -> usize {
        4
    }
    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        let target = |&i: &usize| if i == 2 { vec![1, 1, 1] } else { vec![1] };
        Ok((Tensor::ones([indices.len(), 3, 2]), indices.iter().map(target).collect()))
    }
}

/// Reads rows of a table by index.
struct Words(Embedding);

impl Module<f32> for Words {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, f32>) {
        self.0.visit(path, v);
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<f32>)) {
        self.0.visit_mut(path, f);
    }
}

impl Layer<f32> for Words {
    fn forward(&self, x: &Var, _: &mut Mode) -> Var {
        self.0.embed(&x.value().cast())
    }
}

#[test]
fn what_data_do_wrong_is_an_error_with_its_place() {
    let second = |text: String, part: &str| {
        assert!(text.starts_with("fit: epoch 1, batch 2: ") && text.contains(part), "`{part}` is not in `{text}`");
    };
    second(message(linear(2), CrossEntropy::new(), None, &third(7)), "label 7 at position 0 is outside");
    let log_softmax = || linear(2).add(LogSoftmax(1));
    second(message(log_softmax(), Nll::new(), None, &third(-1)), "label -1 at position 0 is outside");
    second(message(linear(2), Ctc::new(), None, &TooLong), "target 0 of 3 labels takes 5 steps or more; its input has 3");
    // A loss of one's own that takes any label: the metric is what refuses it.
    struct First;
    impl Loss<f32, Tensor<i64>> for First {
        fn loss(&self, output: &Var, _: &Tensor<i64>) -> Var {
            output.mean(..)
        }
    }
    second(message(linear(2), First, Some(Box::new(F1::new(2))), &third(7)), "f1: label 7 at position 0");
    let narrow = message(linear(3), First, Some(Box::new(Precision::new(2))), &third(0));
    assert!(narrow.contains("precision") && narrow.contains("of 3 classes; the metric has 2"), "{narrow}");

    let odd = TensorDataset::new(Tensor::normal([3, 2], 0.0, 1.0, &mut rng()), Tensor::from([0i64, 1, 0])).unwrap();
    let norm = || Sequential::new().add(BatchNorm1d::new(2));
    second(message(norm(), CrossEntropy::new(), None, &odd), "a channel in training, got one (input [1, 2])");
    let words = TensorDataset::new(Tensor::from([0.0f32, 1.0, 5.0, 1.0]), Tensor::from([0i64, 1, 0, 1])).unwrap();
    let table = Sequential::new().add(Words(Embedding::new(3, 2, &mut rng())));
    second(message(table, CrossEntropy::new(), None, &words), "got 5 at position 0");
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let first = |text: String, part: &str| {
        assert!(text.starts_with("fit: epoch 1, batch 1: ") && text.contains(part), "`{part}` is not in `{text}`");
    };
    let wide = TensorDataset::new(Tensor::<f32>::ones([4, 5]), Tensor::from([0i64, 1, 0, 1])).unwrap();
    first(message(linear(2), CrossEntropy::new(), None, &wide), "Linear `0`");
    first(message(linear(2), CrossEntropy::new().weight([1.0; 3]), None, &third(0)), "3 class weights for 2 classes");
    let soft = numbers(2);
    first(message(linear(3), CrossEntropy::new(), None, &soft), "wanted [N, C]");
    first(message(linear(3), Mse::new(), None, &soft), "must have one shape");
    first(message(linear(3), Huber::new(1.0), None, &soft), "must have one shape");
    first(message(linear(3), BceWithLogits::new(), None, &soft), "must have one shape");
    first(message(linear(2), BceWithLogits::new().pos_weight([1.0; 3]), None, &soft), "do not broadcast");
    first(message(linear(3).add(LogSoftmax(1)), KlDivergence::new(), None, &soft), "must have one shape");
    struct Any;
    impl Loss<f32, Tensor<f32>> for Any {
        fn loss(&self, output: &Var, _: &Tensor<f32>) -> Var {
            output.mean(..)
        }
    }
    first(message(linear(3), Any, Some(Box::new(MeanAbsoluteError::new())), &soft), "must have one shape");
    first(message(linear(3), Any, Some(Box::new(BinaryAccuracy::new())), &soft), "must have one shape");
    first(message(linear(3), Any, Some(Box::new(Accuracy::new())), &soft), "wanted [N, C]");
    struct Weightless;
    impl Loss<f32, Tensor<f32>> for Weightless {
        fn loss(&self, output: &Var, _: &Tensor<f32>) -> Var {
            output.mean(..)
        }
        fn weight(&self, _: &Tensor<f32>, _: usize) -> BatchWeight {
            BatchWeight::Mean(-1.0)
        }
    }
    first(message(linear(2), Weightless, None, &soft), "the loss has the weight -1");
}

/// Counts the steps that it is told of.
#[derive(Clone, Default)]
struct Steps(Arc<AtomicUsize>);

impl gradus_train::Callback for Steps {
    fn name(&self) -> &'static str {
        "steps"
    }
    fn on_step_end(
        &mut self,
        _: &mut gradus_train::Run<'_>,
        _: &gradus_train::StepRecord,
    ) -> Result<(), gradus_train::TrainError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn a_batch_whose_labels_are_all_ignored_counts_for_nothing() {
    let labels = |all: [i64; 6]| TensorDataset::new(Tensor::normal([6, 2], 0.0, 1.0, &mut rng()), Tensor::from(all)).unwrap();
    let steps = Steps::default();
    let loss = || CrossEntropy::new().ignore_index(-100);
    // Momentum and a penalty would move the weights in the second step as well.
    let trainer = || Trainer::new(linear(2), loss(), Sgd::new(0.1).momentum(0.9)).penalty(Penalty::l2(0.1));
    let mut t = trainer().callback(steps.clone()).metric(Accuracy::new()).metric(F1::new(2));
    let fit = || quiet(1).batch(2).shuffle(false);
    let history = t.fit_without_validation(&labels([0, 1, -100, -100, 1, 1]), fit()).unwrap();
    assert_eq!((history.steps.len(), steps.0.load(Ordering::Relaxed)), (2, 2));
    assert!(history.steps.iter().all(|s| s.loss.is_finite()) && history.last("loss").unwrap().is_finite());
    // The two steps are those without the batch.
    let mut without = trainer();
    let kept = labels([0, 1, -100, -100, 1, 1]).subset([0, 1, 4, 5]).unwrap();
    without.fit_without_validation(&kept, fit()).unwrap();
    assert_eq!(t.net().state_dict(), without.net().state_dict());
    // Nothing at all counts: no step, no error.
    let before = t.net().state_dict();
    let history = t.fit_without_validation(&labels([-100; 6]), fit()).unwrap();
    assert!(history.steps.is_empty() && history.last("loss").unwrap().is_nan());
    assert_eq!(t.net().state_dict(), before);
    assert!(t.evaluate(&labels([-100; 6]), 4).unwrap().iter().all(|(_, v)| v.is_nan()));
}

#[test]
fn a_resumed_training_knows_the_batches_that_count_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    let x = Tensor::normal([8, 2], 0.0, 1.0, &mut rng());
    let data = TensorDataset::new(x, Tensor::from([0i64, 1, 9, 9, 1, 0, 0, 9])).unwrap();
    let trainer = || Trainer::new(linear(2), CrossEntropy::new().ignore_index(9), Sgd::new(0.1)).metric(Accuracy::new());
    let fit = || quiet(2).batch(2).shuffle(false);
    let mut whole = trainer();
    let expected = crate::common::timeless(whole.fit_without_validation(&data, fit()).unwrap());
    let mut cut = trainer().callback(crate::common::PowerCut(3));
    cut.fit_without_validation(&data, fit().checkpoint(&path).checkpoint_every(1)).unwrap_err();
    let mut rest = trainer();
    let found = crate::common::timeless(rest.fit_without_validation(&data, fit().resume(&path)).unwrap());
    assert_eq!(rest.net().state_dict(), whole.net().state_dict());
    assert_eq!(found, expected);
}

#[test]
fn metrics_leave_out_what_the_loss_ignores() {
    // Class 0 is predicted throughout.
    let x = Tensor::from([[2.0f32, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]);
    let data = TensorDataset::new(x, Tensor::from([0i64, 9, 0, 9])).unwrap();
    for batch in [1, 2, 3, 4] {
        let trainer = Trainer::new(Identity, CrossEntropy::new().ignore_index(9), Sgd::new(0.1));
        let mut t = trainer
            .metric(Accuracy::new())
            .metric(Accuracy::top_k(2))
            .metric(F1::of_class(0, 2))
            .metric(Precision::of_class(0, 2));
        let values = t.evaluate(&data, batch).unwrap();
        assert!(values[1..].iter().all(|(_, v)| *v == 1.0), "{values:?}");
    }
    let mut t =
        Trainer::new(Identity, CrossEntropy::new().ignore_index(9), Sgd::new(0.1)).metric(Accuracy::new().ignore_index(0));
    assert_eq!(t.evaluate(&data, 4).unwrap()[1].1, 0.0, "what a metric has been told goes first");
}

#[test]
fn metrics_take_what_the_loss_takes() {
    let labels = spirals(16, 1);
    let all = |values: Vec<(String, f64)>| -> Vec<f64> { values.into_iter().skip(1).map(|(_, v)| v).collect() };
    let one_hot = TensorDataset::new(labels.inputs().clone(), labels.targets().one_hot::<f32>(2)).unwrap();
    let expected = {
        let mut t = trainer(plain_net(1), Adam::new(0.01)).metric(F1::new(2)).metric(Precision::new(2));
        all(t.evaluate(&labels, 5).unwrap())
    };
    let mut t = Trainer::new(plain_net(1), CrossEntropy::new(), Adam::new(0.01)).metric(Accuracy::new());
    t = t.metric(F1::new(2)).metric(Precision::new(2));
    assert_eq!(all(t.evaluate(&one_hot, 5).unwrap()), expected);
    let apart = || SampleWeighted::new(CrossEntropy::new().reduction(Reduction::None));
    let mut t = Trainer::new(plain_net(1), apart(), Adam::new(0.01)).metric(Accuracy::new());
    t = t.metric(F1::new(2)).metric(Precision::new(2));
    assert_eq!(all(t.evaluate(&labels.clone().with_sample_weights(&[0.5; 16]).unwrap(), 5).unwrap()), expected);
    // Blended pictures and labels.
    let images = TensorDataset::new(labels.inputs().clone(), labels.targets().clone()).unwrap().mixup(2, 1.0, 3).unwrap();
    let mut t = Trainer::new(plain_net(1), CrossEntropy::new(), Adam::new(0.03)).metric(Accuracy::new());
    let history = t.fit(&images, &one_hot, quiet(2).batch(8)).unwrap();
    assert!((0.0..=1.0).contains(&history.last("acc").unwrap()));
    // [N, C, d] and [N, d].
    let x: Tensor = Tensor::normal([6, 3, 4], 0.0, 1.0, &mut rng());
    let y = x.argmax(1);
    let wrong = Tensor::from_fn([6, 4], |at| if at[1] == 0 { (y.at([at[0], 0]) + 1) % 3 } else { y.at([at[0], at[1]]) });
    let dense = TensorDataset::new(x, wrong).unwrap();
    let mut t = Trainer::new(Identity, CrossEntropy::new(), Sgd::new(0.1)).metric(Accuracy::new());
    assert_eq!(all(t.evaluate(&dense, 4).unwrap()), [0.75]);
}

#[test]
fn callbacks_survive_a_panic() {
    let data = spirals(8, 1);
    let (steps, mut epochs) = (Steps::default(), 0);
    let panicking = AtEpochEnd(move |_: &mut gradus_train::Run<'_>, _: &gradus_train::EpochRecord| {
        epochs += 1;
        assert!(epochs > 1, "on purpose");
    });
    let mut t = trainer(plain_net(1), Adam::new(0.01)).callback(steps.clone()).callback(panicking);
    let fit = || quiet(1).batch(4);
    assert!(catch_unwind(AssertUnwindSafe(|| t.fit_without_validation(&data, fit()))).is_err());
    assert_eq!(steps.0.swap(0, Ordering::Relaxed), 2);
    t.fit_without_validation(&data, fit()).unwrap();
    assert_eq!(steps.0.load(Ordering::Relaxed), 2, "the callback is still there");
}
