//! Data made in the background: what training waits for, and that nothing depends on how it is loaded.

use crate::common::{PowerCut, bits, quiet, timeless};
use gradus_autograd::Var;
use gradus_data::transforms::{Compose, Cutout, RandomCrop, RandomHorizontalFlip};
use gradus_data::{Cifar10, DataError, Dataset, ImageDataset, Labelled, Relabelled, TensorDataset};
use gradus_nn::{Accuracy, Conv2d, CrossEntropy, Flatten, GlobalAvgPool2d, Layer, Linear, Mode, Module, Relu, Sequential};
use gradus_optim::{Adam, Sgd};
use gradus_tensor::{Rng, Tensor};
use gradus_train::{Fit, Trainer};
use std::thread::sleep;
use std::time::Duration;

/// A data set that takes its time for each batch.
#[derive(Clone)]
struct Slow(TensorDataset, Duration);

impl Dataset for Slow {
    type Batch = (Tensor<f32>, Tensor<i64>);
    fn len(&self) -> usize {
        self.0.len()
    }
    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        sleep(self.1);
        self.0.batch(indices)
    }
}

/// A layer that takes its time.
#[derive(Module)]
struct SlowLayer {
    inner: Linear,
    millis: u64,
}

impl Layer for SlowLayer {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        sleep(Duration::from_millis(self.millis));
        self.inner.forward(x, mode)
    }
}

/// Seconds that an epoch of 12 batches lasts and waits for data.
fn epoch(load: u64, step: u64) -> (f64, f64) {
    let data = TensorDataset::new(Tensor::zeros([12, 2]), Tensor::zeros([12])).unwrap();
    let net = SlowLayer { inner: Linear::new(2, 2, &mut Rng::seed(0)), millis: step };
    let mut trainer = Trainer::new(net, CrossEntropy::new(), Sgd::new(0.1));
    let data = Slow(data, Duration::from_millis(load));
    let history = trainer.fit_without_validation(&data, quiet(1).batch(1).prefetch(2)).unwrap();
    assert!((history.waiting() - history.epochs[0].waited / history.epochs[0].seconds).abs() < 1e-12);
    (history.epochs[0].seconds, history.epochs[0].waited)
}

#[test]
fn training_waits_for_the_first_batch_alone_when_data_is_faster() {
    let (seconds, waited) = epoch(10, 40);
    assert!(waited >= 0.009, "the first batch must be waited for: {waited}");
    // One after the other, waiting would be 120 ms of 600.
    assert!(waited < 0.09, "{waited} of {seconds}");
}

#[test]
fn slow_data_shows_as_waiting() {
    let (seconds, waited) = epoch(40, 10);
    // 12 batches of 40 ms, while the steps take 10 ms of each.
    assert!(waited > 0.3 && waited < seconds, "{waited} of {seconds}");
}

fn pictures() -> impl Dataset<Batch = (Tensor<f32>, Tensor<i64>)> + Clone + Send + 'static {
    let transform =
        Compose::new().add(RandomCrop::new([32, 32]).padding(4)).add(RandomHorizontalFlip::new(0.5)).add(Cutout::new(8));
    let data: ImageDataset = Cifar10::open("../../data/cifar10-small").unwrap().train().limit(60);
    data.augment(transform, 3)
}

fn classifier() -> Trainer<Sequential> {
    let rng = &mut Rng::seed(1);
    let net = Sequential::new().add(Conv2d::new(3, 4, 3, rng)).add(Relu).add(GlobalAvgPool2d).add(Flatten);
    Trainer::new(net.add(Linear::new(4, 10, rng)), CrossEntropy::new(), Adam::new(1e-2)).metric(Accuracy::new())
}

#[test]
fn augmented_training_ends_in_the_same_bits_however_it_is_loaded() {
    let run = |threads: usize, fit: Fit| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut trainer = classifier();
            let history = trainer.fit_without_validation(&pictures(), fit).unwrap();
            (bits(&trainer.net().state_dict()), timeless(history))
        })
    };
    let fit = || quiet(3).batch(16).seed(5);
    let first = run(1, fit().prefetch(1));
    assert_eq!(run(3, fit().prefetch(4)), first);
    assert_ne!(run(1, fit().seed(6)).0, first.0);

    // Cut off in the second epoch and gone on with.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last.safetensors");
    let stored = || fit().checkpoint(&path).checkpoint_every(1);
    let mut cut = classifier().callback(PowerCut(6));
    assert!(cut.fit_without_validation(&pictures(), stored()).is_err());
    let mut rest = classifier();
    let history = rest.fit_without_validation(&pictures(), stored().resume(&path)).unwrap();
    assert_eq!((bits(&rest.net().state_dict()), timeless(history)), first);
}

#[test]
fn mixed_labels_train_too() {
    let data = pictures().mixup(10, 0.5, 1).unwrap();
    let rng = &mut Rng::seed(1);
    let net: Sequential = Sequential::new().add(Flatten).add(Linear::new(3072, 10, rng));
    let mut trainer = Trainer::new(net, CrossEntropy::new(), Adam::new(1e-3));
    let history = trainer.fit_without_validation(&data, quiet(8).batch(20)).unwrap();
    assert!(history.last("loss").unwrap() < 0.95 * history.values("loss")[0], "{}", history.to_csv());
}

#[test]
fn sample_weights_let_a_net_learn_a_rare_class() {
    // One number in 40 is of the rare class, and overlaps with the others: unweighted, "never" is the best answer.
    let x = Tensor::from_fn([800, 1], |i| if i[0] % 40 == 0 { 1.0 } else { (i[0] % 7) as f32 / 4.0 });
    let data = TensorDataset::new(x, Tensor::<i64>::zeros([800])).unwrap();
    let data = Relabelled::new(data, Tensor::from_fn([800], |i| i64::from(i[0] % 40 == 0)), ["common", "rare"]).unwrap();
    let found = |fit: Fit| {
        let net: Sequential = Sequential::new().add(Linear::new(1, 32, &mut Rng::seed(1))).add(Relu);
        let net = net.add(Linear::new(32, 2, &mut Rng::seed(2)));
        let mut trainer = Trainer::new(net, CrossEntropy::new(), Adam::new(0.01));
        trainer.fit_without_validation(&data, fit).unwrap();
        trainer.predict(&Tensor::from([[1.0]]), 1).unwrap().argmax(1).item()
    };
    assert_eq!(found(quiet(20).batch(32)), 0);
    assert_eq!(found(quiet(20).batch(32).sample_weights(data.sample_weights().unwrap())), 1);
    let mut trainer = classifier();
    let error = trainer.fit_without_validation(&pictures(), quiet(1).sample_weights([1.0])).unwrap_err();
    assert!(error.to_string().contains("1 weights for 60 samples"), "{error}");
}
