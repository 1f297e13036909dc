//! Objectives of one's own: what no pair of outputs and targets says, in `f32` and `f64`.

use crate::common::{PowerCut, bits, plain_net, quiet, spirals, timeless};
use gradus_autograd::{GradMode, Var, grad};
use gradus_data::{DataError, Dataset, TensorDataset};
use gradus_nn::{
    Accuracy, CrossEntropy, Gru, Layer, Linear, LossExt, Mode, Module, Recurrent, RecurrentLayer, Sequence, Sequential, Tanh,
};
use gradus_optim::{Adam, CosineAnnealingLr, Every};
use gradus_tensor::{Rng, Tensor};
use gradus_train::{EarlyStopping, SaveBest, StepContext, TrainError, Trainer, load_weights};
use std::f64::consts::PI;
use std::sync::{Arc, Mutex};

/// A variational autoencoder (Kingma and Welling 2014) with one latent number.
#[derive(Module)]
struct Vae {
    encoder: Linear,
    decoder: Linear,
}

const NOISE: f64 = 0.3;

impl Vae {
    fn new(rng: &mut Rng) -> Self {
        Self { encoder: Linear::new(3, 2, rng), decoder: Linear::new(1, 3, rng) }
    }

    /// Minus the evidence lower bound, a mean over samples.
    fn loss(&self, x: &Tensor, cx: &mut StepContext) -> Var {
        let code = self.encoder.forward(&x.into(), &mut cx.mode());
        let (mean, log_variance) = (code.slice(1, 0..1), code.slice(1, 1..2));
        let noise = Tensor::normal(mean.shape().clone(), 0.0, 1.0, cx.rng());
        let z = &mean + (&log_variance * 0.5).exp() * Var::from(noise);
        let off = self.decoder.forward(&z, &mut cx.mode()) - Var::from(x);
        let kl = (mean.square() + log_variance.exp() - &log_variance - 1.0).mean(..) * 0.5;
        cx.log("kl", kl.item().into());
        let log_likelihood = off.square().sum(1).mean(..) / (-2.0 * NOISE * NOISE) - 1.5 * (2.0 * PI * NOISE * NOISE).ln();
        kl - log_likelihood
    }
}

#[test]
fn a_variational_autoencoder_comes_near_the_likelihood() {
    let rng = &mut Rng::seed(1);
    // x = z (1, -2, 0.5) + noise: its density is known, and a linear encoder knows the posterior.
    let direction: Tensor = Tensor::from([[1.0], [-2.0], [0.5]]);
    let x = Tensor::normal([600, 1], 0.0, 1.0, rng).matmul(&direction.t()) + Tensor::normal([600, 3], 0.0, NOISE, rng);
    let (length, variance) = (5.25, NOISE * NOISE);
    let along = f64::from(x.matmul(&direction).square().mean(..).item()) / (variance + length);
    let distance = (f64::from(x.square().sum(1).mean(..).item()) - along) / variance;
    let entropy = 0.5 * (3.0 * (2.0 * PI).ln() + (variance * variance * (variance + length)).ln() + distance);
    let data = TensorDataset::new(x, Tensor::<i64>::zeros([600])).unwrap().map(|(x, _)| x);
    let optimizer = Adam::new(0.05).schedule(Every::Epoch, CosineAnnealingLr::new(120));
    let mut trainer = Trainer::with_objective(Vae::new(rng), Vae::loss, optimizer);
    let history = trainer.fit(&data, &data, quiet(120).batch(50).seed(2)).unwrap();
    assert_eq!(history.names(), ["loss", "kl", "val_loss", "val_kl", "lr"]);
    let (first, last) = (history.values("val_loss")[0], history.last("val_loss").unwrap());
    assert!(first > entropy + 1.0, "{first} and {entropy}");
    // A bound from above, but for what the noise that was drawn adds.
    assert!((-0.05..0.1).contains(&(last - entropy)), "{last} is far from {entropy}: {:?}", history.epochs.last());
    // The posterior's variance is 1 / (1 + 5.25 / 0.09): how much z is known by.
    let known = 0.5 * (1.0 + length / variance).ln();
    assert!((history.last("val_kl").unwrap() - known).abs() < 0.1, "{history}", history = history.to_csv());
    // Evaluations draw the same noise.
    assert_eq!(trainer.evaluate(&data, 50).unwrap()[0].1, last);
}

/// Interior and boundary points of a batch.
type Points = (Tensor<f64>, Tensor<f64>);

/// The residuals of u'' = -π² sin πx between u(0) = 0 and u(1) = 0 (Raissi, Perdikaris and Karniadakis 2019).
fn poisson(net: &Sequential<f64>, (inside, ends): &Points, cx: &mut StepContext<f64>) -> Result<Var<f64>, TrainError> {
    let x = Var::leaf(inside.clone());
    let u = net.forward(&x, &mut cx.mode());
    let du = grad(&u.sum(..), &[&x], GradMode::Differentiable)?.remove(0);
    let ddu = grad(&du.sum(..), &[&x], GradMode::Differentiable)?.remove(0);
    let residual = (ddu + Var::from((inside * PI).sin() * (PI * PI))).square().mean(..);
    let boundary = net.forward(&ends.into(), &mut cx.mode()).square().mean(..);
    cx.log("residual", residual.item());
    Ok(residual + boundary * 100.0)
}

#[test]
fn a_physics_informed_network_solves_a_boundary_value_problem_in_f64() {
    let rng = &mut Rng::seed(3);
    let net = Sequential::<f64>::new().add(Linear::new(1, 16, rng)).add(Tanh).add(Linear::new(16, 1, rng));
    let grid = |n: usize| Tensor::<f64>::linspace(0.0, 1.0, n).unsqueeze(1);
    let ends = Tensor::from([[0.0], [1.0]]);
    let points = |n| {
        TensorDataset::new(grid(n), grid(n)).unwrap().map({
            let ends = ends.clone();
            move |(x, _)| (x, ends.clone())
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let optimizer = Adam::new(0.02).schedule(Every::Epoch, CosineAnnealingLr::new(1000));
    let mut trainer = Trainer::with_objective(net, poisson, optimizer)
        .callback(EarlyStopping::on("val_residual").minimize().patience(1000))
        .callback(SaveBest::on("val_loss", folder.path()));
    let history = trainer.fit(&points(32), &points(21), quiet(1000).batch(32).seed(1)).unwrap();
    assert!(history.last("val_residual").unwrap() < 0.01, "{:?}", history.epochs.last());
    let x = grid(50);
    let off = trainer.predict(&x, 50).unwrap() - (x * PI).sin();
    let largest = off.abs().max(..).item();
    assert!(largest < 5e-3, "{largest}");
    // The best weights came back, and are in the file, in f64.
    let best = history.values("val_residual").into_iter().fold(f64::INFINITY, f64::min);
    assert_eq!(trainer.evaluate(&points(21), 32).unwrap()[1].1, best);
    load_weights(trainer.net_mut(), folder.path().join("best.safetensors")).unwrap();
    let best = history.values("val_loss").into_iter().fold(f64::INFINITY, f64::min);
    assert_eq!(trainer.evaluate(&points(21), 32).unwrap()[0].1, best);
}

/// Sequences of 3 to 9 bits, and after each step whether an odd number of ones was read; padded to the longest of a batch.
#[derive(Clone)]
struct Parity {
    sequences: Arc<Vec<Vec<i64>>>,
}

impl Parity {
    fn new(n: usize, seed: u64) -> Self {
        let rng = &mut Rng::seed(seed);
        let bit = |rng: &mut Rng| i64::from(rng.uniform() < 0.5);
        let sequence = |_| (0..3 + rng.below(7)).map(|_| bit(rng)).collect();
        Self { sequences: Arc::new((0..n).map(sequence).collect()) }
    }
}

/// What label padding has.
const PADDING: i64 = -1;

impl Dataset for Parity {
    type Batch = ((Tensor, Vec<usize>), Tensor<i64>);
    fn len(&self) -> usize {
        self.sequences.len()
    }
    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        let rows: Vec<&Vec<i64>> = indices.iter().map(|&i| &self.sequences[i]).collect();
        let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
        let longest = *lengths.iter().max().unwrap();
        let bit = |i: &[usize]| rows[i[0]].get(i[1]).copied();
        let x = Tensor::from_fn([rows.len(), longest, 1], |i| bit(i).unwrap_or(7) as f32);
        let odd = |i: &[usize]| bit(i).map_or(PADDING, |_| rows[i[0]][..=i[1]].iter().sum::<i64>() % 2);
        Ok(((x, lengths), Tensor::from_fn([rows.len(), longest], odd)))
    }
}

#[derive(Module)]
struct Tagger {
    recurrent: Recurrent<Gru>,
    head: Linear,
}

type Sequences = <Parity as Dataset>::Batch;

fn tag(net: &Tagger, ((x, lengths), labels): &Sequences, cx: &mut StepContext) -> Var {
    let x = Sequence::new(x).with_lengths(lengths);
    let (hidden, _) = net.recurrent.run(&x, &mut cx.mode());
    let logits = hidden.with_steps(net.head.forward(hidden.steps(), &mut cx.mode()));
    cx.output(&logits.data().permute([0, 2, 1]));
    logits.cross_entropy(labels)
}

#[test]
fn a_sequence_model_learns_from_batches_of_unequal_lengths() {
    let (train, valid) = (Parity::new(400, 4), Parity::new(101, 5));
    let rng = &mut Rng::seed(6);
    let net = Tagger { recurrent: Recurrent::new(Gru::new(1, 12, rng)), head: Linear::new(12, 2, rng) };
    let mut trainer = Trainer::with_objective(net, tag, Adam::new(0.03).clip_norm(1.0))
        .batch_weight(|((_, lengths), _): &Sequences| lengths.iter().sum::<usize>() as f64)
        .metric(Accuracy::new().ignore_index(PADDING));
    let chance = trainer.evaluate(&valid, 32).unwrap();
    assert!(chance[1].1 < 0.65, "{chance:?}");
    let history = trainer.fit(&train, &valid, quiet(25).batch(20).seed(7)).unwrap();
    assert!(history.last("val_acc").unwrap() > 0.99, "{}", history.to_csv());
    // The mean is over steps, wherever batches are cut.
    let [whole, cut] = [101, 7].map(|batch| trainer.evaluate(&valid, batch).unwrap());
    assert!((whole[0].1 - cut[0].1).abs() < 1e-6 && (whole[1].1 - cut[1].1).abs() < 1e-12, "{whole:?} {cut:?}");
}

#[test]
fn a_closure_that_compares_outputs_trains_as_the_loss_does() {
    let data = spirals(70, 1);
    let fit = || quiet(3).batch(8).accumulate(2).seed(2);
    let mut classic = Trainer::new(plain_net(1), CrossEntropy::new(), Adam::new(0.01)).metric(Accuracy::new());
    let expected = timeless(classic.fit(&data, &data, fit()).unwrap());
    let objective = |net: &Sequential, (x, y): &(Tensor, Tensor<i64>), cx: &mut StepContext| {
        let output = net.forward(&x.into(), &mut cx.mode());
        cx.output(&output);
        output.cross_entropy(y)
    };
    let mut free = Trainer::with_objective(plain_net(1), objective, Adam::new(0.01)).metric(Accuracy::new());
    let found = timeless(free.fit(&data, &data, fit()).unwrap());
    assert_eq!(found.steps, expected.steps);
    assert_eq!(found, expected);
    assert_eq!(bits(&free.net().state_dict()), bits(&classic.net().state_dict()));
}

#[test]
fn what_is_logged_and_drawn_survives_an_interruption() {
    let data = spirals(60, 1).map(|(x, _)| x);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("last.safetensors");
    // Denoising: noise of the objective's own, from the training's source.
    let objective = |net: &Sequential, x: &Tensor, cx: &mut StepContext| {
        let noise: Tensor = Tensor::normal(x.shape().clone(), 0.0, 0.1, cx.rng());
        cx.log("noise", noise.abs().mean(..).item().into());
        let clean = net.forward(&(x + noise).into(), &mut cx.mode());
        (clean - Var::from(x)).square().mean(..)
    };
    let fit = || quiet(3).batch(16).checkpoint(&file).checkpoint_every(1);
    let trainer = || Trainer::with_objective(plain_net(1), objective, Adam::new(0.01));
    let mut whole = trainer();
    let expected = timeless(whole.fit(&data, &data, fit()).unwrap());
    for cut in [2, 7, 8] {
        trainer().callback(PowerCut(cut)).fit(&data, &data, fit()).unwrap_err();
        let mut rest = trainer();
        let found = timeless(rest.fit(&data, &data, fit().resume(&file)).unwrap());
        assert_eq!(found, expected, "cut at {cut}");
        assert_eq!(bits(&rest.net().state_dict()), bits(&whole.net().state_dict()));
    }
}

#[test]
fn what_an_objective_does_wrong_is_an_error_with_its_place() {
    let data = spirals(8, 1);
    let says = |error: Result<_, TrainError>, wanted: &str| {
        let text = error.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(text.starts_with("fit: epoch 1, batch 1: ") && text.contains(wanted), "{text}");
    };
    type Batch = (Tensor, Tensor<i64>);
    let fit = || quiet(1).batch(4);
    let fails = |_: &Sequential, _: &Batch, _: &mut StepContext| Err::<Var, _>(TrainError::new("no simulator"));
    let t = |t: Trainer<Sequential>| t;
    says(t(Trainer::with_objective(plain_net(1), fails, Adam::new(0.1))).fit_without_validation(&data, fit()), "no simulator");
    let wide = |net: &Sequential, (x, _): &Batch, cx: &mut StepContext| net.forward(&x.repeat(&[1, 3]).into(), &mut cx.mode());
    says(t(Trainer::with_objective(plain_net(1), wide, Adam::new(0.1))).fit_without_validation(&data, fit()), "Linear `0`");
    let many = |net: &Sequential, (x, _): &Batch, cx: &mut StepContext| net.forward(&x.into(), &mut cx.mode());
    says(
        t(Trainer::with_objective(plain_net(1), many, Adam::new(0.1))).fit_without_validation(&data, fit()),
        "the loss is [4, 2]",
    );
    let constant = |_: &Sequential, _: &Batch, _: &mut StepContext| Var::constant(Tensor::scalar(1.0f32));
    says(
        t(Trainer::with_objective(plain_net(1), constant, Adam::new(0.1))).fit_without_validation(&data, fit()),
        "the loss depends on no trainable parameter",
    );
    let silent = |net: &Sequential, (x, _): &Batch, _: &mut StepContext| net.forward(&x.into(), &mut Mode::Eval).mean(..);
    let metric = Trainer::with_objective(plain_net(1), silent, Adam::new(0.1)).metric(Accuracy::new());
    says(t(metric).fit_without_validation(&data, fit()), "the metric `acc` takes the model's output");
    let heavy = Trainer::with_objective(plain_net(1), silent, Adam::new(0.1)).batch_weight(|_: &Batch| f64::NAN);
    says(t(heavy).fit_without_validation(&data, fit()), "the loss has the weight NaN");
}

#[test]
fn hooks_see_the_combined_gradients_once_a_step_before_they_are_clipped() {
    let data = spirals(32, 1);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let norm_of = |grads: &gradus_autograd::Grads, net: &dyn Module<f32>| {
        grads.named(net).into_iter().map(|(_, g)| f64::from(g.square().sum(..).item())).sum::<f64>().sqrt()
    };
    let (trainers, optimisers) = (seen.clone(), seen.clone());
    let optimizer = Adam::new(0.01).clip_norm(1e-6).before_step(move |net, grads| {
        optimisers.lock().unwrap().push(("optimiser", norm_of(grads, net)));
        Ok(())
    });
    let mut t = Trainer::new(plain_net(1), CrossEntropy::new(), optimizer).before_step(move |net, grads| {
        trainers.lock().unwrap().push(("trainer", norm_of(grads, net)));
        grads.named_mut(net).into_iter().for_each(|(_, g)| *g *= 2.0);
        Ok(())
    });
    t.fit_without_validation(&data, quiet(1).batch(4).accumulate(4)).unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.iter().map(|(who, _)| *who).collect::<Vec<_>>(), ["trainer", "optimiser", "trainer", "optimiser"]);
    for pair in seen.chunks(2) {
        assert!(pair[0].1 > 1e-3 && (pair[1].1 / pair[0].1 - 2.0).abs() < 1e-5, "{pair:?}");
    }
    let mut t = t.before_step(|_, _| Err("peer 3 is gone".into()));
    let text = t.fit_without_validation(&data, quiet(1)).unwrap_err().to_string();
    assert_eq!(text, "before_step: peer 3 is gone");
}
