//! Steps of several turns: two optimisers, each with its part of the network.

use crate::common::{AtEpochEnd, PowerCut, bits, quiet, timeless};
use gradus_autograd::Var;
use gradus_data::{Dataset, TensorDataset};
use gradus_nn::{Layer, LeakyRelu, Linear, LossExt, Module, Penalty, Sequential};
use gradus_optim::{Adam, CosineAnnealingLr, Every, ReduceLrOnPlateau, Sgd};
use gradus_tensor::{Rng, Tensor};
use gradus_train::{EpochRecord, Run, StepContext, Trainer};

/// A generative adversarial network (Goodfellow et al. 2014) for a number.
#[derive(Module)]
struct Gan {
    generator: Linear,
    discriminator: Sequential,
}

impl Gan {
    fn new(seed: u64) -> Self {
        let rng = &mut Rng::seed(seed);
        let discriminator = Sequential::new().add(Linear::new(2, 16, rng)).add(LeakyRelu { slope: 0.2 });
        Self { generator: Linear::new(1, 1, rng), discriminator: discriminator.add(Linear::new(16, 1, rng)) }
    }

    fn fake(&self, cx: &mut StepContext) -> Var {
        let noise = Tensor::normal([cx.samples(), 1], 0.0, 1.0, cx.rng());
        self.generator.forward(&noise.into(), &mut cx.mode())
    }

    /// The logit that a number is real, told by it and its square.
    fn judge(&self, x: &Var, cx: &mut StepContext) -> Var {
        self.discriminator.forward(&Var::concat(&[x, &(x.square() * 0.1)], 1), &mut cx.mode())
    }

    fn discriminator_loss(&self, real: &Tensor, cx: &mut StepContext) -> Var {
        let fake = self.fake(cx);
        assert!(!fake.requires_grad() || !cx.is_train(), "in the discriminator's turn, the generator is constant");
        let (real, fake) = (self.judge(&real.into(), cx), self.judge(&fake, cx));
        let ones = Tensor::ones(real.shape().clone());
        real.bce_with_logits(&ones) + fake.bce_with_logits(&(&ones * 0.0))
    }

    fn generator_loss(&self, _: &Tensor, cx: &mut StepContext) -> Var {
        let fake = self.fake(cx);
        let judged = self.judge(&fake, cx);
        judged.bce_with_logits(&Tensor::ones(judged.shape().clone()))
    }
}

fn numbers(n: usize) -> impl Dataset<Batch = Tensor> + Clone + Send + 'static {
    let x = Tensor::normal([n, 1], 3.0, 0.5, &mut Rng::seed(1));
    TensorDataset::new(x, Tensor::<i64>::zeros([n])).unwrap().map(|(x, _)| x)
}

fn trainer(seed: u64) -> Trainer<Gan, Tensor> {
    let discriminator = Adam::new(0.02).betas(0.5, 0.9);
    let generator = Adam::new(0.01).betas(0.5, 0.9);
    Trainer::alternating(Gan::new(seed)).turn("discriminator.*", Gan::discriminator_loss, discriminator).turn(
        "generator.*",
        Gan::generator_loss,
        generator,
    )
}

#[test]
fn a_generator_learns_mean_and_spread() {
    let data = numbers(512);
    let mut t = trainer(2);
    let history = t.fit(&data, &data, quiet(60).batch(64).seed(3)).unwrap();
    let expected = ["loss", "discriminator_loss", "generator_loss"];
    let expected = expected.iter().map(|n| n.to_string()).chain(expected.iter().map(|n| format!("val_{n}")));
    let expected: Vec<String> = expected.chain(["discriminator_lr", "generator_lr"].map(String::from)).collect();
    assert_eq!(history.names(), expected);
    let sum = history.last("discriminator_loss").unwrap() + history.last("generator_loss").unwrap();
    assert!((history.last("loss").unwrap() - sum).abs() < 1e-9);
    let made =
        t.net().generator.forward(&Tensor::normal([4000, 1], 0.0, 1.0, &mut Rng::seed(9)).into(), &mut gradus_nn::Mode::Eval);
    let (mean, spread) = (made.value().mean(..).item(), made.value().std(.., 0).item());
    assert!((mean - 3.0).abs() < 0.3 && (spread - 0.5).abs() < 0.2, "{mean} ± {spread}");
    assert!(t.net().named_parameters().iter().all(|(_, p)| p.is_trainable()));
}

#[test]
fn both_optimisers_go_on_after_an_interruption() {
    let data = numbers(60);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("last.safetensors");
    let fit = || quiet(3).batch(16).accumulate(2).checkpoint(&file).checkpoint_every(1);
    let mut whole = trainer(2);
    let expected = timeless(whole.fit(&data, &data, fit()).unwrap());
    assert_eq!(expected.steps.len(), 6);
    for cut in [1, 4] {
        trainer(2).callback(PowerCut(cut)).fit(&data, &data, fit()).unwrap_err();
        let mut rest = trainer(7);
        let found = timeless(rest.fit(&data, &data, fit().resume(&file)).unwrap());
        assert_eq!(found, expected, "cut at {cut}");
        assert_eq!(bits(&rest.net().state_dict()), bits(&whole.net().state_dict()));
    }
    // Another optimiser in the second turn is refused, and nothing is changed.
    let before = bits(&Gan::new(7).state_dict());
    let first = Adam::new(0.02).betas(0.5, 0.9);
    let mut other = Trainer::alternating(Gan::new(7)).turn("discriminator.*", Gan::discriminator_loss, first).turn(
        "generator.*",
        Gan::generator_loss,
        Sgd::new(0.01),
    );
    let text = other.fit(&data, &data, fit().resume(&file)).unwrap_err().to_string();
    assert!(text.contains("the state is one of Adam, the optimiser is"), "{text}");
    assert_eq!(bits(&other.net().state_dict()), before);
    let mut other = Trainer::with_objective(Gan::new(7), Gan::generator_loss, Adam::new(0.1));
    let text = other.fit(&data, &data, fit().resume(&file)).unwrap_err().to_string();
    assert!(text.contains("generator_loss for generator.*; this training has"), "{text}");
}

#[test]
fn a_turn_changes_its_part_alone_with_its_own_schedule() {
    let data = numbers(32);
    let kept = Gan::new(2);
    let (still, plateau) = (Adam::new(0.0), ReduceLrOnPlateau::new(0.5).patience(0).on("generator_loss"));
    let mut t = Trainer::alternating(Gan::new(2))
        .turn("discriminator.*", Gan::discriminator_loss, still.schedule(Every::Epoch, CosineAnnealingLr::new(4)))
        .turn("generator.*", Gan::generator_loss, Sgd::new(1e-30).schedule(Every::Epoch, plateau.min_lr(0.0).eps(0.0)))
        .penalty(Penalty::l2(0.01).on("generator.*"));
    let history = t.fit_without_validation(&data, quiet(4).batch(32)).unwrap();
    assert_eq!(bits(&t.net().discriminator.state_dict()), bits(&kept.discriminator.state_dict()));
    assert_eq!(history.values("discriminator_lr"), [0.0; 4]);
    let rates = history.values("generator_lr");
    assert!(rates[0] == 1e-30 && rates[3] < 1e-30, "{rates:?}");
}

#[test]
fn a_parameter_without_a_turn_is_named() {
    let data = numbers(8);
    let turn = || Trainer::alternating(Gan::new(1)).turn("generator.*", Gan::generator_loss, Adam::new(0.1));
    let text = turn().fit_without_validation(&data, quiet(1)).unwrap_err().to_string();
    assert!(text.contains("no turn trains [discriminator.0.weight, "), "{text}");
    // A frozen one needs none.
    let mut t = turn();
    t.net_mut().freeze("discriminator.*");
    t.fit_without_validation(&data, quiet(1)).unwrap();
    assert!(t.net().discriminator.parameters().iter().all(|p| !p.is_trainable()), "they stay frozen");
    let text = Trainer::<Gan, Tensor>::alternating(Gan::new(1)).fit_without_validation(&data, quiet(1)).unwrap_err().to_string();
    assert!(text.contains("there is no objective"), "{text}");
}

#[test]
#[should_panic(expected = "no parameter has a path that fits the turn's `encoder.*`; there are generator.weight")]
fn a_pattern_that_fits_nothing_is_refused() {
    let _ = Trainer::alternating(Gan::new(1)).turn("encoder.*", Gan::generator_loss, Adam::new(0.1));
}

#[test]
fn a_panic_in_a_turn_leaves_no_parameter_frozen() {
    let data = numbers(8);
    let panics = |_: &Gan, _: &Tensor, _: &mut StepContext| -> Var { panic!("on purpose") };
    let mut t = Trainer::alternating(Gan::new(1)).turn("generator.*", panics, Adam::new(0.1)).turn(
        "discriminator.*",
        Gan::discriminator_loss,
        Adam::new(0.1),
    );
    let run = std::panic::AssertUnwindSafe(|| t.fit_without_validation(&data, quiet(1)));
    assert!(std::panic::catch_unwind(run).is_err());
    assert!(t.net().named_parameters().iter().all(|(_, p)| p.is_trainable()));
}

#[test]
fn a_rate_set_by_a_callback_is_all_optimisers() {
    let rate = AtEpochEnd(|run: &mut Run<'_>, _: &EpochRecord| run.set_lr(0.25));
    let history = trainer(1).callback(rate).fit_without_validation(&numbers(8), quiet(2)).unwrap();
    assert_eq!((history.values("discriminator_lr"), history.values("generator_lr")), (vec![0.02, 0.25], vec![0.01, 0.25]));
}
