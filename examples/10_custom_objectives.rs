//! Training by objectives of your own: a physics-informed network in `f64`, and a generative adversarial network with two
//! optimisers, both with the trainer's history, schedules and callbacks.
//!
//! `cargo run --release --example 10_custom_objectives`

use gradus::prelude::*;
use gradus::train::{StepContext, Verbosity};
use std::error::Error;
use std::f64::consts::PI;

/// The residuals of `u'' = -π² sin πx` inside of [0, 1], and of `u = 0` at its ends. A batch has points of both kinds.
fn poisson(
    net: &Sequential<f64>,
    (inside, ends): &(Tensor<f64>, Tensor<f64>),
    cx: &mut StepContext<f64>,
) -> Result<Var<f64>, TrainError> {
    let x = Var::leaf(inside.clone());
    let u = net.forward(&x, &mut cx.mode());
    let du = grad(&u.sum(..), &[&x], GradMode::Differentiable)?.remove(0);
    let ddu = grad(&du.sum(..), &[&x], GradMode::Differentiable)?.remove(0);
    let residual = (ddu + Var::from((inside * PI).sin() * (PI * PI))).square().mean(..);
    let boundary = net.forward(&ends.into(), &mut cx.mode()).square().mean(..);
    cx.log("residual", residual.item());
    cx.log("boundary", boundary.item());
    Ok(residual + boundary * 100.0)
}

fn physics() -> Result<(), Box<dyn Error>> {
    println!("-- A physics-informed network: u'' = -π² sin πx, u(0) = u(1) = 0");
    let rng = &mut Rng::seed(3);
    let net = Sequential::<f64>::new().add(Linear::new(1, 16, rng)).add(Tanh).add(Linear::new(16, 1, rng));
    let grid = |n: usize| Tensor::<f64>::linspace(0.0, 1.0, n).unsqueeze(1);
    let ends = Tensor::from([[0.0], [1.0]]);
    let points = TensorDataset::new(grid(32), grid(32))?.map(move |(x, _)| (x, ends.clone()));

    let optimizer = Adam::new(0.02).schedule(Every::Epoch, CosineAnnealingLr::new(1500));
    let fit = Fit::epochs(1500).batch(32).verbosity(Verbosity::Silent);
    let mut trainer = Trainer::with_objective(net, poisson, optimizer);
    let history = trainer.fit_without_validation(&points, fit)?;
    for record in history.epochs.iter().step_by(300).chain(history.epochs.last()) {
        let [residual, boundary] = ["residual", "boundary"].map(|name| record.get(name).unwrap_or(f64::NAN));
        println!("epoch {:4}  residual {residual:9.5}  boundary {boundary:.7}", record.epoch);
    }
    let x = grid(101);
    let error = (trainer.predict(&x, 101)? - (x * PI).sin()).abs().max(..).item();
    println!("largest error against sin πx: {error:.5}\n");
    assert!(error < 0.01);
    Ok(())
}

/// A generative adversarial network for a single number (Goodfellow et al. 2014).
#[derive(Module)]
struct Gan {
    generator: Linear,
    discriminator: Sequential,
}

impl Gan {
    fn generate(&self, n: usize, rng: &mut Rng) -> Var {
        self.generator.forward(&Tensor::normal([n, 1], 0.0, 1.0, rng).into(), &mut Mode::Eval)
    }

    /// The logit that a number is real, told by it and its square.
    fn judge(&self, x: &Var) -> Var {
        self.discriminator.forward(&Var::concat(&[x, &(x.square() * 0.1)], 1), &mut Mode::Eval)
    }

    fn discriminator_loss(&self, real: &Tensor, cx: &mut StepContext) -> Var {
        let fake = self.generate(cx.samples(), cx.rng()); // a constant: it is the discriminator's turn
        let (real, fake) = (self.judge(&real.into()), self.judge(&fake));
        let ones = Tensor::ones(real.shape().clone());
        real.bce_with_logits(&ones) + fake.bce_with_logits(&(&ones * 0.0))
    }

    fn generator_loss(&self, _: &Tensor, cx: &mut StepContext) -> Var {
        let judged = self.judge(&self.generate(cx.samples(), cx.rng()));
        judged.bce_with_logits(&Tensor::ones(judged.shape().clone()))
    }
}

fn adversaries() -> Result<(), Box<dyn Error>> {
    println!("-- A generative adversarial network: numbers with mean 3 and standard deviation 0.5");
    let rng = &mut Rng::seed(2);
    let discriminator = Sequential::new().add(Linear::new(2, 16, rng)).add(Relu).add(Linear::new(16, 1, rng));
    let gan = Gan { generator: Linear::new(1, 1, rng), discriminator };
    let numbers = Tensor::normal([1024, 1], 3.0, 0.5, rng);
    let data = TensorDataset::new(numbers, Tensor::<i64>::zeros([1024]))?.map(|(x, _)| x);

    let mut trainer = Trainer::alternating(gan)
        .turn("discriminator.*", Gan::discriminator_loss, Adam::new(0.02).betas(0.5, 0.9))
        .turn("generator.*", Gan::generator_loss, Adam::new(0.01).betas(0.5, 0.9))
        .before_step(|net, grads| {
            // Here gradients are read, changed, logged, or exchanged with other processes.
            let broken = grads.named(net).into_iter().find(|(_, g)| !g.sum(..).item().is_finite());
            broken.map_or(Ok(()), |(path, _)| Err(format!("the gradient of {path} is not finite").into()))
        });
    let history = trainer.fit_without_validation(&data, Fit::epochs(40).batch(64).verbosity(Verbosity::Silent))?;
    for record in history.epochs.iter().skip(7).step_by(8) {
        let [d, g] = ["discriminator_loss", "generator_loss"].map(|name| record.get(name).unwrap_or(f64::NAN));
        println!("epoch {:2}  discriminator {d:.3}  generator {g:.3}", record.epoch);
    }
    let made = trainer.net().generate(10_000, rng).into_value();
    let (mean, std) = (made.mean(..).item(), made.std(.., 0).item());
    println!("generated: mean {mean:.2}, standard deviation {std:.2}; a loss of 2 ln 2 = 1.386 is that of a coin");
    assert!((mean - 3.0).abs() < 0.5 && (std - 0.5).abs() < 0.3);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    physics()?;
    adversaries()
}
