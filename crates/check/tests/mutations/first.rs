//! Rules that are wrong to first order.

use crate::{Tally, differ, mapped, op_samples, random_like, try_on_op};
use gradus_check::{Array, Function};
use gradus_tensor::Rng;

/// A usual mistake in a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    Sign,
    Factor,
    Zero,
    DetachedInput,
    Transposed,
    DroppedLastRow,
    Shifted,
    OffByOnePadding,
    NoBroadcastSum,
    StaleInput,
    CotangentIgnored,
}

/// Every kind, with its name and what it does.
pub const KINDS: [(Mutation, &str, &str); 11] = [
    (Mutation::Sign, "sign", "the gradient of the opposite sign"),
    (Mutation::Factor, "factor", "1.001 times the gradient"),
    (Mutation::Zero, "zero", "no gradient"),
    (Mutation::DetachedInput, "detached input", "no gradient for the last input"),
    (Mutation::Transposed, "transposed", "the last two axes of the gradient exchanged"),
    (Mutation::DroppedLastRow, "dropped last row", "the last row of the gradient is 0, as of a loop that ends too early"),
    (Mutation::Shifted, "off by one", "every element of the gradient in the next one's place"),
    (Mutation::OffByOnePadding, "off-by-one padding", "convolutions and pooling differentiated with one column less of padding"),
    (Mutation::NoBroadcastSum, "missing broadcast sum", "a broadcast operand's gradient taken from one index, not summed"),
    (Mutation::StaleInput, "stale saved tensor", "the rule computes with the inputs times 1.01"),
    (Mutation::CotangentIgnored, "cotangent ignored", "the gradient of the sum of the result, whatever comes in"),
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
            Mutation::DetachedInput => {
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
            Mutation::OffByOnePadding => {
                // The gradient of the function of the picture moved by one column, with respect to the picture.
                let mut moved = inputs.to_vec();
                moved[0] = shifted(&inputs[0], -1);
                let mut grads = self.right.vjp(&moved, gy)?;
                grads[0] = shifted(&grads[0], 1);
                Ok(grads)
            }
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

/// Moved by one along the last axis, with a zero in the free place.
fn shifted(a: &Array, by: isize) -> Array {
    let mut out = a.plain();
    for row in out.data_mut().chunks_mut(a.shape().last().copied().unwrap_or(1).max(1)) {
        let end = if by > 0 { 0 } else { row.len() - 1 };
        if by > 0 {
            row.rotate_right(1)
        } else {
            row.rotate_left(1)
        }
        row[end] = 0.0;
    }
    out
}

fn applies(mutation: Mutation, op: &str) -> bool {
    mutation != Mutation::OffByOnePadding || op.contains("conv2d") || op.contains("pool2d")
}

/// Whether the mutant claims anything else than the right rule: one that does not is no mistake.
fn differs(mutant: &dyn Function, right: &dyn Function, inputs: &[Array], rng: &mut Rng) -> Option<bool> {
    let y = right.value(inputs).ok()?;
    for _ in 0..3 {
        let gy = random_like(&y, rng);
        if differ(&mutant.vjp(inputs, &gy).ok()?, &right.vjp(inputs, &gy).ok()?) {
            return Some(true);
        }
    }
    Some(false)
}

pub fn run(tally: &mut Tally) {
    for (mutation, kind, what) in KINDS {
        for sample in op_samples().iter().filter(|sample| applies(mutation, sample.name)) {
            let note = |found, mutant| tally.note(kind, what, found, mutant);
            try_on_op(sample, 1, |right| Box::new(Mutant { right, mutation }), differs, note);
        }
    }
}
