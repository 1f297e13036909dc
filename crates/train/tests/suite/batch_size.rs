//! What the batch size does not decide: the loss over a data set, and the steps of accumulated batches.

use crate::common::quiet;
use gradus_autograd::{Module, Var};
use gradus_data::{DataError, Dataset, TensorDataset};
use gradus_nn::*;
use gradus_optim::Sgd;
use gradus_tensor::{Rng, Tensor};
use gradus_train::{TrainData, Trainer};

/// Logits of two classes, whose losses for class 0 are these.
fn of_losses(losses: &[f64]) -> Tensor<f32> {
    Tensor::from_vec(losses.iter().flat_map(|l| [0.0, l.exp_m1().ln() as f32]).collect(), [losses.len(), 2])
}

#[test]
fn ignored_labels_leave_the_mean_as_it_is() {
    let data = TensorDataset::new(of_losses(&[3.0, 5.0, 1.0, 2.0]), Tensor::from([0i64, 9, 0, 0])).unwrap();
    for batch in [4, 3, 2, 1] {
        let mut t = Trainer::new(Identity, CrossEntropy::new().ignore_index(9), Sgd::new(0.1));
        let loss = t.evaluate(&data, batch).unwrap()[0].1;
        assert!((loss - 2.0).abs() < 1e-6, "{loss} in batches of {batch}");
    }
    // A mean over classes that weigh 4 and 1: (4 · 3 + 1 · 1) / 5.
    let data = TensorDataset::new(of_losses(&[3.0, 1.0]), Tensor::from([0i64, 1])).unwrap();
    let flipped = data.inputs().select(0, 1).flip(0);
    let x = Tensor::stack(&[&data.inputs().select(0, 0), &flipped], 0);
    let data = TensorDataset::new(x, data.targets().clone()).unwrap();
    for batch in [1, 2] {
        let mut t = Trainer::new(Identity, CrossEntropy::new().weight([4.0, 1.0]), Sgd::new(0.1));
        let loss = t.evaluate(&data, batch).unwrap()[0].1;
        assert!((loss - 2.6).abs() < 1e-6, "{loss} in batches of {batch}");
    }
}

const SAMPLES: usize = 12;
const ACCUMULATED: [(usize, usize); 6] = [(12, 1), (6, 2), (5, 3), (3, 4), (2, 6), (1, 12)];

/// Evaluates and trains with the same samples cut into batches of many sizes.
fn is_one_batch<L, Y, D>(what: &str, net: impl Fn() -> Sequential, loss: impl Fn() -> L, data: &D)
where
    L: Loss<f32, Y> + 'static,
    Y: Send + 'static,
    D: TrainData<Batch = (Tensor<f32>, Y)>,
{
    assert_eq!(data.len(), SAMPLES);
    let trainer = || Trainer::new(net(), loss(), Sgd::new(0.05).momentum(0.5)).penalty(Penalty::l2(0.01));
    let whole = trainer().evaluate(data, SAMPLES).unwrap()[0].1;
    assert!(whole.is_finite(), "{what}: {whole}");
    let near = |a: f64, b: f64| (a - b).abs() <= 2e-5 * (1.0 + b.abs());
    for batch in 1..SAMPLES {
        let cut = trainer().evaluate(data, batch).unwrap()[0].1;
        assert!(near(cut, whole), "{what}: {cut} in batches of {batch}, {whole} in one");
    }
    let trained = |batch, accumulate| {
        let mut t = trainer();
        let fit = quiet(2).batch(batch).accumulate(accumulate).seed(3);
        let history = t.fit_without_validation(data, fit).unwrap();
        assert_eq!(history.steps.len(), 2, "{what}");
        (t.into_net().state_dict(), history.values("loss"))
    };
    let (weights, losses) = trained(12, 1);
    assert!(near(losses[0], whole), "{what}: {losses:?}, {whole}");
    assert_ne!(weights, net().state_dict(), "{what}: it learns");
    for (batch, accumulate) in ACCUMULATED {
        let (found, means) = trained(batch, accumulate);
        assert!(means.iter().zip(&losses).all(|(a, b)| near(*a, *b)), "{what}: {means:?}, {losses:?}");
        for (name, expected) in &weights {
            let off = (&found[name] - expected).abs().max(..).item();
            assert!(off < 1e-5, "{what}: {name} is off by {off} in {accumulate} batches of {batch}");
        }
    }
}

fn linear(outputs: usize) -> Sequential {
    Sequential::new().add(ActivityPenalty::new(Linear::new(3, outputs, &mut Rng::seed(5)), Penalty::l2(0.02)))
}

fn inputs() -> Tensor<f32> {
    Tensor::normal([SAMPLES, 3], 0.0, 1.0, &mut Rng::seed(1))
}

/// With 9 for a label that is ignored; some batches have no other.
fn some_labels() -> TensorDataset<f32, i64> {
    TensorDataset::new(inputs(), Tensor::from([9i64, 0, 2, 9, 9, 9, 1, 2, 0, 9, 2, 2])).unwrap()
}

fn all_labels() -> TensorDataset<f32, i64> {
    TensorDataset::new(inputs(), Tensor::from([0i64, 0, 2, 1, 1, 0, 1, 2, 0, 2, 2, 2])).unwrap()
}

fn positive(shape: [usize; 2]) -> Tensor<f32> {
    Tensor::uniform(shape, 0.05, 1.0, &mut Rng::seed(2))
}

fn distributions() -> TensorDataset<f32, f32> {
    let p = positive([SAMPLES, 3]);
    TensorDataset::new(inputs(), &p / &p.sum_keep(1)).unwrap()
}

const WEIGHTS: [f64; 3] = [0.5, 4.0, 0.0];

#[test]
fn cross_entropy_does_not_depend_on_the_batch_size() {
    let (some, all, soft) = (some_labels(), all_labels(), distributions());
    let net = || linear(3);
    let ce = CrossEntropy::new;
    is_one_batch("plain", net, ce, &all);
    is_one_batch("ignored", net, || ce().ignore_index(9), &some);
    is_one_batch("an ignored class", net, || ce().ignore_index(2), &all);
    is_one_batch("weights", net, || ce().weight(WEIGHTS), &all);
    is_one_batch("smoothing, ignored", net, || ce().label_smoothing(0.2).ignore_index(9), &some);
    is_one_batch("all options", net, || ce().label_smoothing(0.2).ignore_index(9).weight([0.5, 4.0, 2.0]), &some);
    is_one_batch("sum", net, || ce().ignore_index(9).reduction(Reduction::Sum), &some);
    is_one_batch("soft", net, ce, &soft);
    is_one_batch("soft, weights", net, || ce().weight(WEIGHTS).label_smoothing(0.1), &soft);
    let softmax = || linear(3).add(Softmax(1));
    let of_probabilities = CrossEntropy::from_probabilities;
    is_one_batch("probabilities", softmax, || of_probabilities().ignore_index(9).weight([0.5, 4.0, 2.0]), &some);
    is_one_batch("probabilities, smoothing", softmax, || of_probabilities().label_smoothing(0.1), &soft);
    let log_softmax = || linear(3).add(LogSoftmax(1));
    is_one_batch("nll", log_softmax, || Nll::new().ignore_index(9).weight(WEIGHTS), &some);
    is_one_batch("nll, sum", log_softmax, || Nll::new().reduction(Reduction::Sum), &all);
}

/// `[N, 6]` to `[N, 3, 2]`.
fn dense() -> Sequential {
    linear(6).add(Lambda(|x: &Var| x.reshape([-1, 3, 2])))
}

#[test]
fn dense_labels_do_not_depend_on_the_batch_size() {
    let labels = Tensor::randint([SAMPLES, 2], 0, 4, &mut Rng::seed(7));
    let data = TensorDataset::new(inputs(), labels).unwrap();
    is_one_batch("dense", dense, || CrossEntropy::new().ignore_index(3).weight([1.0, 2.0, 5.0]), &data);
    is_one_batch("dense, sum", dense, || CrossEntropy::new().ignore_index(3).reduction(Reduction::Sum), &data);
}

#[test]
fn losses_of_numbers_do_not_depend_on_the_batch_size() {
    let data = TensorDataset::new(inputs(), positive([SAMPLES, 4])).unwrap();
    let net = || linear(4);
    for reduction in [Reduction::Mean, Reduction::Sum] {
        is_one_batch("mse", net, || Mse::new().reduction(reduction), &data);
        is_one_batch("l1", net, || L1::new().reduction(reduction), &data);
        is_one_batch("huber", net, || Huber::new(0.3).reduction(reduction), &data);
        is_one_batch("smooth l1", net, || SmoothL1::new(0.3).reduction(reduction), &data);
        let bce = || BceWithLogits::new().pos_weight([2.0, 1.0, 0.5, 3.0]).weight([1.0, 2.0, 3.0, 0.0]);
        is_one_batch("bce", net, || bce().reduction(reduction), &data);
        let sigmoid = || linear(4).add(Sigmoid);
        let of_probabilities = || Bce::new().pos_weight(2.0);
        is_one_batch("bce of probabilities", sigmoid, || of_probabilities().reduction(reduction), &data);
        let log_softmax = || linear(3).add(LogSoftmax(1));
        is_one_batch("kl", log_softmax, || KlDivergence::new().reduction(reduction), &distributions());
    }
    is_one_batch("kl, batchmean", || linear(3).add(LogSoftmax(1)), KlDivergence::new, &distributions());
}

#[test]
fn sample_weights_do_not_depend_on_the_batch_size() {
    let weights = [0.0, 1.0, 0.0, 5.0, 2.0, 0.5, 0.0, 0.0, 3.0, 1.0, 0.1, 9.0];
    let weighted = some_labels().with_sample_weights(&weights).unwrap();
    let apart = || CrossEntropy::new().ignore_index(9).reduction(Reduction::None);
    is_one_batch("sample weights", || linear(3), || SampleWeighted::new(apart()), &weighted);
    let by_class = || SampleWeighted::new(apart().weight([0.5, 4.0, 2.0]).label_smoothing(0.1));
    is_one_batch("sample and class weights", || linear(3), by_class, &weighted);
    let numbers = TensorDataset::new(inputs(), positive([SAMPLES, 4])).unwrap().with_sample_weights(&weights).unwrap();
    is_one_batch("weighted mse", || linear(4), || SampleWeighted::new(Mse::new().reduction(Reduction::None)), &numbers);
}

/// Sequences of four steps, with a target each.
#[derive(Clone)]
struct Said;

impl Dataset for Said {
    type Batch = (Tensor<f32>, Vec<Vec<usize>>);
    fn len(&self) -> usize {
        SAMPLES
    }
    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        let x: Tensor<f32> = Tensor::normal([SAMPLES, 4, 3], 0.0, 1.0, &mut Rng::seed(3));
        let targets = indices.iter().map(|i| (0..i % 3).map(|j| 1 + (i + j) % 3).collect()).collect();
        let indices: Vec<i64> = indices.iter().map(|&i| i as i64).collect();
        Ok((x.index_select(0, &Tensor::from(indices)), targets))
    }
}

#[test]
fn ctc_does_not_depend_on_the_batch_size() {
    for reduction in [Reduction::Mean, Reduction::Sum] {
        is_one_batch("ctc", || linear(4), || Ctc::new().reduction(reduction), &Said);
    }
}

/// The squared distance of each row from its target, over the rows that have one: as a user writes it.
struct Near {
    says: bool,
}

fn there(target: &Tensor<f32>) -> Tensor<f32> {
    target.select(1, 0).ge(0.0).to_num()
}

impl Loss<f32, Tensor<f32>> for Near {
    fn loss(&self, output: &Var, target: &Tensor<f32>) -> Var {
        let each = (output - Var::constant(target.clone())).square().sum(1);
        if self.says {
            (each * Var::constant(there(target))).sum(..) / f64::from(there(target).sum(..).item())
        } else {
            each.mean(..)
        }
    }
    fn weight(&self, target: &Tensor<f32>, samples: usize) -> BatchWeight {
        if self.says { f64::from(there(target).sum(..).item()).into() } else { samples.into() }
    }
}

#[test]
fn losses_of_ones_own_do_not_depend_on_the_batch_size() {
    let targets = Tensor::normal([SAMPLES, 3], 0.0, 1.0, &mut Rng::seed(8));
    let data = TensorDataset::new(inputs(), targets).unwrap();
    for says in [false, true] {
        is_one_batch("one's own", || linear(3), || Near { says }, &data);
    }
}
