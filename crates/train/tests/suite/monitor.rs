//! Which way a monitored quantity is better: said, known from its metric, told by its name, or refused.

use crate::common::{Scripted, bits, plain_net, quiet, spirals, trainer};
use gradus_autograd::Module;
use gradus_nn::Direction::{self, Maximize, Minimize};
use gradus_optim::{Every, Optimizer, ReduceLrOnPlateau, Sgd};
use gradus_train::{EarlyStopping, SaveBest, TrainError, load_tensors};

#[test]
fn names_are_compared_by_whole_words() {
    let smaller =
        ["loss", "val_loss", "val_inaccuracy", "val_accumulated_loss", "mae", "val_MSE", "word error rate", "hinge-loss"];
    let larger = [
        "acc",
        "val_acc",
        "top5_acc",
        "f1_2",
        "precision_0",
        "iou",
        "val_iou",
        "r2",
        "bleu",
        "psnr",
        "val_mean_iou",
        "recall@10",
    ];
    let open =
        ["score", "val_quality", "lr", "accumulated", "accurate", "lossless", "vacc", "accuracy_loss", "acc_gap", "neg_mse", ""];
    for (names, wanted) in [(&smaller[..], Some(Minimize)), (&larger, Some(Maximize)), (&open, None)] {
        for name in names {
            assert_eq!(Direction::of_name(name), wanted, "{name}");
        }
    }
}

/// How many epochs a training has whose metric `name` takes these values, watched with a patience of 1.
fn epochs(metric: Scripted, stop: EarlyStopping) -> Result<usize, TrainError> {
    let data = spirals(20, 1);
    let turn = metric.turn();
    let mut t = trainer(plain_net(1), Sgd::new(0.1)).metric(metric).callback(turn).callback(stop.patience(1));
    let before = bits(&t.net().state_dict());
    let history = t.fit(&data, &data, quiet(4).batch(20));
    if history.is_err() {
        assert_eq!(bits(&t.net().state_dict()), before, "a training that is refused has not begun");
    }
    history.map(|h| h.epochs.len())
}

const RISING: [f64; 4] = [-2.0, -1.0, 0.5, 3.0];
const FALLING: [f64; 4] = [3.0, 0.5, -1.0, -2.0];

#[test]
fn early_stopping_knows_the_way_from_name_metric_or_option() {
    let (up, down) = (|name| Scripted::new(name, RISING), |name| Scripted::new(name, FALLING));
    let on = |monitor: &str| EarlyStopping::on(monitor);
    for name in ["inaccuracy", "accumulated_loss"] {
        let monitor = format!("val_{name}");
        assert_eq!((epochs(down(name), on(&monitor)).unwrap(), epochs(up(name), on(&monitor)).unwrap()), (4, 2), "{name}");
    }
    for name in ["iou", "r2", "bleu", "psnr"] {
        assert_eq!((epochs(up(name), on(name)).unwrap(), epochs(down(name), on(name)).unwrap()), (4, 2), "{name}");
        // What is said goes before what the name says.
        assert_eq!(epochs(down(name), on(name).minimize()).unwrap(), 4);
    }
    assert_eq!(epochs(up("score"), on("val_score").maximize()).unwrap(), 4);
    assert_eq!(epochs(up("score"), on("val_score").minimize()).unwrap(), 2);
    assert_eq!(epochs(up("score").says(Maximize), on("val_score")).unwrap(), 4);
    assert_eq!(epochs(down("score").says(Minimize), on("score")).unwrap(), 4);
    assert_eq!(epochs(down("acc_of_mine").says(Minimize), on("val_acc_of_mine")).unwrap(), 4);
    for name in ["score", "val_score", "lr", "acc_gap"] {
        let text = epochs(up("score"), on(name)).unwrap_err().to_string();
        let wanted = format!(
            "whether `{name}` is better when larger or smaller, its name does not tell: write .maximize() or .minimize()"
        );
        assert_eq!(text, wanted);
    }
}

#[test]
fn the_best_file_is_of_the_right_epoch() {
    let (data, dir) = (spirals(20, 1), tempfile::tempdir().unwrap());
    let saved = |save: SaveBest| {
        let metric = Scripted::new("score", [1.0, 5.0, -3.0, 2.0]);
        let turn = metric.turn();
        trainer(plain_net(1), Sgd::new(0.1)).metric(metric).callback(turn).callback(save).fit(
            &data,
            &data,
            quiet(4).batch(20),
        )?;
        Ok::<_, TrainError>(load_tensors::<f32>(dir.path().join("best.safetensors"))?.1["epoch"].clone())
    };
    let on = |name: &str| SaveBest::on(name, dir.path());
    assert_eq!(saved(on("val_score").maximize()).unwrap(), "2");
    assert_eq!(saved(on("val_score").minimize()).unwrap(), "3");
    assert!(saved(on("val_score")).unwrap_err().to_string().starts_with("whether `val_score` is better"));
}

#[test]
fn a_plateau_watches_what_it_is_told_to() {
    let data = spirals(20, 1);
    let rates = |plateau: ReduceLrOnPlateau| {
        let metric = Scripted::new("score", [1.0, 2.0, 2.0, 3.0, 3.0]);
        let turn = metric.turn();
        let opt: Optimizer<Sgd> = Sgd::new(1e-3).schedule(Every::Epoch, plateau.patience(0));
        let mut t = trainer(plain_net(1), opt).metric(metric).callback(turn);
        Ok::<_, TrainError>(t.fit(&data, &data, quiet(5).batch(20))?.values("lr"))
    };
    let halve = || ReduceLrOnPlateau::new(0.5);
    // The rate of an epoch is that of its last step; the fall comes after it.
    assert_eq!(rates(halve().on("val_score").maximize()).unwrap(), [1e-3, 1e-3, 1e-3, 0.5e-3, 0.5e-3]);
    assert_eq!(rates(halve().on("score").minimize()).unwrap(), [1e-3, 1e-3, 0.5e-3, 0.25e-3, 0.125e-3]);
    assert_eq!(rates(halve()).unwrap(), [1e-3; 5], "the loss falls");
    let refused = |plateau, wanted: &str| {
        let text = rates(plateau).unwrap_err().to_string();
        assert!(text.contains(wanted), "{text}");
    };
    refused(halve().maximize(), "the schedule maximises, and what it is shown is the loss");
    refused(halve().on("val_acc"), "`val_acc`, which is better when larger: write .maximize()");
    refused(halve().on("val_score"), "whether `val_score` is better when larger or smaller");
    refused(
        halve().on("val_nothing").minimize(),
        "there is no `val_nothing` for the schedule to watch; there are loss, acc, score",
    );
}
