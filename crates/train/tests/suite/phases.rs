//! Callbacks that set weights beside `EarlyStopping`: what is left does not depend on the order in which they were added.

use crate::common::{AtEpochEnd, Scripted, bits, plain_net, quiet, spirals, trainer};
use gradus_autograd::Module;
use gradus_optim::{Ema, Sgd};
use gradus_tensor::Tensor;
use gradus_train::{Callback, EarlyStopping, EpochRecord, Run, SaveBest, StepRecord, TrainError, load_tensors};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type Weights = BTreeMap<String, Tensor<f32>>;
type Kept = Arc<Mutex<Vec<Weights>>>;

/// An exponential average of the weights, which takes their place when the training ends.
struct Averaging {
    ema: Ema<f32>,
    end: Kept,
}

impl Callback for Averaging {
    fn name(&self) -> &'static str {
        "averaging"
    }
    fn on_step_end(&mut self, run: &mut Run<'_>, _: &StepRecord) -> Result<(), TrainError> {
        let mut net = plain_net(0);
        net.load_state_dict(&run.weights())?;
        Ok(self.ema.update(&net)?)
    }
    fn on_train_end(&mut self, run: &mut Run<'_>) -> Result<(), TrainError> {
        self.end.lock().unwrap().push(run.weights());
        run.set_weights(self.ema.weights())
    }
}

/// Keeps the weights at the end of the training.
struct KeepLast(Kept);

impl Callback for KeepLast {
    fn name(&self) -> &'static str {
        "keep_last"
    }
    fn on_train_end(&mut self, run: &mut Run<'_>) -> Result<(), TrainError> {
        self.0.lock().unwrap().push(run.weights());
        Ok(())
    }
}

fn keep_each(kept: &Kept) -> impl Callback + 'static {
    let kept = kept.clone();
    AtEpochEnd(move |run: &mut Run<'_>, _: &EpochRecord| kept.lock().unwrap().push(run.weights()))
}

#[test]
fn the_best_weights_come_back_before_others_read_and_set_weights() {
    let data = spirals(40, 1);
    let run = |stop_first: bool, average: bool| {
        let (each, end) = (Kept::default(), Kept::default());
        let metric = Scripted::new("score", [1.0, 3.0, 2.0, 2.0]);
        let turn = metric.turn();
        let mut t = trainer(plain_net(1), Sgd::new(0.5)).metric(metric).callback(turn).callback(keep_each(&each));
        let stop = EarlyStopping::on("val_score").maximize().patience(2);
        if stop_first {
            t = t.callback(stop.clone());
        }
        t = match average {
            true => t.callback(Averaging { ema: Ema::new(0.9), end: end.clone() }),
            false => t.callback(KeepLast(end.clone())),
        };
        if !stop_first {
            t = t.callback(stop);
        }
        assert_eq!(t.fit(&data, &data, quiet(9).batch(8)).unwrap().epochs.len(), 4);
        let best = bits(&each.lock().unwrap()[1]);
        assert_eq!(bits(&end.lock().unwrap()[0]), best, "what is read at the end are the best weights");
        (bits(&t.into_net().state_dict()), best)
    };
    let (kept, best) = run(true, false);
    assert_eq!(kept, best);
    assert_eq!(run(false, false), (kept, best));
    let (averaged, best) = run(true, true);
    assert_ne!(averaged, best, "the average has the last word");
    assert_eq!(run(false, true), (averaged, best));
}

#[test]
fn of_two_that_put_weights_back_the_later_epoch_stays() {
    let data = spirals(40, 1);
    let run = |swapped: bool| {
        let each = Kept::default();
        let (early, late) = (Scripted::new("early", [1.0, 3.0, 2.0, 2.0, 2.0]), Scripted::new("late", [1.0, 1.0, 0.5, 4.0, 0.5]));
        let turns = (early.turn(), late.turn());
        let mut t = trainer(plain_net(1), Sgd::new(0.5)).metric(early).metric(late).callback(turns.0).callback(turns.1);
        let mut stops = ["val_early", "late"].map(|monitor| EarlyStopping::on(monitor).maximize().patience(9));
        if swapped {
            stops.reverse();
        }
        for stop in stops {
            t = t.callback(stop);
        }
        let mut t = t.callback(keep_each(&each));
        t.fit(&data, &data, quiet(5).batch(8)).unwrap();
        let weights = bits(&t.into_net().state_dict());
        assert_eq!(weights, bits(&each.lock().unwrap()[3]), "the best of `early` is of epoch 2, that of `late` of epoch 4");
        weights
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn the_best_file_has_the_weights_that_were_evaluated() {
    let data = spirals(40, 1);
    let run = |save_first: bool| {
        let dir = tempfile::tempdir().unwrap();
        // Spoils the weights after each epoch's evaluation.
        let spoil = AtEpochEnd(|run: &mut Run<'_>, _: &EpochRecord| {
            let zeros = run.weights().into_iter().map(|(name, w)| (name, Tensor::zeros(w.shape().clone()))).collect();
            run.set_weights(&zeros).unwrap();
        });
        let (save, t) = (SaveBest::on("val_loss", dir.path()), trainer(plain_net(1), Sgd::new(0.5)));
        let mut t = if save_first { t.callback(save).callback(spoil) } else { t.callback(spoil).callback(save) };
        t.fit(&data, &data, quiet(1).batch(8)).unwrap();
        bits(&load_tensors::<f32>(dir.path().join("best.safetensors")).unwrap().0)
    };
    let saved = run(true);
    assert!(saved.iter().any(|(_, bits)| bits.iter().any(|&b| b != 0)));
    assert_eq!(run(false), saved);
}
