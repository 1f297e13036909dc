//! The checker is itself checked: wrong rules of the usual kinds, made of the right rules of every op, must be found.

mod first;
mod second;
mod ties;

use gradus_autograd::samples::{Case, OpSample};
use gradus_check::{Array, Checker, Function, GradusFunction};
use gradus_tensor::Rng;
use std::fmt;

/// How many wrong rules of each kind were made and found, in the order in which the kinds came.
#[derive(Default)]
struct Tally {
    rows: Vec<(&'static str, &'static str, usize, usize)>,
    alive: Vec<String>,
}

impl Tally {
    /// A mutant of a kind, described in a few words: was it found?
    fn note(&mut self, kind: &'static str, what: &'static str, found: bool, mutant: impl fmt::Display) {
        if !self.rows.iter().any(|row| row.0 == kind) {
            self.rows.push((kind, what, 0, 0));
        }
        let row = self.rows.iter_mut().find(|row| row.0 == kind).expect("just put there");
        row.2 += 1;
        row.3 += usize::from(found);
        if !found {
            self.alive.push(format!("{kind}: {mutant}"));
        }
    }

    fn totals(&self) -> (usize, usize) {
        self.rows.iter().fold((0, 0), |(made, found), row| (made + row.2, found + row.3))
    }
}

/// As a table in Markdown.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| wrong rule | what is wrong | found |\n|---|---|---:|")?;
        self.rows.iter().try_for_each(|(kind, what, made, found)| writeln!(f, "| {kind} | {what} | {found} / {made} |"))?;
        let (made, found) = self.totals();
        writeln!(f, "| **all** | | **{found} / {made}** |")
    }
}

/// The samples of the ops of all crates.
fn op_samples() -> Vec<OpSample> {
    gradus_autograd::samples::op_samples().into_iter().chain(gradus_nn::samples::op_samples()).collect()
}

/// How many calls of each op a kind of mistake is tried in, of those where it makes a difference.
const CASES: usize = 3;

fn arrays(case: &Case) -> Vec<Array> {
    case.inputs.iter().map(|t| Array::new(t.shape().to_vec(), t.to_vec())).collect()
}

/// Turns the checker on mutants of some random calls of an op, which `mutate` makes of the right function; one that
/// claims nothing else than the right function is no mistake.
fn try_on_op(
    sample: &OpSample,
    order: usize,
    mutate: impl Fn(&dyn Function) -> Box<dyn Function + '_>,
    differs: impl Fn(&dyn Function, &dyn Function, &[Array], &mut Rng) -> Option<bool>,
    mut note: impl FnMut(bool, String),
) {
    let mut tried = 0;
    for seed in 0..40 {
        let case = (sample.case)(&mut Rng::seed(seed));
        let (inputs, right) = (arrays(&case), GradusFunction::new(&case.apply));
        let mutant = mutate(&right);
        if differs(&*mutant, &right, &inputs, &mut Rng::seed(seed)) != Some(true) {
            continue;
        }
        let found = Checker::new().order(order).shrink(false).seed(seed).check(&*mutant, &inputs).is_err();
        note(found, format!("`{}`, case {seed}", sample.name));
        tried += 1;
        if tried == CASES {
            break;
        }
    }
}

/// Whether two lists of gradients differ by more than round-off.
fn differ(wrong: &[Array], right: &[Array]) -> bool {
    let pairs = || wrong.iter().zip(right).flat_map(|(a, b)| a.data().iter().zip(b.data()));
    let size = pairs().map(|(_, b)| b.abs()).fold(0.0, f64::max);
    pairs().any(|(a, b)| (a - b).abs() > 1e-6 * size)
}

fn mapped(a: &Array, f: impl Fn(f64) -> f64) -> Array {
    Array::new(a.shape(), a.data().iter().map(|&v| f(v)).collect())
}

fn random_like(a: &Array, rng: &mut Rng) -> Array {
    Array::new(a.shape(), (0..a.len()).map(|_| rng.normal()).collect())
}

/// Every mutant that differs from its right rule is found. `cargo test -p gradus-check --test mutations -- --nocapture`
/// prints the table.
#[test]
fn every_wrong_rule_is_found() {
    let mut tally = Tally::default();
    first::run(&mut tally);
    ties::run(&mut tally);
    second::run(&mut tally);
    println!("{tally}");
    let (made, _) = tally.totals();
    assert_eq!(tally.rows.len(), first::KINDS.len() + ties::KINDS.len() + second::KINDS, "kinds that no op can have:\n{tally}");
    assert!(tally.alive.is_empty(), "{} of {made} wrong rules passed: {:#?}", tally.alive.len(), tally.alive);
}
