//! Every rule and schedule against PyTorch's, step by step; `fixtures/make_fixtures.py` wrote the figures.

use gradus_autograd::{Grads, Param, Var};
use gradus_optim::*;
use gradus_tensor::Tensor;
use serde_json::Value;

fn fixtures() -> Value {
    serde_json::from_str(include_str!("../fixtures/pytorch.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().expect("a list").iter().map(|n| n.as_f64().expect("a number")).collect()
}

fn assert_close(got: f64, wanted: f64, what: &str) {
    assert!((got - wanted).abs() <= 1e-12 * wanted.abs().max(1e-3), "{what}: {got} where PyTorch has {wanted}");
}

/// The gradient `g`, by way of a loss that has it.
fn grads_of(w: &Param<f64>, g: &Tensor<f64>) -> Grads<f64> {
    (&**w * Var::constant(g.clone())).sum(..).backward()
}

struct Checked {
    fixtures: Value,
    seen: Vec<&'static str>,
}

impl Checked {
    fn rule<R: UpdateRule<f64>>(&mut self, name: &'static str, mut opt: Optimizer<R, f64>) {
        let f = &self.fixtures;
        let mut net = Param::new(Tensor::from_vec(numbers(&f["start"]), [2, 2]));
        let rows = f["rules"][name].as_array().unwrap_or_else(|| panic!("no case {name}"));
        assert!(rows.len() >= 20);
        for (t, (row, g)) in rows.iter().zip(f["grads"].as_array().unwrap()).enumerate() {
            let grads = grads_of(&net, &Tensor::from_vec(numbers(g), [2, 2]));
            opt.step(&mut net, grads).unwrap();
            for (i, (got, wanted)) in net.value().to_vec().into_iter().zip(numbers(row)).enumerate() {
                assert_close(got, wanted, &format!("{name}, weight {i} after step {}", t + 1));
            }
        }
        self.seen.push(name);
    }

    fn all_seen(&self, of: &str) {
        let cases = self.fixtures[of].as_object().unwrap();
        let left: Vec<_> = cases.keys().filter(|k| !self.seen.contains(&k.as_str())).collect();
        assert!(left.is_empty(), "not tested: {left:?}");
    }
}

#[test]
fn rules() {
    let mut c = Checked { fixtures: fixtures(), seen: vec![] };
    c.rule("sgd", Sgd::new(0.1));
    c.rule("sgd wd", Sgd::new(0.1).weight_decay(0.05));
    c.rule("sgd momentum", Sgd::new(0.1).momentum(0.9));
    c.rule("sgd momentum dampening wd", Sgd::new(0.1).momentum(0.8).dampening(0.3).weight_decay(0.05));
    c.rule("sgd nesterov wd", Sgd::new(0.1).momentum(0.9).nesterov(true).weight_decay(0.05));
    c.rule("momentum", Sgd::with_momentum(0.1));
    c.rule("momentum wd", Sgd::with_momentum(0.05).momentum(0.8).weight_decay(0.02));
    c.rule("nesterov", Sgd::with_nesterov(0.1));
    c.rule("nesterov wd", Sgd::with_nesterov(0.05).momentum(0.8).weight_decay(0.02));
    c.rule("adagrad", Adagrad::new(0.1));
    let all = Adagrad::new(0.1).lr_decay(0.1).initial_accumulator_value(0.2).eps(1e-7).weight_decay(0.05);
    c.rule("adagrad all", all);
    c.rule("rmsprop", RmsProp::new(0.01));
    c.rule("rmsprop momentum wd", RmsProp::new(0.01).alpha(0.9).momentum(0.9).weight_decay(0.05));
    c.rule("rmsprop centered", RmsProp::new(0.01).centered(true));
    let all = RmsProp::new(0.01).alpha(0.95).eps(1e-6).momentum(0.7).centered(true).weight_decay(0.05);
    c.rule("rmsprop all", all);
    c.rule("adam", Adam::new(1e-3));
    c.rule("adam wd", Adam::new(0.1).betas(0.8, 0.95).eps(1e-6).weight_decay(0.05));
    c.rule("adam amsgrad", Adam::new(0.1).betas(0.9, 0.9).amsgrad(true));
    c.rule("adam amsgrad wd", Adam::new(0.1).betas(0.9, 0.9).amsgrad(true).weight_decay(0.05));
    c.rule("adamw", AdamW::new(1e-3));
    c.rule("adamw amsgrad wd", AdamW::new(0.1).betas(0.8, 0.9).amsgrad(true).weight_decay(0.1));
    c.rule("adadelta", Adadelta::new(1.0));
    c.rule("adadelta wd", Adadelta::new(0.5).rho(0.8).eps(1e-4).weight_decay(0.05));
    c.rule("adamax", Adamax::new(2e-3));
    c.rule("adamax wd", Adamax::new(0.1).betas(0.8, 0.9).eps(1e-6).weight_decay(0.05));
    c.rule("nadam", NAdam::new(2e-3));
    c.rule("nadam wd", NAdam::new(0.1).betas(0.8, 0.9).momentum_decay(0.01).weight_decay(0.05));
    c.rule("nadam decoupled", NAdam::new(0.1).weight_decay(0.05).decoupled_weight_decay(true));
    c.rule("lion", Lion::new(1e-2));
    c.rule("lion wd", Lion::new(1e-2).betas(0.8, 0.9).weight_decay(0.1));
    c.all_seen("rules");
}

impl Checked {
    fn schedule(&mut self, name: &'static str, schedule: impl Schedule) {
        self.shown(name, schedule, false);
    }

    fn shown(&mut self, name: &'static str, mut schedule: impl Schedule, mirrored: bool) {
        let f = &self.fixtures;
        let base = f["base_lr"].as_f64().unwrap();
        let rows = numbers(&f["schedules"][name]);
        assert_eq!(rows.len(), 100, "{name}");
        // PyTorch multiplies a negative best by 1 - threshold, and takes its every repetition for progress. What is right for
        // negative metrics is what it has for positive ones, the other way up.
        let sign = if mirrored { -1.0 } else { 1.0 };
        for (t, (wanted, metric)) in rows.into_iter().zip(numbers(&f["metrics"])).enumerate() {
            let got = schedule.lr(base, t as u64);
            // PyTorch multiplies most rates up from step to step; its rounding errors are relative to the base rate.
            assert!((got - wanted).abs() <= 1e-12 * base, "{name} at {t}: {got} where PyTorch has {wanted}");
            schedule.observe(sign * metric);
        }
        self.seen.push(name);
    }
}

#[test]
fn schedules() {
    let mut c = Checked { fixtures: fixtures(), seen: vec![] };
    c.schedule("constant", ConstantLr::new(0.5, 30));
    c.schedule("step", StepLr::new(30, 0.2));
    c.schedule("multi_step", MultiStepLr::new([90, 10, 40, 41], 0.3));
    c.schedule("exponential", ExponentialLr::new(0.95));
    c.schedule("cosine", CosineAnnealingLr::new(40).eta_min(0.01));
    c.schedule("cosine to zero", CosineAnnealingLr::new(100));
    c.schedule("warm_restarts", CosineAnnealingWarmRestarts::new(10).t_mult(2).eta_min(0.01));
    c.schedule("warm_restarts equal", CosineAnnealingWarmRestarts::new(15));
    c.schedule("linear", LinearLr::new(0.25, 0.75, 20));
    c.schedule("one_cycle", OneCycleLr::new(100));
    let linear = OneCycleLr::new(100).pct_start(0.25).anneal(Anneal::Linear).div_factor(10.0).final_div_factor(100.0);
    c.schedule("one_cycle linear", linear);
    c.schedule("one_cycle three_phase", OneCycleLr::new(100).three_phase(true));
    c.schedule("polynomial", PolynomialLr::new(60, 2.0));
    c.schedule("plateau", ReduceLrOnPlateau::new(0.5).patience(3).cooldown(2).min_lr(0.01));
    let max = ReduceLrOnPlateau::new(0.8).maximize().patience(5).threshold(PlateauThreshold::Absolute(0.01));
    c.schedule("plateau max abs", max);
    let sequence = SequentialLr::new(LinearLr::new(0.1, 1.0, 10));
    c.schedule("sequence", sequence.then(10, CosineAnnealingLr::new(50)).then(60, ExponentialLr::new(0.9)));
    let chained = ChainedLr::new(LinearLr::new(0.1, 1.0, 10)).and(ExponentialLr::new(0.97)).and(StepLr::new(20, 0.1));
    c.schedule("chained", chained);
    c.schedule("lambda", |t: u64| 1.0 / ((t + 1) as f64).sqrt());

    c.schedule("step to zero", StepLr::new(3, 0.0));
    c.schedule("multi_step at 0 and equal", MultiStepLr::new([2, 0, 2], 0.5));
    c.schedule("multi_step without milestones", MultiStepLr::new([], 0.1));
    c.schedule("exponential to zero", ExponentialLr::new(0.0));
    c.schedule("cosine of 1", CosineAnnealingLr::new(1).eta_min(0.01));
    c.schedule("warm_restarts of 1", CosineAnnealingWarmRestarts::new(1).eta_min(0.01));
    c.schedule("warm_restarts of 1 doubled", CosineAnnealingWarmRestarts::new(1).t_mult(2));
    c.schedule("one_cycle without rise", OneCycleLr::new(100).pct_start(0.0));
    c.schedule("plateau without patience", ReduceLrOnPlateau::new(0.5).patience(0).eps(0.0));
    let at_zero = SequentialLr::new(ConstantLr::new(0.1, 100)).then(0, ExponentialLr::new(0.9));
    c.schedule("sequence at 0", at_zero);
    let equal = SequentialLr::new(ConstantLr::new(0.1, 100)).then(2, ConstantLr::new(0.2, 100)).then(2, ExponentialLr::new(0.9));
    c.schedule("sequence equal", equal);

    let max = || ReduceLrOnPlateau::new(0.5).patience(2).threshold(PlateauThreshold::Relative(0.01));
    c.schedule("plateau max", max().maximize());
    c.shown("plateau max", max().minimize(), true);
    c.shown("plateau", ReduceLrOnPlateau::new(0.5).maximize().patience(3).cooldown(2).min_lr(0.01), true);
    c.shown("plateau without patience", ReduceLrOnPlateau::new(0.5).maximize().patience(0).eps(0.0), true);
    c.all_seen("schedules");
}

#[test]
fn ema() {
    let f = fixtures();
    let mut net = Param::new(Tensor::from([0.0]));
    let mut ema = Ema::new(0.9);
    for (g, wanted) in f["grads"].as_array().unwrap().iter().zip(numbers(&f["ema"])) {
        net.set(Tensor::from([numbers(g)[0]]));
        ema.update(&net).unwrap();
        assert_close(ema.weights()[""].item(), wanted, "ema");
    }
}
