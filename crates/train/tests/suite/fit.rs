//! Fit, evaluate, predict: what they compute, and what they refuse.

use crate::common::{bits, net, plain_net, quiet, spirals, timeless, trainer};
use gradus_autograd::{Module, Var};
use gradus_data::{DataError, Dataset, TensorDataset};
use gradus_nn::metrics::{MeanAbsoluteError, accuracy};
use gradus_nn::{ActivityPenalty, CrossEntropy, Layer, Linear, Loss, Mode, Mse, Penalty, Reduction, Sequential, Tanh};
use gradus_optim::{Adam, Every, ReduceLrOnPlateau, Sgd, StepLr};
use gradus_tensor::{Rng, Tensor};
use gradus_train::{Trainer, Verbosity, extract_features};

fn message<T>(result: Result<T, gradus_train::TrainError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn it_learns_what_no_line_can_part() {
    let (train, test) = (spirals(400, 1), spirals(200, 2));
    let mut t = trainer(plain_net(3), Adam::new(0.03));
    let history = t.fit(&train, &test, quiet(30).batch(32).seed(4)).unwrap();
    assert!(history.last("val_acc").unwrap() > 0.97, "{}", history.to_csv());
    assert!(history.last("val_loss").unwrap() < 0.3 * history.values("val_loss")[0]);
    assert_eq!(history.epochs.len(), 30);
    assert_eq!(history.steps.len(), 30 * 400usize.div_ceil(32));
    assert_eq!(history.names(), ["loss", "acc", "val_loss", "val_acc", "lr"]);
    assert!(history.steps.iter().enumerate().all(|(i, s)| s.step == i as u64 + 1 && s.epoch == i / 13 + 1));
}

#[test]
fn the_last_smaller_batch_weighs_by_its_size() {
    // 33 samples in batches of 16: a mean of batch means would give the last sample the weight of 16.
    let data = spirals(33, 5);
    let mut t = trainer(plain_net(6), Adam::new(1e-3));
    let output = t.net().forward(&data.inputs().clone().into(), &mut Mode::Eval);
    let loss = f64::from(CrossEntropy::new().loss(&output, data.targets()).item());
    let right = accuracy(output.value(), data.targets());
    let values = t.evaluate(&data, 16).unwrap();
    assert_eq!(values.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["loss", "acc"]);
    assert!((values[0].1 - loss).abs() < 1e-6 && (values[1].1 - right).abs() < 1e-12, "{values:?}, not {loss}, {right}");

    // The same of the training loss: at a learning rate of 0, the net stays as it was.
    let mut t = trainer(plain_net(6), Adam::new(0.0));
    let history = t.fit_without_validation(&data, quiet(1).batch(16)).unwrap();
    assert!((history.last("loss").unwrap() - loss).abs() < 1e-6 && (history.last("acc").unwrap() - right).abs() < 1e-12);
    assert_eq!(history.last("val_loss"), None);
    // Without the last batch, one sample fewer is seen.
    let history = t.fit_without_validation(&data, quiet(2).batch(16).drop_last(true)).unwrap();
    assert_eq!(history.steps.len(), 4);
}

#[test]
fn predictions_are_the_nets_outputs_in_evaluation_mode() {
    let data = spirals(21, 7);
    let t = trainer(net(8), Adam::new(1e-3));
    let whole = t.net().forward(&data.inputs().clone().into(), &mut Mode::Eval);
    for batch in [1, 8, 21, 100] {
        let predicted = t.predict(data.inputs(), batch).unwrap();
        assert_eq!(*predicted.shape(), [21, 2]);
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-6;
        assert!(!predicted.to_vec().iter().zip(&whole.value().to_vec()).any(far), "batches of {batch}");
        assert_eq!(predicted, t.predict_all(&data, batch).unwrap());
    }
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    let data = spirals(50, 9);
    let trained = |batch, accumulate| {
        let mut t = trainer(plain_net(1), Adam::new(0.01));
        let fit = quiet(3).batch(batch).accumulate(accumulate).seed(2);
        let history = t.fit_without_validation(&data, fit).unwrap();
        (t.into_net().state_dict(), history)
    };
    // 50 = 20 + 20 + 10, and 20 = 8 + 8 + 4 when each batch is 4 and a step takes 5 of them.
    let ((large, a), (small, b)) = (trained(20, 1), trained(4, 5));
    assert_eq!((a.steps.len(), b.steps.len()), (9, 9));
    for (name, wanted) in &large {
        let off = (&small[name] - wanted).abs().max(..).item();
        assert!(off < 1e-5, "{name} is off by {off}");
    }
    for (x, y) in a.epochs.iter().zip(&b.epochs) {
        assert!((x.get("loss").unwrap() - y.get("loss").unwrap()).abs() < 1e-5 && x.get("acc") == y.get("acc"));
    }
}

#[test]
fn the_number_of_threads_does_not_show() {
    let trained = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut t = trainer(net(3), Adam::new(0.01).clip_norm(1.0));
            let data = spirals(300, 1);
            let history = t.fit(&data, &data, quiet(1).batch(32).seed(42)).unwrap();
            (bits(&t.into_net().state_dict()), timeless(history))
        })
    };
    let one = trained(1);
    assert_eq!(one, trained(2));
    assert_eq!(one, trained(3));
}

#[test]
fn the_seed_decides() {
    let data = spirals(100, 1);
    let trained = |seed| {
        let mut t = trainer(net(3), Adam::new(0.01));
        t.fit_without_validation(&data, quiet(1).batch(16).seed(seed)).unwrap();
        bits(&t.into_net().state_dict())
    };
    assert_eq!(trained(1), trained(1));
    assert_ne!(trained(1), trained(2));
}

#[test]
fn schedules_see_steps_epochs_and_the_validation_loss() {
    let data = spirals(64, 1);
    let lrs = |optimizer| {
        let mut t = trainer(plain_net(1), optimizer);
        t.fit(&data, &data, quiet(4).batch(32)).unwrap().steps.iter().map(|s| s.lr).collect::<Vec<_>>()
    };
    let halved = |optimizer: gradus_optim::Optimizer<Adam>, every| lrs(optimizer.schedule(every, StepLr::new(1, 0.5)));
    assert_eq!(halved(Adam::new(0.8), Every::Epoch), [0.8, 0.8, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1]);
    assert_eq!(halved(Adam::new(0.8), Every::Step)[..4], [0.8, 0.4, 0.2, 0.1]);
    // A loss that cannot fall, as nothing is learnt: the rate falls after each epoch that brings nothing.
    let plateau = ReduceLrOnPlateau::new(0.5).patience(0);
    let stuck = Adam::new(1e-30).schedule(Every::Epoch, plateau.min_lr(0.0).eps(0.0));
    assert_eq!(lrs(stuck)[..8], [1e-30, 1e-30, 1e-30, 1e-30, 5e-31, 5e-31, 2.5e-31, 2.5e-31]);
}

#[test]
fn targets_may_be_numbers() {
    let x = Tensor::normal([120, 3], 0.0, 1.0, &mut Rng::seed(1));
    let y = x.matmul(&Tensor::from([[1.0f32], [-2.0], [0.5]])) + 0.25;
    let data = TensorDataset::new(x, y).unwrap();
    let line: Linear = Linear::new(3, 1, &mut Rng::seed(2));
    let mut t = Trainer::new(line, Mse::new(), Sgd::new(0.1)).metric(MeanAbsoluteError::default());
    let history = t.fit(&data, &data, quiet(20).batch(16)).unwrap();
    assert!(history.last("val_mae").unwrap() < 1e-3, "{}", history.to_csv());
}

#[test]
fn a_head_trains_on_features_as_it_does_on_a_frozen_base() {
    let data = spirals(40, 1);
    let base = || plain_net(3);
    let head = || -> Linear { Linear::new(2, 2, &mut Rng::seed(5)) };
    let features = extract_features(&base(), &data, 7).unwrap();
    assert_eq!(features.targets(), data.targets());
    let mut on_features = Trainer::new(head(), CrossEntropy::new(), Adam::new(0.05));
    on_features.fit_without_validation(&features, quiet(3)).unwrap();
    let mut whole: Sequential = Sequential::new().push("base", base()).push("head", head());
    whole.freeze("base.*");
    let mut on_pictures = Trainer::new(whole, CrossEntropy::new(), Adam::new(0.05));
    on_pictures.fit_without_validation(&data, quiet(3)).unwrap();
    let expected = on_pictures.predict(data.inputs(), 40).unwrap().to_vec();
    let found = on_features.predict(features.inputs(), 40).unwrap().to_vec();
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} is not {expected:?}");

    let empty = message(extract_features(&base(), &data.clone().take(0), 4));
    assert!(empty.contains("the data set is empty"), "{empty}");
    let nothing = message(extract_features(&base(), &data, 0));
    assert!(nothing.contains("a batch of 0"), "{nothing}");
}

#[test]
fn what_cannot_be_trained_on_is_refused() {
    let data = spirals(10, 1);
    let empty = data.clone().take(0);
    let t = || trainer(plain_net(1), Adam::new(0.01));
    let part = |text: String, wanted: &str| assert!(text.contains(wanted), "`{text}` has no `{wanted}`");
    part(message(t().fit(&empty, &data, quiet(1))), "fit: 0 samples in batches of 32; wanted 1 or more of both");
    part(message(t().fit(&data, &empty, quiet(1))), "validation data set is empty");
    part(message(t().fit(&data, &data, quiet(1).batch(0))), "10 samples in batches of 0");
    part(message(t().fit(&data, &data, quiet(1).batch(32).drop_last(true))), "10 samples do not fill one batch of 32");
    part(message(t().evaluate(&empty, 8)), "empty");
    part(message(t().evaluate(&data, 0)), "a batch of 0");
    part(message(t().predict(data.inputs(), 0)), "in batches of 0");
    part(message(t().predict_all(&data, 0)), "a batch of 0");
    let none = Tensor::<f32>::zeros([0, 2]);
    part(message(t().predict(&none, 4)), "0 inputs");
}

#[test]
fn a_label_that_is_no_class_is_named_and_no_panic() {
    for bad in [-1i64, 2] {
        let data = TensorDataset::new(Tensor::<f32>::zeros([3, 2]), Tensor::from([0i64, bad, 1])).unwrap();
        let mut t = trainer(plain_net(1), Adam::new(0.01));
        let wanted = format!("label {bad} at position 1 is outside the classes 0 to 1");
        let text = message(t.fit_without_validation(&data, quiet(1).shuffle(false)));
        assert!(text.contains(&wanted), "{text}");
        let text = message(t.evaluate(&data, 3));
        assert!(text.contains(&wanted), "{text}");
    }
}

#[test]
fn a_loss_that_is_not_one_number_is_refused() {
    let data = spirals(10, 1);
    let mut t = Trainer::new(plain_net(1), CrossEntropy::new().reduction(Reduction::None), Adam::new(0.01));
    let text = message(t.fit_without_validation(&data, quiet(1)));
    assert!(text.contains("the loss is [10]") && text.contains("mean or sum"), "{text}");
}

#[test]
fn a_loss_that_is_no_number_ends_training_by_name() {
    let mut x = spirals(40, 1).inputs().to_vec();
    x[50] = f32::NAN;
    let data = TensorDataset::new(Tensor::from_vec(x, [40, 2]), Tensor::<i64>::zeros([40])).unwrap();
    let start = plain_net(1);
    let before = bits(&start.state_dict());
    let mut t = trainer(start, Adam::new(0.0));
    // Sample 25 is in the third batch of 10.
    let text = message(t.fit_without_validation(&data, quiet(1).batch(10).shuffle(false)));
    assert!(text.contains("the loss is NaN at step 3 (epoch 1, learning rate 0)"), "{text}");
    assert_eq!(bits(&t.net().state_dict()), before, "the step with the NaN was not taken");
    let history = t.fit_without_validation(&data, quiet(2).batch(10).shuffle(false).allow_nan()).unwrap();
    assert_eq!(history.steps.iter().filter(|s| s.loss.is_nan()).count(), 2);
    assert!(t.net().state_dict().values().all(|w| w.to_vec().iter().all(|v| v.is_finite())));
}

/// Its fourth sample cannot be read.
#[derive(Clone)]
struct Broken(TensorDataset);

impl Dataset for Broken {
    type Batch = (Tensor<f32>, Tensor<i64>);
    fn len(&self) -> usize {
        self.0.len()
    }
    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        if indices.contains(&3) { Err(DataError::new("sample 3 is torn")) } else { self.0.batch(indices) }
    }
}

#[test]
fn a_data_set_that_fails_ends_training_with_its_reason() {
    let data = Broken(spirals(10, 1));
    let mut t = trainer(plain_net(1), Adam::new(0.01));
    assert_eq!(message(t.fit(&data, &data, quiet(1).batch(2))), "sample 3 is torn");
    assert_eq!(message(t.evaluate(&data, 4)), "sample 3 is torn");
}

/// Has a parameter that its output does not depend on.
struct Idle(Linear, gradus_autograd::Param);

impl Module<f32> for Idle {
    fn visit<'a>(&'a self, path: &mut gradus_autograd::Path, v: &mut dyn gradus_autograd::Visitor<'a, f32>) {
        path.at("used", |path| Module::<f32>::visit(&self.0, path, v));
        path.at("idle", |path| Module::<f32>::visit(&self.1, path, v));
    }
    fn visit_mut(
        &mut self,
        path: &mut gradus_autograd::Path,
        f: &mut dyn FnMut(&gradus_autograd::Path, &mut gradus_autograd::Param<f32>),
    ) {
        path.at("used", |path| self.0.visit_mut(path, f));
        path.at("idle", |path| self.1.visit_mut(path, f));
    }
}

impl Layer<f32> for Idle {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        self.0.forward(x, mode)
    }
}

#[test]
fn a_parameter_without_gradient_is_named() {
    let idle = Idle(Linear::new(2, 2, &mut Rng::seed(0)), gradus_autograd::Param::new(Tensor::from([1.0f32])));
    let mut t = Trainer::new(idle, CrossEntropy::new(), Adam::new(0.01));
    let text = message(t.fit_without_validation(&spirals(8, 1), quiet(1).verbosity(Verbosity::Silent)));
    assert!(text.contains("idle") && !text.contains("used.weight"), "{text}");
}

#[test]
fn penalties_are_in_the_loss_and_make_weights_small() {
    let data = spirals(64, 3);
    let fit = || quiet(30).batch(32).seed(1);
    let run = |penalties: &[Penalty]| {
        let trainer = trainer(plain_net(5), Adam::new(1e-2));
        let mut trainer = penalties.iter().cloned().fold(trainer, |trainer, penalty| trainer.penalty(penalty));
        let history = trainer.fit(&data, &data, fit()).unwrap();
        let scores = trainer.evaluate(&data, 64).unwrap();
        let weights = Penalty::l2(1.0).on("*.weight").of(trainer.net()).item();
        (history, scores[0].1, weights)
    };
    let (history, loss, free) = run(&[]);
    let (with_nothing, same_loss, same) = run(&[Penalty::l2(0.0)]);
    assert_eq!((timeless(history), loss, free), (timeless(with_nothing), same_loss, same));
    let (_, _, small) = run(&[Penalty::l2(0.01).on("*.weight")]);
    assert!(small < 0.7 * free, "{small} and {free}");
    // What evaluation reports is the plain loss and the penalty.
    let mut plain = trainer(plain_net(5), Adam::new(1e-2));
    let alone = plain.evaluate(&data, 64).unwrap()[0].1;
    let mut penalised = plain.penalty(Penalty::l2(0.5));
    let expected = alone + f64::from(Penalty::l2(0.5).of(penalised.net()).item());
    assert!((penalised.evaluate(&data, 64).unwrap()[0].1 - expected).abs() < 1e-5);
}

#[test]
fn activity_penalties_reach_the_trainers_loss() {
    let data = spirals(32, 3);
    let run = |strength: f64| {
        let rng = &mut Rng::seed(2);
        let hidden = ActivityPenalty::new(Linear::new(2, 8, rng), Penalty::l2(strength));
        let net = Sequential::new().push("hidden", hidden).add(Tanh).add(Linear::new(8, 2, rng));
        let mut trainer = trainer(net, Adam::new(1e-2));
        trainer.fit(&data, &data, quiet(20).batch(8)).unwrap();
        let Some(hidden) = trainer.net().get("hidden") else { panic!("it was pushed") };
        let (x, _) = data.batches(32).next().unwrap().unwrap();
        hidden.forward(&x.into(), &mut Mode::Eval).square().sum(..).item()
    };
    let (free, small) = (run(0.0), run(0.5));
    assert!(small < 0.5 * free, "{small} and {free}");
}
