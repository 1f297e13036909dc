//! What a training says of a network whose layers do not fit: the layer's path, the shapes, and the user's line.

use crate::common::spirals;
use gradus_autograd::Var;
use gradus_data::TensorDataset;
use gradus_nn::{CrossEntropy, Layer, Linear, Mode, Module, Sequential, Tanh};
use gradus_optim::Adam;
use gradus_tensor::{Rng, Tensor};
use gradus_train::{Fit, TrainError, Trainer, Verbosity, extract_features};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What an error says, or a panic.
#[track_caller]
fn message_of(f: impl FnOnce() -> Result<(), TrainError>) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.expect_err("it should have failed").to_string(),
        Err(panic) => *panic.downcast::<String>().unwrap(),
    }
}

#[derive(Module)]
struct Net {
    features: Sequential,
    head: Linear,
}

impl Layer for Net {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        let hidden = self.features.forward(x, mode);
        self.head.forward(&hidden, mode)
    }
}
const FEATURES: u32 = line!() - 4;
const HEAD: u32 = line!() - 4;

fn net([features, head]: [usize; 2]) -> Net {
    let rng = &mut Rng::seed(0);
    Net { features: Sequential::new().add(Tanh).add(Linear::new(features, 4, rng)), head: Linear::new(head, 2, rng) }
}

#[track_caller]
fn says(message: &str, place: &str, line: u32, shapes: &str) {
    let wanted = format!("{place} at {}:{line}: {shapes}", file!());
    assert!(message.contains(&wanted), "`{message}` does not say `{wanted}`");
}

#[test]
fn fit_evaluate_and_predict_name_the_layer_by_its_path() {
    let data = spirals(8, 1);
    let fit = || Fit::epochs(1).batch(4).verbosity(Verbosity::Silent);
    let trainer = |sizes| Trainer::new(net(sizes), CrossEntropy::new(), Adam::new(0.01));
    let first = "expected input [.., 3], got [4, 2]";
    let m = message_of(|| trainer([3, 4]).fit_without_validation(&data, fit()).map(drop));
    says(&m, "Linear `features.1`", FEATURES, first);
    says(&message_of(|| trainer([3, 4]).fit(&data, &data, fit()).map(drop)), "Linear `features.1`", FEATURES, first);
    says(&message_of(|| trainer([3, 4]).evaluate(&data, 4).map(drop)), "Linear `features.1`", FEATURES, first);
    let second = "expected input [.., 5], got [4, 4]";
    says(&message_of(|| trainer([2, 5]).evaluate(&data, 4).map(drop)), "Linear `head`", HEAD, second);
    says(&message_of(|| trainer([2, 5]).predict(&Tensor::ones([4, 2]), 4).map(drop)), "Linear `head`", HEAD, second);
    says(&message_of(|| trainer([2, 5]).predict_all(&data, 4).map(drop)), "Linear `head`", HEAD, second);
    // A frozen layer has its path too.
    let mut frozen = trainer([2, 5]);
    frozen.net_mut().freeze("*");
    says(&message_of(|| frozen.evaluate(&data, 4).map(drop)), "Linear `head`", HEAD, second);
}

#[test]
fn lists_of_layers_are_named_on_the_line_that_trains_them() {
    let data = spirals(8, 1);
    let inner = Sequential::new().add(Linear::new(2, 4, &mut Rng::seed(0))).add(Linear::new(3, 2, &mut Rng::seed(0)));
    let net: Sequential = Sequential::new().add(Tanh).push("block", inner);
    let features = TensorDataset::new(Tensor::<f32>::ones([8, 2]), Tensor::<i64>::zeros([8])).unwrap();
    let expected = "expected input [.., 3], got [4, 4]";
    says(&message_of(|| extract_features(&net, &features, 4).map(drop)), "Linear `block.1`", line!(), expected);
    let mut trainer = Trainer::new(net, CrossEntropy::new(), Adam::new(0.01));
    let fit = Fit::epochs(1).batch(4).verbosity(Verbosity::Silent);
    says(&message_of(|| trainer.fit(&data, &data, fit).map(drop)), "Linear `block.1`", line!(), expected);
}
