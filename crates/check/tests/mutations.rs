//! The checker is itself checked: wrong rules of the usual kinds, made of the right rules of every op, must be found.

use gradus_autograd::samples::{Case, OpSample, op_samples};
use gradus_check::{Array, Checker, Function, GradusFunction};
use gradus_tensor::Rng;
use std::collections::BTreeMap;

/// A usual mistake in a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mutation {
    Sign,
    Factor,
    Zero,
    Detached,
    Transposed,
    DroppedLastRow,
    Shifted,
    NoBroadcastSum,
    StaleInput,
    CotangentIgnored,
}

const ALL: [Mutation; 10] = [
    Mutation::Sign,
    Mutation::Factor,
    Mutation::Zero,
    Mutation::Detached,
    Mutation::Transposed,
    Mutation::DroppedLastRow,
    Mutation::Shifted,
    Mutation::NoBroadcastSum,
    Mutation::StaleInput,
    Mutation::CotangentIgnored,
];

/// A function whose values are right and whose rule has the mistake.
struct Mutant<'a> {
    right: &'a dyn Function,
    mutation: Mutation,
}

impl Function for Mutant<'_> {
    fn value(&self, inputs: &[Array]) -> Result<Array, String> {
        self.right.value(inputs)
    }

    fn vjp(&self, inputs: &[Array], gy: &Array) -> Result<Vec<Array>, String> {
        let plain = |mutate: &dyn Fn(&Array) -> Array| Ok(self.right.vjp(inputs, gy)?.iter().map(mutate).collect());
        match self.mutation {
            Mutation::Sign => plain(&|g| mapped(g, |v| -v)),
            Mutation::Factor => plain(&|g| mapped(g, |v| 1.001 * v)),
            Mutation::Zero => plain(&|g| mapped(g, |_| 0.0)),
            Mutation::Detached => {
                let mut grads = self.right.vjp(inputs, gy)?;
                let last = grads.pop().map(|g| mapped(&g, |_| 0.0));
                Ok(grads.into_iter().chain(last).collect())
            }
            Mutation::Transposed => plain(&transposed),
            Mutation::DroppedLastRow => plain(&|g| {
                let mut g = g.plain();
                let row = g.shape().last().copied().unwrap_or(1);
                let n = g.len();
                g.data_mut()[n - row.min(n)..].fill(0.0);
                g
            }),
            Mutation::Shifted => plain(&|g| {
                let mut g = g.plain();
                if !g.is_empty() {
                    g.data_mut().rotate_right(1);
                }
                g
            }),
            Mutation::NoBroadcastSum => {
                // What one index of the result's first axis gives, where the rule should sum over all.
                let mut first = gy.plain();
                let row = first.len() / first.shape().first().copied().unwrap_or(1).max(1);
                if row > 0 {
                    first.data_mut()[row..].fill(0.0);
                }
                let broadcast = |x: &Array| x.shape().len() < gy.shape().len() || x.shape().first() < gy.shape().first();
                let (all, some) = (self.right.vjp(inputs, gy)?, self.right.vjp(inputs, &first)?);
                Ok(inputs.iter().zip(all).zip(some).map(|((x, all), some)| if broadcast(x) { some } else { all }).collect())
            }
            Mutation::StaleInput => {
                let stale: Vec<Array> = inputs.iter().map(|x| mapped(x, |v| 1.01 * v)).collect();
                self.right.vjp(&stale, gy)
            }
            Mutation::CotangentIgnored => self.right.vjp(inputs, &mapped(gy, |_| 1.0)),
        }
    }
}

fn mapped(a: &Array, f: impl Fn(f64) -> f64) -> Array {
    Array::new(a.shape(), a.data().iter().map(|&v| f(v)).collect())
}

/// The last two axes exchanged, in the shape of before.
fn transposed(g: &Array) -> Array {
    let &[.., rows, columns] = g.shape() else { return g.plain() };
    let mut out = g.plain();
    let size = rows * columns;
    for (to, from) in out.data_mut().chunks_mut(size.max(1)).zip(g.data().chunks(size.max(1))) {
        for i in 0..rows {
            for j in 0..columns {
                to[j * rows + i] = from[i * columns + j];
            }
        }
    }
    out
}

/// Whether the mutant claims anything else than the right rule: one that does not is no mistake.
fn is_equivalent(mutant: &Mutant, inputs: &[Array], seed: u64) -> Option<bool> {
    let y = mutant.right.value(inputs).ok()?;
    let mut rng = Rng::seed(seed);
    for _ in 0..3 {
        let gy = Array::new(y.shape(), (0..y.len()).map(|_| rng.normal()).collect());
        let (wrong, right) = (mutant.vjp(inputs, &gy).ok()?, mutant.right.vjp(inputs, &gy).ok()?);
        let pairs = || wrong.iter().zip(&right).flat_map(|(a, b)| a.data().iter().zip(b.data()));
        let size = pairs().map(|(_, b)| b.abs()).fold(0.0, f64::max);
        if pairs().any(|(a, b)| (a - b).abs() > 1e-6 * size) {
            return Some(false);
        }
    }
    Some(true)
}

fn arrays(case: &Case) -> Vec<Array> {
    case.inputs.iter().map(|t| Array::new(t.shape().to_vec(), t.to_vec())).collect()
}

/// Every mutant that differs from its right rule is found, at every case tried.
#[test]
fn every_wrong_rule_is_found() {
    let samples: Vec<OpSample> = op_samples();
    let mut made: BTreeMap<Mutation, usize> = BTreeMap::new();
    let mut alive = Vec::new();
    for sample in &samples {
        for mutation in ALL {
            let mut tried = 0;
            for seed in 0..40 {
                let case = (sample.case)(&mut Rng::seed(seed));
                let (inputs, right) = (arrays(&case), GradusFunction::new(&case.apply));
                let mutant = Mutant { right: &right, mutation };
                if is_equivalent(&mutant, &inputs, seed) != Some(false) {
                    continue;
                }
                *made.entry(mutation).or_default() += 1;
                if Checker::new().order(1).shrink(false).seed(seed).check(&mutant, &inputs).is_ok() {
                    alive.push(format!("{mutation:?} of `{}`, case {seed}", sample.name));
                }
                tried += 1;
                if tried == 3 {
                    break;
                }
            }
        }
    }
    let total: usize = made.values().sum();
    println!("{total} mutants, {} found; made by kind: {made:?}", total - alive.len());
    assert_eq!(made.len(), ALL.len(), "kinds that no op can have: {made:?}");
    assert!(alive.is_empty(), "{} of {total} wrong rules passed: {alive:#?}", alive.len());
}
