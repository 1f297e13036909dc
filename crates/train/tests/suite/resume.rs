//! A training that is interrupted and gone on with ends in the same bits as one that is not.

use crate::common::{AtEpochEnd, PowerCut, bits, net, quiet, spirals, timeless, trainer};
use gradus_autograd::Module;
use gradus_nn::metrics::{F1, Precision};
use gradus_optim::{Adam, CosineAnnealingLr, Every, ReduceLrOnPlateau, Sgd};
use gradus_train::{EarlyStopping, Fit, History, LearningRate, SaveBest};
use std::path::Path;

type Bits = Vec<(String, Vec<u32>)>;

/// 70 samples in batches of 16: 5 steps an epoch, the last of 6 samples.
fn plan(epochs: usize, file: &Path) -> Fit {
    quiet(epochs).batch(16).seed(42).checkpoint(file).checkpoint_every(2)
}

/// Trains for 4 epochs, cut off at some steps and gone on with after each.
fn trained(cuts: &[u64]) -> (Bits, History) {
    let (train, test) = (spirals(70, 1), spirals(30, 2));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let fresh = |seed| {
        let optimizer = Adam::new(0.02).amsgrad(true).clip_norm(1.0).schedule(Every::Step, CosineAnnealingLr::new(20));
        trainer(net(seed), optimizer)
            .metric(F1::new(2))
            .metric(Precision::of_class(1, 2))
            .callback(EarlyStopping::on("val_loss").patience(9))
    };
    // Once there is a checkpoint, the net starts from other weights, which must not matter.
    let seed = || if file.exists() { 99 } else { 7 };
    for &cut in cuts {
        let error = fresh(seed()).callback(PowerCut(cut)).fit(&train, &test, plan(4, &file).resume_if_there(&file));
        assert_eq!(error.unwrap_err().to_string(), "the lights went out");
    }
    let mut t = fresh(seed());
    let history = t.fit(&train, &test, plan(4, &file).resume_if_there(&file)).unwrap();
    (bits(&t.into_net().state_dict()), timeless(history))
}

#[test]
fn wherever_it_is_cut_the_bits_are_the_same() {
    let whole = trained(&[]);
    assert_eq!(whole.1.steps.len(), 20);
    // Before the first checkpoint, on one, after one, at the ends of epochs, and in the last step.
    for cuts in [&[1][..], &[2], &[3], &[4], &[5], &[6], &[8], &[13], &[20], &[3, 4, 9, 10, 17]] {
        let (weights, history) = trained(cuts);
        assert_eq!(history, whole.1, "cut at {cuts:?}");
        assert_eq!(weights, whole.0, "cut at {cuts:?}");
    }
}

#[test]
fn more_epochs_may_be_added() {
    let data = spirals(70, 1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let run = |seed, fit: Fit| {
        let mut t = trainer(net(seed), Sgd::new(0.1).momentum(0.9));
        let history = t.fit_without_validation(&data, fit).unwrap();
        (bits(&t.into_net().state_dict()), timeless(history))
    };
    let whole = run(1, quiet(5).batch(16));
    run(1, quiet(2).batch(16).checkpoint(&file));
    assert_eq!(run(9, quiet(5).batch(16).resume(&file)), whole);
    // Of a training that is over, nothing is left to do.
    run(1, quiet(5).batch(16).checkpoint(&file));
    assert_eq!(run(9, quiet(5).batch(16).resume(&file)), whole);
}

#[test]
fn callbacks_and_plateaus_remember() {
    let (train, test) = (spirals(70, 1), spirals(30, 2));
    let run = |cut: Option<u64>| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("last.safetensors");
        let fresh = |seed| {
            let plateau = ReduceLrOnPlateau::new(0.5).patience(1);
            // Two of a kind must not take each other's memory. With so little to gain, both wait from the start.
            trainer(net(seed), Adam::new(0.01).schedule(Every::Epoch, plateau))
                .callback(EarlyStopping::on("val_acc").patience(4).min_delta(2.0))
                .callback(EarlyStopping::on("loss").patience(90).restore_best(false))
                .callback(SaveBest::on("val_loss", dir.path()))
        };
        if let Some(cut) = cut {
            fresh(1).callback(PowerCut(cut)).fit(&train, &test, plan(20, &file)).unwrap_err();
        }
        let mut t = fresh(if cut.is_some() { 8 } else { 1 });
        let history = t.fit(&train, &test, plan(20, &file).resume_if_there(&file)).unwrap();
        let best = gradus_train::load_tensors::<f32>(dir.path().join("best.safetensors")).unwrap();
        (bits(&t.into_net().state_dict()), timeless(history), bits(&best.0), best.1)
    };
    let whole = run(None);
    assert_eq!(whole.1.epochs.len(), 5, "one epoch sets the mark and four are waited for");
    for cut in [7, 13, 21] {
        assert_eq!(run(Some(cut)), whole, "cut at step {cut}");
    }
}

#[test]
fn stopped_early_stays_stopped() {
    let data = spirals(70, 1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let run = |seed| {
        let stop = EarlyStopping::on("val_loss").patience(2).min_delta(10.0);
        let mut t = trainer(net(seed), Adam::new(0.01)).callback(stop);
        let history = t.fit(&data, &data, plan(20, &file).resume_if_there(&file)).unwrap();
        (bits(&t.into_net().state_dict()), history)
    };
    let first = run(1);
    assert_eq!(first.1.epochs.len(), 3);
    assert_eq!(run(2), first);
}

#[test]
fn stopped_in_the_middle_of_an_epoch_it_goes_on_there() {
    let data = spirals(70, 1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    struct StopAt(u64);
    impl gradus_train::Callback for StopAt {
        fn name(&self) -> &'static str {
            "stop_at"
        }
        fn on_step_end(
            &mut self,
            run: &mut gradus_train::Run<'_>,
            step: &gradus_train::StepRecord,
        ) -> Result<(), gradus_train::TrainError> {
            if step.step == self.0 {
                run.stop("enough for today");
            }
            Ok(())
        }
    }
    let fit = || quiet(2).batch(16).checkpoint(&file);
    let mut t = trainer(net(1), Adam::new(0.01)).callback(StopAt(7));
    let history = t.fit_without_validation(&data, fit()).unwrap();
    assert_eq!((history.steps.len(), history.epochs.len()), (7, 1));
    let mut t = trainer(net(2), Adam::new(0.01));
    let rest = t.fit_without_validation(&data, fit().resume(&file)).unwrap();
    let mut whole = trainer(net(1), Adam::new(0.01));
    assert_eq!(timeless(rest), timeless(whole.fit_without_validation(&data, quiet(2).batch(16)).unwrap()));
    assert_eq!(bits(&t.into_net().state_dict()), bits(&whole.into_net().state_dict()));
}

#[test]
fn a_rate_set_by_a_callback_is_remembered() {
    let data = spirals(64, 1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let rate = |epoch: usize| 0.1 / (epoch + 1) as f64;
    let fit = |epochs| quiet(epochs).batch(64).checkpoint(&file);
    let mut t = trainer(net(1), Sgd::new(9.0)).callback(LearningRate(rate));
    t.fit_without_validation(&data, fit(2)).unwrap();
    let mut t = trainer(net(2), Sgd::new(9.0)).callback(LearningRate(rate));
    let history = t.fit_without_validation(&data, fit(4).resume(&file)).unwrap();
    assert_eq!(history.steps.iter().map(|s| s.lr).collect::<Vec<_>>(), [0.1, 0.05, 0.1 / 3.0, 0.025]);
    assert_eq!(history.values("lr"), [0.1, 0.05, 0.1 / 3.0, 0.025]);
}

#[test]
fn what_does_not_belong_together_is_refused_and_changes_nothing() {
    let data = spirals(70, 1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("last.safetensors");
    let fit = || quiet(9).batch(16).seed(1);
    let mut t = trainer(net(1), Adam::new(0.01)).callback(PowerCut(8));
    t.fit_without_validation(&data, fit().checkpoint(&file).checkpoint_every(1)).unwrap_err();
    let refused = |fit: Fit, n: usize, wanted: &str| {
        let start = net(5);
        let before = bits(&start.state_dict());
        let mut t = trainer(start, Adam::new(0.01));
        let text = t.fit_without_validation(&spirals(n, 1), fit.resume(&file)).unwrap_err().to_string();
        assert!(text.contains("last.safetensors: cannot go on from this checkpoint: ") && text.contains(wanted), "{text}");
        assert_eq!(bits(&t.into_net().state_dict()), before);
    };
    refused(
        fit().seed(2),
        70,
        "seed 1, 70 samples shuffled in batches of 16, 1 a step, loss CrossEntropy; this training has seed 2",
    );
    refused(fit().batch(8), 70, "this training has seed 1, 70 samples shuffled in batches of 8");
    refused(fit().shuffle(false), 70, "this training has seed 1, 70 samples in order");
    refused(fit(), 71, "71 samples");

    let refused = |text: String, wanted: &str| assert!(text.contains(wanted), "{text}");
    let other = Sgd::new(0.1);
    let start = net(5);
    let before = bits(&start.state_dict());
    let mut t = trainer(start, other);
    refused(t.fit_without_validation(&data, fit().resume(&file)).unwrap_err().to_string(), "last.safetensors");
    assert_eq!(bits(&t.into_net().state_dict()), before, "weights are put back when the optimiser's state does not fit");
    let mut t = trainer(crate::common::plain_net(1), Adam::new(0.01));
    refused(t.fit_without_validation(&data, fit().resume(&file)).unwrap_err().to_string(), "1.running_mean");
    let mut t = trainer(net(1), Adam::new(0.01)).metric(F1::new(2));
    refused(t.fit_without_validation(&data, fit().resume(&file)).unwrap_err().to_string(), "does not know the metric `f1`");
    let none = dir.path().join("none.safetensors");
    let mut t = trainer(net(1), Adam::new(0.01));
    refused(t.fit_without_validation(&data, fit().resume(&none)).unwrap_err().to_string(), "none.safetensors: cannot read");
    let weights = dir.path().join("weights.safetensors");
    gradus_train::save_weights(t.net(), &weights).unwrap();
    refused(t.fit_without_validation(&data, fit().resume(&weights)).unwrap_err().to_string(), "no entry `format`");
}

#[test]
fn a_checkpoint_that_cannot_be_written_ends_training_with_its_path() {
    let data = spirals(16, 1);
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("no/such/folder/last.safetensors");
    let mut t = trainer(net(1), Adam::new(0.01));
    let text = t.fit_without_validation(&data, quiet(1).checkpoint(&nowhere)).unwrap_err().to_string();
    assert!(text.contains("no/such/folder/last.safetensors"), "{text}");
}

#[test]
fn the_best_weights_come_back() {
    let (train, test) = (spirals(64, 1), spirals(64, 2));
    // Ruins the net from the third epoch on.
    let ruin = AtEpochEnd(|run: &mut gradus_train::Run<'_>, epoch: &gradus_train::EpochRecord| {
        if epoch.epoch == 2 {
            run.set_lr(30.0);
        }
    });
    let fit = || quiet(30).batch(64).seed(3);
    let mut t = trainer(net(1), Sgd::new(0.1)).callback(EarlyStopping::on("val_loss").patience(3)).callback(ruin);
    let history = t.fit(&train, &test, fit()).unwrap();
    assert!(history.epochs.len() < 30);
    let best = history.values("val_loss").into_iter().fold(f64::INFINITY, f64::min);
    assert!(best < history.last("val_loss").unwrap());
    let now = t.evaluate(&test, 64).unwrap()[0].1;
    assert_eq!(now, best);
}
