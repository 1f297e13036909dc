//! Rules that are wrong only where a function has a kink: at 0, at a bound, between equals.

use crate::{Tally, differ, mapped, random_like};
use gradus_autograd::Var;
use gradus_check::{Array, Checker, Convention, Function, GradusFunction};
use gradus_tensor::{Pool2dOptions, Rng};

/// What a rule makes of the elements at a kink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    /// All of them as if they were a bit larger.
    Up,
    /// As if they were a bit smaller.
    Down,
    /// The first of them as if it were larger than the others.
    First,
    /// Each as if it alone were larger: each of several maxima gets the whole gradient.
    Each,
    /// Each as if it alone were smaller: none of several maxima gets any.
    None,
    /// Half as steep again as the steeper side.
    Beyond,
}

pub const KINDS: [(Tie, &str, &str); 6] = [
    (Tie::Up, "wrong tie: from above", "the slope on the right, against the documented convention"),
    (Tie::Down, "wrong tie: from below", "the slope on the left, against the documented convention"),
    (Tie::First, "wrong tie: first of equals", "the first of equal elements gets all, where they are to share"),
    (Tie::Each, "wrong tie: each of equals", "each of equal elements gets the whole gradient"),
    (Tie::None, "wrong tie: none of equals", "none of equal elements gets any"),
    (Tie::Beyond, "wrong tie: outside", "a slope at the kink that is steeper than both sides"),
];

type Apply = fn(&[Var<f64>]) -> Var<f64>;

/// A function at inputs where it has kinks, which elements are at one, and what it documents for them.
struct Kinked {
    name: &'static str,
    apply: Apply,
    inputs: Vec<Array>,
    tied: Vec<(usize, usize)>,
    convention: Convention,
}

fn kinked(name: &'static str, inputs: &[&[f64]], tied: &[(usize, usize)], convention: Convention, apply: Apply) -> Kinked {
    let inputs = inputs.iter().map(|v| Array::new([v.len()], v.to_vec())).collect();
    Kinked { name, apply, inputs, tied: tied.to_vec(), convention }
}

fn functions() -> Vec<Kinked> {
    use Convention::{Between, Mean, Smaller};
    let mut pool = kinked("max_pool2d", &[&[1.0, 1.0, 0.0, 0.5]], &[(0, 0), (0, 1)], Between, |v| {
        v[0].reshape([1, 1, 2, 2]).max_pool2d(Pool2dOptions::new(2))
    });
    pool.inputs = vec![Array::new([1, 1, 2, 2], pool.inputs[0].data().to_vec())];
    vec![
        kinked("relu", &[&[0.0, 1.5, -0.7]], &[(0, 0)], Smaller, |v| v[0].relu()),
        kinked("relu6", &[&[0.0, 6.0, 2.0]], &[(0, 0), (0, 1)], Smaller, |v| v[0].relu6()),
        kinked("leaky_relu", &[&[0.0, 1.5, -0.7]], &[(0, 0)], Smaller, |v| v[0].leaky_relu(0.1)),
        kinked("clamp", &[&[-1.0, 0.3, 1.0]], &[(0, 0), (0, 2)], Smaller, |v| v[0].clamp(-1.0, 1.0)),
        kinked("abs", &[&[0.0, 1.5, -0.7]], &[(0, 0)], Mean, |v| v[0].abs()),
        kinked("max", &[&[2.0, 0.5, 2.0]], &[(0, 0), (0, 2)], Mean, |v| v[0].max(..)),
        kinked("min", &[&[0.5, 2.0, 0.5]], &[(0, 0), (0, 2)], Mean, |v| v[0].min(..)),
        kinked("maximum", &[&[2.0, 0.5], &[2.0, 1.0]], &[(0, 0), (1, 0)], Mean, |v| v[0].maximum(&v[1])),
        kinked("minimum", &[&[2.0, 0.5], &[2.0, 1.0]], &[(0, 0), (1, 0)], Mean, |v| v[0].minimum(&v[1])),
        pool,
    ]
}

/// The right function, but for its claims at the tied elements.
struct Mutant<'a, F> {
    right: &'a F,
    tied: &'a [(usize, usize)],
    tie: Tie,
}

impl<F: Function> Mutant<'_, F> {
    /// The gradients at inputs of which some elements were moved.
    fn moved(&self, inputs: &[Array], gy: &Array, which: &[(usize, usize)], by: f64) -> Result<Vec<Array>, String> {
        let mut inputs: Vec<Array> = inputs.iter().map(Array::plain).collect();
        which.iter().for_each(|&(input, flat)| inputs[input].data_mut()[flat] += by);
        self.right.vjp(&inputs, gy)
    }
}

impl<F: Function> Function for Mutant<'_, F> {
    fn value(&self, inputs: &[Array]) -> Result<Array, String> {
        self.right.value(inputs)
    }

    fn vjp(&self, inputs: &[Array], gy: &Array) -> Result<Vec<Array>, String> {
        const STEP: f64 = 1e-3;
        match self.tie {
            Tie::Up => return self.moved(inputs, gy, self.tied, STEP),
            Tie::Down => return self.moved(inputs, gy, self.tied, -STEP),
            Tie::First => return self.moved(inputs, gy, &self.tied[..1], STEP),
            Tie::Each | Tie::None | Tie::Beyond => {}
        }
        let mut grads = self.right.vjp(inputs, gy)?;
        for &(input, flat) in self.tied {
            let side = |by| Ok::<f64, String>(self.moved(inputs, gy, &[(input, flat)], by)?[input].data()[flat]);
            let (up, down) = (side(STEP)?, side(-STEP)?);
            let (steeper, flatter) = if up.abs() > down.abs() { (up, down) } else { (down, up) };
            grads[input].data_mut()[flat] = match self.tie {
                Tie::Each => up,
                Tie::None => down,
                _ => steeper + 0.5 * (steeper - flatter),
            };
        }
        Ok(grads)
    }
}

pub fn run(tally: &mut Tally) {
    let functions = functions();
    for (tie, kind, what) in KINDS {
        for Kinked { name, apply, inputs, tied, convention } in &functions {
            let right = GradusFunction::new(apply);
            let checker = Checker::new().order(1).shrink(false).convention(*convention);
            let verdict = checker.check(&right, inputs);
            assert!(verdict.is_ok(), "`{name}` is right, and follows its convention: {}", verdict.unwrap_err());
            // Which of equals a pooling window picks is a choice among subgradients.
            if *convention == Convention::Between && matches!(tie, Tie::Up | Tie::Down | Tie::First) {
                continue;
            }
            let mutant = Mutant { right: &right, tied, tie };
            let gy = random_like(&mapped(&right.value(inputs).expect("a value"), |v| v), &mut Rng::seed(1));
            let (wrong, truth) = (mutant.vjp(inputs, &gy).expect("a claim"), right.vjp(inputs, &gy).expect("a claim"));
            if differ(&wrong, &truth) {
                tally.note(kind, what, checker.check(&mutant, inputs).is_err(), format!("`{name}`"));
            }
        }
    }
}
