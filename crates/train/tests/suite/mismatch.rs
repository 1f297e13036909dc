//! A training that is set up otherwise than the one that a checkpoint is of, and is refused.

use crate::common::{Scripted, bits, plain_net, quiet, spirals};
use gradus_autograd::{Module, Var};
use gradus_nn::{CrossEntropy, Loss, LossExt, Penalty, Sequential};
use gradus_optim::{CosineAnnealingLr, Every, Optimizer, Sgd};
use gradus_tensor::Tensor;
use gradus_train::{EarlyStopping, Fit, SaveBest, Trainer};
use std::path::Path;

type Classifier = Trainer<Sequential>;

struct Halved;

impl Loss<f32, Tensor<i64>> for Halved {
    fn loss(&self, output: &Var, target: &Tensor<i64>) -> Var {
        output.cross_entropy(target) * 0.5
    }
}

fn sgd() -> Optimizer<Sgd> {
    Sgd::new(0.1)
}

fn classifier(opt: Optimizer<Sgd>) -> Classifier {
    Trainer::new(plain_net(1), CrossEntropy::new(), opt)
}

/// Trains for two epochs, or one and a part, and writes the checkpoint.
fn store(mut t: Classifier, fit: Fit, file: &Path) {
    let data = spirals(20, 1);
    t.fit(&data, &data, fit.checkpoint(file)).unwrap();
}

/// Why going on from the checkpoint to four epochs is refused, if it is; then nothing has changed.
fn refusal(mut t: Classifier, fit: Fit, file: &Path) -> Option<String> {
    let data = spirals(20, 1);
    let before = bits(&t.net().state_dict());
    let error = t.fit(&data, &data, fit.resume(file)).err()?;
    assert_eq!(bits(&t.into_net().state_dict()), before);
    Some(error.to_string())
}

fn check(refusal: Option<String>, wanted: &str) {
    let text = refusal.expect(wanted);
    assert!(text.contains("cannot go on from this checkpoint: ") && text.contains(wanted), "{text}\nlacks {wanted}");
}

#[test]
fn other_sample_weights_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let fit = |epochs| quiet(epochs).batch(8);
    let weights = |last: f64| [vec![1.0; 19], vec![last]].concat();
    store(classifier(sgd()), fit(2).sample_weights(weights(3.0)), &file);
    check(refusal(classifier(sgd()), fit(4).sample_weights(weights(2.0)), &file), "20 samples drawn by sample weights (");
    check(refusal(classifier(sgd()), fit(4), &file), "this training has seed 0, 20 samples shuffled");
    assert_eq!(refusal(classifier(sgd()), fit(4).sample_weights(weights(3.0)), &file), None);
    store(classifier(sgd()), fit(2), &file);
    check(refusal(classifier(sgd()), fit(4).sample_weights(weights(1.0)), &file), "20 samples shuffled in batches of 8");
    // More data is a choice, and needs other weights.
    store(classifier(sgd()), fit(2).sample_weights(weights(3.0)), &file);
    let more = spirals(21, 1);
    classifier(sgd()).fit(&more, &more, fit(3).sample_weights(vec![1.0; 21]).resume(&file)).unwrap();
}

#[test]
fn another_loss_and_other_penalties_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let fit = |epochs| quiet(epochs).batch(8);
    let halved = || Trainer::new(plain_net(1), Halved, sgd());
    store(classifier(sgd()), fit(2), &file);
    check(
        refusal(halved(), fit(4), &file),
        "loss CrossEntropy; this training has seed 0, 20 samples shuffled in batches of 8, 1 a step, loss Halved",
    );
    check(refusal(classifier(sgd()).penalty(Penalty::l2(0.1)), fit(4), &file), "loss CrossEntropy with penalties");
    store(halved(), fit(2), &file);
    assert_eq!(refusal(halved(), fit(4), &file), None);
}

#[test]
fn another_schedule_and_other_clipping_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let fit = |epochs| quiet(epochs).batch(8);
    let cosine = |n| sgd().schedule(Every::Epoch, CosineAnnealingLr::new(n));
    store(classifier(cosine(4).clip_norm(1.0)), fit(2), &file);
    check(refusal(classifier(cosine(5).clip_norm(1.0)), fit(4), &file), "t_max: 5");
    check(refusal(classifier(cosine(4)), fit(4), &file), "clipping: none here and Norm(1.0) in the state");
    check(refusal(classifier(sgd().clip_norm(1.0)), fit(4), &file), "schedule: none here");
    assert_eq!(refusal(classifier(cosine(4).clip_norm(1.0)), fit(4), &file), None);
}

#[test]
fn the_memory_of_other_callbacks_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let fit = |epochs| quiet(epochs).batch(8);
    let stop = |monitor: &str| EarlyStopping::on(monitor).patience(5);
    store(classifier(sgd()).callback(stop("val_loss")), fit(2), &file);
    check(refusal(classifier(sgd()).callback(stop("loss")), fit(4), &file), "the callback `early_stopping#1` was set to");
    check(refusal(classifier(sgd()).callback(stop("val_loss").maximize()), fit(4), &file), "maximize");
    check(
        refusal(classifier(sgd()), fit(4), &file),
        "the memory of the callback `early_stopping#1`, which this training does not have",
    );
    let save = SaveBest::on("val_loss", dir.path());
    check(refusal(classifier(sgd()).callback(save), fit(4), &file), "early_stopping#1");
    // Patience may change, as the number of epochs may.
    assert_eq!(refusal(classifier(sgd()).callback(stop("val_loss").patience(9)), fit(4), &file), None);
}

#[test]
fn within_an_epoch_a_dropped_last_batch_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let data = spirals(20, 1);
    let fit = || quiet(2).batch(8);
    let cut =
        classifier(sgd()).callback(crate::common::PowerCut(2)).fit(&data, &data, fit().checkpoint(&file).checkpoint_every(1));
    cut.unwrap_err();
    check(refusal(classifier(sgd()), fit().drop_last(true), &file), "in batches of 8, without a last smaller batch");
    assert_eq!(refusal(classifier(sgd()), fit(), &file), None);
}

#[test]
fn numbers_that_are_not_finite_go_through_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let data = spirals(20, 1);
    let script = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0, 5e-324];
    let fit = |epochs| quiet(epochs).batch(8).checkpoint(&file);
    let fresh = |done: usize| {
        let metric = Scripted::new("score", &script[done..]);
        let turn = metric.turn();
        classifier(sgd()).metric(metric).callback(turn).callback(EarlyStopping::on("score").minimize().patience(9))
    };
    let values = |t: &mut Classifier, fit: Fit| {
        let history = t.fit_without_validation(&data, fit).unwrap();
        history.values("score").into_iter().map(f64::to_bits).collect::<Vec<_>>()
    };
    let wanted: Vec<u64> = script.map(f64::to_bits).into();
    assert_eq!(values(&mut fresh(0), fit(1)), wanted[..1]);
    // The best so far is an infinity, which what follows can beat.
    for done in 1..5 {
        let now = values(&mut fresh(done), fit(done + 1).resume(&file));
        assert_eq!(now, wanted[..=done], "after {done} epochs");
    }
}

/// A loss of any size.
struct Sized(f64);

impl Loss<f32, Tensor<i64>> for Sized {
    fn loss(&self, output: &Var, target: &Tensor<i64>) -> Var {
        output.cross_entropy(target) + self.0
    }
}

#[test]
fn a_history_with_an_infinite_loss_resumes_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let data = spirals(20, 1);
    for size in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let file = dir.path().join("last.safetensors");
        let fit = |epochs| quiet(epochs).batch(8).allow_nan().checkpoint(&file);
        let mut t = Trainer::new(plain_net(1), Sized(size), sgd());
        let first = t.fit(&data, &data, fit(1)).unwrap();
        let mut t = Trainer::new(plain_net(2), Sized(size), sgd());
        let both = t.fit(&data, &data, fit(2).resume(&file)).unwrap();
        for name in ["loss", "val_loss"] {
            assert_eq!(both.values(name)[0].to_bits(), first.values(name)[0].to_bits(), "{name} of {size}");
            assert_eq!(format!("{}", both.values(name)[0]), format!("{size}"));
        }
        assert_eq!(format!("{:?}", both.steps[0]), format!("{:?}", first.steps[0]));
    }
}
