//! Rules that are right to first order and wrong to second.

use crate::{Tally, differ, op_samples, random_like, try_on_op};
use gradus_autograd::{Var, op};
use gradus_check::{Array, Checker, Function};
use gradus_tensor::{Rng, Tensor};

pub const KINDS: usize = 3;

/// Which of the rule's inputs are constants to second derivatives.
#[derive(Clone, Copy)]
enum Constant {
    All,
    One(usize),
}

/// A function whose rule is right, but made of values where it should be made of variables.
struct Frozen<'a> {
    right: &'a dyn Function,
    constant: Constant,
}

impl Function for Frozen<'_> {
    fn value(&self, inputs: &[Array]) -> Result<Array, String> {
        self.right.value(inputs)
    }

    fn vjp(&self, inputs: &[Array], gy: &Array) -> Result<Vec<Array>, String> {
        self.right.vjp(inputs, gy)
    }

    fn vjp_of_vjp(&self, inputs: &[Array], gy: &Array, w: &[Array]) -> Option<Result<Vec<Array>, String>> {
        let second = self.right.vjp_of_vjp(inputs, gy, w)?;
        Some(second.map(|mut grads| {
            let frozen = |i: usize| match self.constant {
                Constant::All => i < inputs.len(),
                Constant::One(constant) => i == constant,
            };
            grads.iter_mut().enumerate().filter(|(i, _)| frozen(*i)).for_each(|(_, g)| g.data_mut().fill(0.0));
            grads
        }))
    }
}

fn differs(mutant: &dyn Function, right: &dyn Function, inputs: &[Array], rng: &mut Rng) -> Option<bool> {
    let gy = random_like(&right.value(inputs).ok()?, rng);
    let w: Vec<Array> = inputs.iter().map(|x| random_like(x, rng)).collect();
    Some(differ(&mutant.vjp_of_vjp(inputs, &gy, &w)?.ok()?, &right.vjp_of_vjp(inputs, &gy, &w)?.ok()?))
}

/// The result, as a rule wrongly captures it.
fn captured(y: &Tensor<f64>) -> Var<f64> {
    Var::constant(y.clone())
}

type F = fn(&Var<f64>) -> Var<f64>;

/// Ops whose rules read their result, each with a right first derivative and its output captured instead of asked for.
const STALE_OUTPUTS: [(&str, F); 12] = [
    ("exp", |x| {
        let y = x.value().exp();
        let kept = captured(&y);
        op("exp", [x], y, move |p| [Some(p.gy() * &kept)])
    }),
    ("tanh", |x| {
        let y = x.value().tanh();
        let kept = captured(&y);
        op("tanh", [x], y, move |p| [Some(p.gy() * (1.0 - kept.square()))])
    }),
    ("sigmoid", |x| {
        let y = x.value().sigmoid();
        let kept = captured(&y);
        op("sigmoid", [x], y, move |p| [Some(p.gy() * &kept * (1.0 - &kept))])
    }),
    ("sqrt", |x| {
        let y = x.value().sqrt();
        let kept = captured(&y);
        op("sqrt", [x], y, move |p| [Some(p.gy() / (&kept * 2.0))])
    }),
    ("recip", |x| {
        let y = x.value().recip();
        let kept = captured(&y);
        op("recip", [x], y, move |p| [Some(-p.gy() * kept.square())])
    }),
    ("cube, half stale", |x| {
        // 3 x² as 3 y / x: one factor is a variable, the other a constant.
        let y = x.value().powf(3.0);
        let (kept, from) = (captured(&y), x.clone());
        op("cube", [x], y, move |p| [Some(p.gy() * &kept * 3.0 / &from)])
    }),
    ("softmax", |x| {
        let y = captured(x.value()).softmax(-1).into_value();
        let kept = captured(&y);
        op("softmax", [x], y, move |p| {
            let gy = p.gy() * &kept;
            [Some(&gy - &kept * gy.sum_keep(-1))]
        })
    }),
    ("log_softmax", |x| {
        let y = captured(x.value()).log_softmax(-1).into_value();
        let kept = captured(&y).exp();
        op("log_softmax", [x], y, move |p| [Some(p.gy() - &kept * p.gy().sum_keep(-1))])
    }),
    ("logsumexp", |x| {
        let y = captured(x.value()).logsumexp(..).into_value();
        let (kept, from) = (captured(&y), x.clone());
        op("logsumexp", [x], y, move |p| [Some(p.gy() * (&from - &kept).exp())])
    }),
    ("prod", |x| {
        let y = captured(x.value()).prod(..).into_value();
        let (kept, from) = (captured(&y), x.clone());
        op("prod", [x], y, move |p| [Some(p.gy() * &kept / &from)])
    }),
    ("norm", |x| {
        let y = x.value().square().sum(..).sqrt();
        let (kept, from) = (captured(&y), x.clone());
        op("norm", [x], y, move |p| [Some(p.gy() * &from / &kept)])
    }),
    ("normalize", |x| {
        // The scale is a variable, the standardised values are not.
        let centred = x.value() - &x.value().mean_keep(-1);
        let scale = (centred.square().mean_keep(-1) + 0.1).sqrt().recip();
        let y = centred * &scale;
        let (kept, from) = (captured(&y), x.clone());
        op("normalize", [x], y, move |p| {
            let scale = (from.var_keep(-1, 0) + 0.1).sqrt().recip();
            let along = (p.gy() * &kept).mean_keep(-1);
            [Some((p.gy() - p.gy().mean_keep(-1) - &kept * along) * scale)]
        })
    }),
];

pub fn run(tally: &mut Tally) {
    let all = "order 2: everything that the rule saved is a constant to it";
    let one = "order 2: one of several inputs is a constant to the rule";
    for sample in &op_samples() {
        let note = |found, mutant| tally.note("saved as constants", all, found, mutant);
        try_on_op(sample, 2, |right| Box::new(Frozen { right, constant: Constant::All }), differs, note);
    }
    for sample in op_samples().iter().filter(|s| (s.case)(&mut Rng::seed(0)).inputs.len() > 1) {
        for input in 0..3 {
            let note = |found, mutant| {
                tally.note("detached input, order 2", one, found, format!("input {input} of {mutant}"));
            };
            try_on_op(sample, 2, |right| Box::new(Frozen { right, constant: Constant::One(input) }), differs, note);
        }
    }
    let what = "order 2: the rule captures its result instead of asking for it";
    for (name, f) in STALE_OUTPUTS {
        for seed in 0..3 {
            let x = Tensor::uniform([2, 3], 0.3, 1.5, &mut Rng::seed(seed));
            let first = Checker::new().order(1).seed(seed).check_fn(|v| f(&v[0]), [x.clone()]);
            assert!(first.is_ok(), "`{name}` is meant to be right to first order: {}", first.unwrap_err());
            let found = Checker::new().shrink(false).seed(seed).check_fn(|v| f(&v[0]), [x]);
            let found = found.is_err_and(|failure| failure.report().failures()[0].order == 2);
            tally.note("stale output, order 2", what, found, format!("`{name}`, case {seed}"));
        }
    }
}
