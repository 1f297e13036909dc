//! What must hold for every rule.

use gradus_autograd::{Module, Param, Path, Var, Visitor};
use gradus_optim::registry::{BuiltIn, RuleVisitor, for_every_rule};
use gradus_optim::*;
use gradus_tensor::{Float, Rng, Tensor};
use proptest::prelude::*;

/// Parameters under names, in an order of choice.
struct Named<T: Float>(Vec<(&'static str, Param<T>)>);

impl<T: Float> Module<T> for Named<T> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        for (name, p) in &self.0 {
            path.at(name, |path| v.param(path, p));
        }
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        for (name, p) in &mut self.0 {
            path.at(name, |path| f(path, p));
        }
    }
}

impl<T: Float> Named<T> {
    /// Three weights, the same for the same seed in either precision.
    fn new(seed: u64) -> Self {
        let mut rng = Rng::seed(seed);
        let mut weight = |shape: &[usize]| {
            let w = Tensor::<f32>::normal(shape.to_vec(), 0.0, 1.0, &mut rng);
            Param::new(w.cast())
        };
        Self(vec![("a", weight(&[3])), ("b.weight", weight(&[2, 3])), ("b.bias", weight(&[1]))])
    }

    /// A bowl, steep in some directions: `sum of k (w - k / 4)²` over the k-th weight.
    fn loss(&self) -> Var<T> {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        let each = sorted.into_iter().zip(1..).map(|((_, p), k)| (&**p - k as f64 / 4.0).square().sum(..) * k as f64);
        each.reduce(|a, b| a + b).unwrap()
    }

    fn train<R: UpdateRule<T>>(&mut self, opt: &mut Optimizer<R, T>, steps: usize) {
        for _ in 0..steps {
            let grads = self.loss().backward();
            opt.step(self, grads).unwrap();
        }
    }

    fn values(&self) -> Vec<(String, Vec<f64>)> {
        let dict = self.state_dict();
        dict.into_iter().map(|(path, t)| (path, t.cast::<f64>().to_vec())).collect()
    }
}

/// Calls `$check(code, make, args)` for every sample of every built-in rule.
macro_rules! every_rule {
    ($check:ident::<$t:ty>($($arg:ident: $arg_type:ty),*)) => {{
        struct Each {
            $($arg: $arg_type,)*
        }
        impl RuleVisitor for Each {
            fn rule<R: BuiltIn>(&mut self) {
                for sample in R::samples::<$t>() {
                    $check(sample.code, sample.make $(, self.$arg)*);
                }
            }
        }
        for_every_rule(&mut Each { $($arg),* });
    }};
}

fn converges<R: UpdateRule<f64>>(name: &str, make: impl Fn() -> Optimizer<R, f64>) {
    let mut net = Named::new(1);
    let before = net.loss().item();
    net.train(&mut make(), 800);
    let after = net.loss().item();
    assert!(after < 1e-3 * before, "{name}: from {before} to {after}");
}

#[test]
fn every_rule_gets_to_the_bottom_of_a_bowl() {
    every_rule!(converges::<f64>());
}

fn order_does_not_matter<R: UpdateRule<f32>>(name: &str, make: impl Fn() -> Optimizer<R, f32>, seed: u64) {
    let (mut net, mut other) = (Named::new(seed), Named::new(seed));
    Rng::seed(seed).shuffle(&mut other.0);
    net.train(&mut make(), 5);
    let mut opt = make();
    for _ in 0..5 {
        other.train(&mut opt, 1);
        Rng::seed(seed + 1).shuffle(&mut other.0);
    }
    assert_eq!(net.values(), other.values(), "{name}");
}

fn goes_on<R: UpdateRule<f32>>(name: &str, make: impl Fn() -> Optimizer<R, f32>, cut: usize) {
    let set_up = || {
        let warm = SequentialLr::new(LinearLr::warm_up(3)).then(5, ReduceLrOnPlateau::new(0.5).patience(0));
        make().schedule(Every::Step, warm).group(Group::new("b.*").lr(0.003)).clip_norm(2.0)
    };
    let epoch = |opt: &mut Optimizer<R, f32>, net: &mut Named<f32>, n: usize| {
        for _ in 0..n {
            net.train(opt, 1);
            opt.end_epoch(1.0).unwrap();
        }
    };
    let (mut net, mut opt) = (Named::new(3), set_up());
    epoch(&mut opt, &mut net, cut);
    opt.set_lr(0.07);
    let (weights, saved) = (net.state_dict(), opt.state_dict());
    epoch(&mut opt, &mut net, 9);

    let (mut again, mut fresh) = (Named::new(4), set_up());
    again.load_state_dict(&weights).unwrap();
    fresh.load_state_dict(&mut again, &saved).unwrap();
    assert_eq!(fresh.state_dict(), saved, "{name}");
    epoch(&mut fresh, &mut again, 9);
    assert_eq!(net.values(), again.values(), "{name}, saved after {cut}");
    assert_eq!(opt.state_dict(), fresh.state_dict(), "{name}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_order_of_parameters_does_not_matter(seed in 0u64..1000) {
        every_rule!(order_does_not_matter::<f32>(seed: u64));
    }

    #[test]
    fn saved_and_loaded_it_goes_on_bit_for_bit(cut in 0usize..12) {
        every_rule!(goes_on::<f32>(cut: usize));
    }
}

type Values = Vec<(String, Vec<f64>)>;

fn after_20<T: Float, R: UpdateRule<T>>(mut opt: Optimizer<R, T>) -> Values {
    let mut net = Named::<T>::new(5);
    net.train(&mut opt, 20);
    net.values()
}

struct Agrees;

impl RuleVisitor for Agrees {
    fn rule<R: BuiltIn>(&mut self) {
        for (single, double) in R::samples::<f32>().into_iter().zip(R::samples::<f64>()) {
            let (x, y) = (after_20((single.make)()), after_20((double.make)()));
            for (x, y) in x.iter().flat_map(|p| &p.1).zip(y.iter().flat_map(|p| &p.1)) {
                assert!((x - y).abs() < 2e-5, "{}: {x} in f32, {y} in f64", single.code);
            }
        }
    }
}

#[test]
fn single_precision_is_close_to_double() {
    for_every_rule(&mut Agrees);
}

fn large<R: UpdateRule<f32>>(name: &str, make: impl Fn() -> Optimizer<R, f32> + Sync) {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut rng = Rng::seed(6);
            let mut net = Param::new(Tensor::<f32>::normal([150_001], 0.0, 1.0, &mut rng));
            let mut opt = make().clip_norm(10.0);
            for _ in 0..3 {
                let g = Tensor::<f32>::normal([150_001], 0.0, 1.0, &mut rng);
                let grads = (&*net * Var::constant(g)).sum(..).backward();
                opt.step(&mut net, grads).unwrap();
            }
            net.value().to_vec()
        })
    };
    let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(run(1)), bits(run(3)), "{name}");
}

#[test]
fn the_number_of_threads_does_not_show() {
    every_rule!(large::<f32>());
}

struct Options;

impl RuleVisitor for Options {
    fn rule<R: BuiltIn>(&mut self) {
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -1e-9, 0.0, 0.5, 1.0, 1.5, 1e9];
        for option in R::hyper_parameters() {
            let key = format!("option.{}", option.name);
            let fresh = Optimizer::<R, f64>::new(R::default(), R::LR).state_dict();
            assert_eq!(fresh.scalars[&key], option.default, "{} {key}", R::NAME);
            assert!((option.accepts)(option.default), "{} {key}", R::NAME);
            for value in values.into_iter().filter(|v| option.range != "true or false" || (option.accepts)(*v)) {
                let set = std::panic::catch_unwind(|| R::with(option.method, value).state_dict());
                match set {
                    Ok(state) => {
                        assert!((option.accepts)(value), "{} takes {key} = {value}, outside of {}", R::NAME, option.range);
                        assert_eq!(state.scalars[&key], value, "{} {key}", R::NAME);
                    }
                    Err(panic) => {
                        let text = panic.downcast::<String>().unwrap();
                        assert!(
                            !(option.accepts)(value) && text.contains("wanted a finite number in"),
                            "{key} = {value}: {text}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn options_are_set_by_their_methods_within_their_ranges() {
    for_every_rule(&mut Options);
}
