//! Callbacks: when they are called, and what those that come with Gradus do.

use crate::common::{AtEpochEnd, bits, plain_net, quiet, spirals, trainer};
use gradus_autograd::Module;
use gradus_optim::{Adam, Sgd};
use gradus_train::{
    Callback, CsvLog, EarlyStopping, EpochRecord, History, LearningRate, Run, SaveBest, StepRecord, TrainError, load_weights,
};
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, line: String) -> Result<(), TrainError> {
        self.0.lock().unwrap().push(line);
        Ok(())
    }
}

impl Callback for Diary {
    fn name(&self) -> &'static str {
        "diary"
    }
    fn on_train_begin(&mut self, run: &mut Run<'_>) -> Result<(), TrainError> {
        self.write(format!("begin at {}", run.position().steps))
    }
    fn on_step_end(&mut self, run: &mut Run<'_>, step: &StepRecord) -> Result<(), TrainError> {
        self.write(format!("step {} of epoch {}, {} known", step.step, step.epoch, run.history().steps.len()))
    }
    fn on_epoch_end(&mut self, run: &mut Run<'_>, epoch: &EpochRecord) -> Result<(), TrainError> {
        assert_eq!(run.history().epochs.last(), Some(epoch));
        self.write(format!("epoch {}, val_loss {}", epoch.epoch, epoch.get("val_loss").is_some()))
    }
    fn on_train_end(&mut self, run: &mut Run<'_>) -> Result<(), TrainError> {
        self.write(format!("end after {} epochs", run.position().epochs))
    }
}

#[test]
fn they_are_called_in_order() {
    let data = spirals(10, 1);
    let diary = Diary::default();
    trainer(plain_net(1), Adam::new(0.01)).callback(diary.clone()).fit(&data, &data, quiet(2).batch(5)).unwrap();
    let lines = diary.0.lock().unwrap().clone();
    let wanted = [
        "begin at 0",
        "step 1 of epoch 1, 1 known",
        "step 2 of epoch 1, 2 known",
        "epoch 1, val_loss true",
        "step 3 of epoch 2, 3 known",
        "step 4 of epoch 2, 4 known",
        "epoch 2, val_loss true",
        "end after 2 epochs",
    ];
    assert_eq!(lines, wanted);
}

/// How many epochs a training has that watches `monitor`, at a learning rate of 0.
fn epochs(stop: EarlyStopping) -> usize {
    let data = spirals(20, 1);
    trainer(plain_net(1), Sgd::new(0.0)).callback(stop).fit(&data, &data, quiet(20).batch(20)).unwrap().epochs.len()
}

#[test]
fn early_stopping_waits_as_long_as_it_is_told() {
    // Nothing changes, so that the first epoch is the best.
    assert_eq!(epochs(EarlyStopping::on("val_loss").patience(1)), 2);
    assert_eq!(epochs(EarlyStopping::on("val_acc").patience(4)), 5);
    assert_eq!(epochs(EarlyStopping::on("val_loss").patience(4).min_delta(-1.0)), 20);
}

#[test]
fn more_accuracy_and_less_loss_are_better() {
    let data = spirals(20, 1);
    // A callback that comes first may add to what the others see; here it moves the weights up and down.
    let improves = |monitor: &str, lr: f64| {
        let mut t = trainer(plain_net(1), Sgd::new(lr)).callback(EarlyStopping::on(monitor).patience(1).restore_best(false));
        t.fit(&data, &data, quiet(6).batch(20)).unwrap().epochs.len() > 2
    };
    assert!(improves("loss", 0.1) && improves("val_loss", 0.1));
    let mut t = trainer(plain_net(1), Sgd::new(0.5)).callback(EarlyStopping::on("val_acc").patience(3).restore_best(true));
    let history = t.fit(&data, &data, quiet(40).batch(20)).unwrap();
    let best = history.values("val_acc").into_iter().fold(0.0, f64::max);
    assert_eq!(t.evaluate(&data, 20).unwrap()[1].1, best);
    assert!(best > history.values("val_acc")[0]);
}

#[test]
fn a_rate_that_is_none_ends_training_with_an_error() {
    let data = spirals(20, 1);
    let lr = |epoch| [0.1, 0.05, f64::NAN][epoch];
    let mut t = trainer(plain_net(1), Sgd::new(1.0)).callback(LearningRate(lr));
    let text = t.fit(&data, &data, quiet(5).batch(20)).unwrap_err().to_string();
    assert_eq!(text, "learning_rate: the function gives NaN for 2; expected a finite number of 0 or more");
}

#[test]
fn a_second_training_starts_with_new_patience() {
    let data = spirals(20, 1);
    let mut t = trainer(plain_net(1), Sgd::new(0.0)).callback(EarlyStopping::on("val_loss").patience(2));
    for _ in 0..2 {
        assert_eq!(t.fit(&data, &data, quiet(20).batch(20)).unwrap().epochs.len(), 3);
    }
}

#[test]
fn what_is_not_there_cannot_be_watched() {
    let data = spirals(20, 1);
    let mut t = trainer(plain_net(1), Adam::new(0.01)).callback(EarlyStopping::on("val_loss"));
    let text = t.fit_without_validation(&data, quiet(2)).unwrap_err().to_string();
    assert_eq!(text, "there is no `val_loss` to monitor; there are loss, acc, lr");
}

#[test]
fn the_best_epoch_is_in_the_file() {
    let (data, dir) = (spirals(60, 1), tempfile::tempdir().unwrap());
    let folder = dir.path().join("made/on/the/way");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = seen.clone();
    let each = AtEpochEnd(move |run: &mut Run<'_>, _: &EpochRecord| keep.lock().unwrap().push(bits(&run.weights())));
    // From the fourth epoch on, the net is ruined.
    let ruin = AtEpochEnd(|run: &mut Run<'_>, epoch: &EpochRecord| {
        if epoch.epoch == 3 {
            run.set_lr(50.0);
        }
    });
    let mut t = trainer(plain_net(1), Sgd::new(0.05)).callback(SaveBest::on("val_loss", &folder)).callback(each).callback(ruin);
    let history = t.fit(&data, &data, quiet(6).batch(60)).unwrap();
    let losses = history.values("val_loss");
    let best = (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap();
    assert_eq!(best, 2, "{losses:?}");
    let mut net = plain_net(9);
    load_weights(&mut net, folder.join("best.safetensors")).unwrap();
    assert_eq!(bits(&net.state_dict()), seen.lock().unwrap()[best]);
}

#[test]
fn the_log_grows_with_the_epochs() {
    let (data, dir) = (spirals(20, 1), tempfile::tempdir().unwrap());
    let path = dir.path().join("log.csv");
    let log = path.clone();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let counts = lines.clone();
    let count = AtEpochEnd(move |_: &mut Run<'_>, _: &EpochRecord| {
        counts.lock().unwrap().push(std::fs::read_to_string(&log).unwrap().lines().count());
    });
    let mut t = trainer(plain_net(1), Adam::new(0.01)).callback(CsvLog::new(&path)).callback(count);
    let history = t.fit(&data, &data, quiet(3)).unwrap();
    assert_eq!(*lines.lock().unwrap(), [2, 3, 4]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("epoch,seconds,loss,acc,val_loss,val_acc,lr\n1,"), "{text}");
    assert_eq!(text, history.to_csv());
    let mut t = trainer(plain_net(1), Adam::new(0.01)).callback(CsvLog::new(dir.path().join("none/log.csv")));
    assert!(t.fit(&data, &data, quiet(3)).unwrap_err().to_string().contains("none/log.csv"));
}

#[test]
fn a_history_survives_json() {
    let data = spirals(20, 1);
    let history = trainer(plain_net(1), Adam::new(0.01)).fit(&data, &data, quiet(3).batch(7)).unwrap();
    assert_eq!(History::from_json(&history.to_json()).unwrap(), history);
    let text_for_a_number = r#"{"epochs":[],"steps":[{"step":1,"epoch":1,"loss":"much","lr":0.1}]}"#;
    let null = r#"{"epochs":[],"steps":[{"step":1,"epoch":1,"loss":null,"lr":0.1}]}"#;
    let no_number = [r#"{"epochs":[{}],"steps":[]}"#, r#"{"epochs":[],"steps":[{"step":-1}]}"#, text_for_a_number, null];
    for bad in ["", "{}", "[]"].into_iter().chain(no_number) {
        let text = History::from_json(bad).unwrap_err().to_string();
        assert!(text.starts_with("not a training history"), "{text}");
    }
}

#[test]
fn a_history_keeps_what_is_not_finite() {
    let all = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0, 5e-324, f64::MAX, f64::MIN_POSITIVE, 0.1];
    let epochs = all.iter().enumerate().map(|(i, &v)| {
        let values = vec![("loss".to_string(), v), ("NaN".to_string(), 1.0)];
        EpochRecord { epoch: i + 1, seconds: v, waited: v, values }
    });
    let steps = all.iter().map(|&v| StepRecord { step: 1, epoch: 1, loss: v, lr: v });
    let history = History { epochs: epochs.collect(), steps: steps.collect() };
    let again = History::from_json(&history.to_json()).unwrap();
    assert_eq!(format!("{again:?}"), format!("{history:?}"));
    // JSON has no such numbers: they are strings, which every reader takes.
    let json: serde_json::Value = serde_json::from_str(&history.to_json()).unwrap();
    let losses: Vec<_> = json["steps"].as_array().unwrap().iter().map(|s| s["loss"].to_string()).collect();
    assert_eq!(losses[..3], ["\"Infinity\"", "\"-Infinity\"", "\"NaN\""]);
    let csv = history.to_csv();
    let column: Vec<f64> = csv.lines().skip(1).map(|l| l.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert_eq!(column.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), all.map(f64::to_bits));
}

#[test]
fn names_with_commas_and_quotes_keep_their_column() {
    let values = vec![("loss".to_string(), 0.5), ("acc, \"top\" 5".to_string(), 0.25)];
    let history = History { epochs: vec![EpochRecord { epoch: 1, seconds: 2.0, waited: 0.0, values }], steps: vec![] };
    assert_eq!(history.to_csv(), "epoch,seconds,loss,\"acc, \"\"top\"\" 5\"\n1,2,0.5,0.25\n");
}
