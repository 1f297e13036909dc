//! Every optimiser against its paper's formula, and formulas and rules that are wrong.

use gradus_check::{OptimizerFailure, UpdateFault, WrongUpdate, check_optimizer, check_optimizer_on_tensors};
use gradus_optim::registry::{BuiltIn, RuleVisitor, for_every_rule};
use gradus_optim::*;
use gradus_tensor::{Float, Tensor};
use std::collections::BTreeSet;

fn sign(v: f64) -> f64 {
    if v == 0.0 { 0.0 } else { v.signum() }
}

/// The count of steps, and two running means.
#[derive(Default)]
struct Means {
    t: i32,
    m: f64,
    v: f64,
    max: f64,
}

impl Means {
    /// Both means, corrected for having started at 0.
    fn corrected(&mut self, g: f64, [beta1, beta2]: [f64; 2]) -> (f64, f64) {
        self.t += 1;
        self.m = beta1 * self.m + (1.0 - beta1) * g;
        self.v = beta2 * self.v + (1.0 - beta2) * g * g;
        (self.m / (1.0 - beta1.powi(self.t)), self.v / (1.0 - beta2.powi(self.t)))
    }
}

/// The rules that have been checked.
#[derive(Default)]
struct Checked(BTreeSet<String>);

impl Checked {
    #[track_caller]
    fn by<R: UpdateRule<f64>, S: Default>(&mut self, optimizer: Optimizer<R, f64>, formula: impl Fn(&mut S, f64, f64) -> f64) {
        self.0.insert(optimizer.state_dict().rule);
        check_optimizer(optimizer, formula).unwrap();
    }
}

impl RuleVisitor for Checked {
    fn rule<R: BuiltIn>(&mut self) {
        assert!(self.0.contains(R::NAME), "{} is not checked against a formula", R::NAME);
    }
}

#[test]
fn every_built_in_rule_does_what_its_formula_says() {
    let mut checked = Checked::default();
    gradient_descent_and_momentum(&mut checked);
    rates_by_the_size_of_the_gradients(&mut checked);
    adam_and_its_kin(&mut checked);
    for_every_rule(&mut checked);
}

fn gradient_descent_and_momentum(checked: &mut Checked) {
    checked.by(Sgd::new(0.1).weight_decay(0.01), |_: &mut (), w, g| w - 0.1 * (g + 0.01 * w));
    let sgd = |nesterov| Sgd::new(0.1).momentum(0.9).dampening(0.2).nesterov(nesterov).weight_decay(0.01);
    let buffer = |b: &mut Option<f64>, g: f64| *b.insert(b.map_or(g, |b| 0.9 * b + 0.8 * g));
    checked.by(sgd(false), |b: &mut Option<f64>, w, g| w - 0.1 * buffer(b, g + 0.01 * w));
    checked.by(sgd(true), |b: &mut Option<f64>, w, g| {
        let g = g + 0.01 * w;
        w - 0.1 * (g + 0.9 * buffer(b, g))
    });
    checked.by(Sgd::with_momentum(0.1).momentum(0.8).weight_decay(0.01), |v: &mut f64, w, g| {
        *v = 0.8 * *v - 0.1 * (g + 0.01 * w);
        w + *v
    });
    checked.by(Sgd::with_nesterov(0.1).momentum(0.8).weight_decay(0.01), |v: &mut f64, w, g| {
        let g = g + 0.01 * w;
        *v = 0.8 * *v - 0.1 * g;
        w + 0.8 * *v - 0.1 * g
    });
}

fn rates_by_the_size_of_the_gradients(checked: &mut Checked) {
    checked.by(Adagrad::new(0.1).lr_decay(0.05).initial_accumulator_value(0.3).eps(1e-3), |s: &mut (f64, f64), w, g| {
        let (t, h) = s;
        *h += g * g;
        let rate = 0.1 / (1.0 + 0.05 * *t);
        *t += 1.0;
        w - rate * g / ((0.3 + *h).sqrt() + 1e-3)
    });
    let all = RmsProp::new(0.1).alpha(0.9).momentum(0.5).centered(true).eps(1e-2).weight_decay(0.01);
    checked.by(all, |[s, a, b]: &mut [f64; 3], w, g| {
        let g = g + 0.01 * w;
        *s = 0.9 * *s + 0.1 * g * g;
        *a = 0.9 * *a + 0.1 * g;
        *b = 0.5 * *b + g / ((*s - *a * *a).sqrt() + 1e-2);
        w - 0.1 * *b
    });
    checked.by(RmsProp::new(0.1).eps(1e-3), |s: &mut f64, w, g| {
        *s = 0.99 * *s + 0.01 * g * g;
        w - 0.1 * g / (s.sqrt() + 1e-3)
    });
    checked.by(Adadelta::new(0.5).rho(0.8).eps(1e-3), |[s, u]: &mut [f64; 2], w, g| {
        *s = 0.8 * *s + 0.2 * g * g;
        let d = (*u + 1e-3).sqrt() / (*s + 1e-3).sqrt() * g;
        *u = 0.8 * *u + 0.2 * d * d;
        w - 0.5 * d
    });
}

fn adam_and_its_kin(checked: &mut Checked) {
    let betas = [0.8, 0.95];
    checked.by(Adam::new(0.1).betas(0.8, 0.95).eps(1e-4).weight_decay(0.01), |s: &mut Means, w, g| {
        let (m, v) = s.corrected(g + 0.01 * w, betas);
        w - 0.1 * m / (v.sqrt() + 1e-4)
    });
    checked.by(Adam::new(0.1).betas(0.8, 0.95).eps(1e-4).amsgrad(true), |s: &mut Means, w, g| {
        let (m, _) = s.corrected(g, betas);
        s.max = s.max.max(s.v);
        w - 0.1 * m / ((s.max / (1.0 - 0.95f64.powi(s.t))).sqrt() + 1e-4)
    });
    checked.by(AdamW::new(0.1).weight_decay(0.3), |s: &mut Means, w, g| {
        let (m, v) = s.corrected(g, [0.9, 0.999]);
        (1.0 - 0.1 * 0.3) * w - 0.1 * m / (v.sqrt() + 1e-8)
    });
    checked.by(Adamax::new(0.1).betas(0.8, 0.95).eps(1e-3), |s: &mut Means, w, g| {
        let (m, _) = s.corrected(g, betas);
        s.max = (0.95 * s.max).max(g.abs() + 1e-3);
        w - 0.1 * m / s.max
    });
    checked.by(NAdam::new(0.1).betas(0.8, 0.95).eps(1e-4).momentum_decay(0.05), |s: &mut (Means, Option<f64>), w, g| {
        let (means, product) = s;
        let (_, v) = means.corrected(g, betas);
        let mu = |t: i32| 0.8 * (1.0 - 0.5 * 0.96f64.powf(f64::from(t) * 0.05));
        let (now, next) = (mu(means.t), mu(means.t + 1));
        let p = product.unwrap_or(1.0) * now;
        *product = Some(p);
        w - 0.1 * ((1.0 - now) / (1.0 - p) * g + next / (1.0 - p * next) * means.m) / (v.sqrt() + 1e-4)
    });
    checked.by(Lion::new(0.1).betas(0.8, 0.95).weight_decay(0.01), |m: &mut f64, w, g| {
        let step = sign(0.8 * *m + 0.2 * g);
        *m = 0.95 * *m + 0.05 * g;
        w - 0.1 * (step + 0.01 * w)
    });
}

#[test]
fn schedules_are_part_of_the_step() {
    let warm = Sgd::new(0.1).schedule(Every::Step, LinearLr::warm_up(4));
    let rates: Vec<f64> = {
        let schedule = LinearLr::warm_up(4);
        (0..12).map(|t| schedule.lr(0.1, t)).collect()
    };
    assert!(rates[0] < rates[3]);
    check_optimizer(warm, |t: &mut usize, w, g| {
        *t += 1;
        w - rates[*t - 1] * g
    })
    .unwrap();
}

fn wrong(result: Result<(), OptimizerFailure>) -> WrongUpdate {
    match result.expect_err("the formula is another").fault() {
        UpdateFault::Wrong(wrong) => wrong.clone(),
        refused => panic!("{refused:?}"),
    }
}

#[test]
fn usual_mistakes_are_found_at_the_first_step_that_shows_them() {
    let adam = || Adam::new(0.1).eps(1e-4);
    let at = |formula: fn(&mut Means, f64, f64) -> f64| wrong(check_optimizer(adam(), formula)).step();
    // No correction for the start; eps within the root; the next step's correction; a mean of |g|.
    assert_eq!(at(|s, w, g| (s.corrected(g, [0.9, 0.999]), w - 0.1 * s.m / (s.v.sqrt() + 1e-4)).1), 1);
    let root = |s: &mut Means, w: f64, g: f64| {
        let (m, v) = s.corrected(g, [0.9, 0.999]);
        w - 0.1 * m / (v + 1e-8).sqrt()
    };
    assert_eq!(at(root), 1);
    assert_eq!(at(|s, w, g| w - 0.1 * g / (s.corrected(g, [0.9, 0.999]).1.sqrt() + 1e-4)), 2);
    // Nesterov's momentum and the plain one differ from the start, dampening from the second step.
    let plain = |b: &mut f64, w: f64, g: f64| {
        *b = 0.9 * *b + g;
        w - 0.1 * *b
    };
    assert_eq!(wrong(check_optimizer(Sgd::new(0.1).momentum(0.9).nesterov(true), plain)).step(), 1);
    assert_eq!(wrong(check_optimizer(Sgd::new(0.1).momentum(0.9).dampening(0.1), plain)).step(), 2);
    // A decay that is coupled instead of decoupled; an epsilon that is a tenth.
    let coupled = |s: &mut Means, w: f64, g: f64| {
        let (m, v) = s.corrected(g + 0.3 * w, [0.9, 0.999]);
        w - 0.1 * m / (v.sqrt() + 1e-8)
    };
    assert_eq!(wrong(check_optimizer(AdamW::new(0.1).weight_decay(0.3), coupled)).step(), 1);
    let eps = |s: &mut Means, w: f64, g: f64| {
        let (m, v) = s.corrected(g, [0.9, 0.999]);
        w - 0.1 * m / (v.sqrt() + 1e-9)
    };
    wrong(check_optimizer(Adam::new(0.1), eps));
}

/// A rule whose second parameter's update is what a formula of norms says, in the wrong norm.
struct Normalized {
    spoil: bool,
}

impl<T: Float> UpdateRule<T> for Normalized {
    type State = ();
    fn name(&self) -> &'static str {
        "Normalized"
    }
    fn init(&self, _: &Tensor<T>) {}
    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, _: &mut ()) {
        let norm = g.square().sum(..).sqrt().item();
        let lr = T::lit(step.lr);
        w.update_with(g, [], |w, g, []| *w -= lr * g / norm);
        if self.spoil && w.rank() == 1 {
            w.as_mut_slice()[1] += T::lit(0.25);
        }
    }
}

#[test]
fn rules_of_ones_own_are_checked_by_tensor_and_failures_say_where() {
    let formula = |_: &mut (), w: &Tensor<f64>, g: &Tensor<f64>| w - &(g / &g.square().sum(..).sqrt() * 0.5);
    check_optimizer_on_tensors(Optimizer::new(Normalized { spoil: false }, 0.5), formula).unwrap();
    let failure = check_optimizer_on_tensors(Optimizer::new(Normalized { spoil: true }, 0.5), formula).unwrap_err();
    let UpdateFault::Wrong(wrong) = failure.fault() else { panic!("{failure}") };
    assert_eq!((wrong.path.as_str(), &wrong.index[..], wrong.step()), ("bias", &[1][..], 1));
    assert!((wrong.actual - wrong.expected - 0.25).abs() < 1e-12);
    let text = failure.to_string();
    assert!(text.starts_with("check of the optimiser `Normalized` at crates/check/tests/suite/optimizers.rs:"), "{text}");
    assert!(text.contains("step 1, bias at [1]: "), "{text}");
    let group = Sgd::new(0.1).group(Group::new("head").lr(0.2));
    let refused = check_optimizer(group, |_: &mut (), w, _| w).unwrap_err().to_string();
    assert!(refused.contains("step 1: refused: ") && refused.contains("head"), "{refused}");
}
