//! Reading a variable part by part: gradients in place, at a cost that grows with the parts and not with their square.

use gradus_autograd::{GradMode, Var, grad, op};
use gradus_tensor::{Rng, Tensor, observe_buffers};
use proptest::prelude::*;
use std::cell::Cell;

thread_local!(static MADE: Cell<usize> = const { Cell::new(0) });

/// How many bytes `f` takes for tensors in all, freed ones included.
fn bytes_made(f: impl FnOnce()) -> usize {
    MADE.set(0);
    let before = observe_buffers(Some(|e| MADE.set(MADE.get() + if e.made { e.bytes } else { 0 })));
    f();
    observe_buffers(before);
    MADE.get()
}

/// A recurrence over the rows of `x`, read one by one.
fn unfolded(x: &Var<f64>, read: impl Fn(&Var<f64>, usize) -> Var<f64>) -> Var<f64> {
    let start = Var::constant(Tensor::zeros([x.shape()[1]]));
    (0..x.shape()[0]).fold(start, |h, t| (h * 0.5 + read(x, t)).tanh()).sum(..)
}

#[test]
fn ten_times_the_steps_take_ten_times_the_bytes() {
    type Read = fn(&Var<f64>, usize) -> Var<f64>;
    let reads: [(&str, Read); 3] = [
        ("select", |x, t| x.select(0, t)),
        ("index_select", |x, t| x.index_select(0, &Tensor::from([t as i64])).squeeze(0)),
        ("gather", |x, t| x.gather(0, &Tensor::full([1, 32], t as i64)).squeeze(0)),
    ];
    for (name, read) in reads {
        let cost = |steps: usize| {
            let x = Var::leaf(Tensor::normal([steps, 32], 0.0, 1.0, &mut Rng::seed(1)));
            bytes_made(|| drop(unfolded(&x, read).backward()))
        };
        let (short, long) = (cost(50), cost(500));
        assert!(short > 0 && long < 11 * short, "{name}: {short} bytes for 50 steps, {long} for 500");
    }
}

#[derive(Clone, Copy, Debug)]
enum Read {
    Slice(usize, usize, isize),
    Pick([i64; 2]),
    Gather([i64; 2]),
    Whole,
}

fn reads() -> impl Strategy<Value = Vec<Read>> {
    let slice = (0usize..5, 1usize..=5, prop::sample::select(vec![1isize, 2, -1, -2]));
    let one = prop_oneof![
        slice.prop_map(|(start, length, step)| Read::Slice(start, (start + length).min(5), step)),
        [0i64..5, 0i64..5].prop_map(Read::Pick),
        [0i64..5, 0i64..5].prop_map(Read::Gather),
        Just(Read::Whole),
    ];
    prop::collection::vec(one, 1..7)
}

/// One function of all the reads; `copies` stand for the variable, read by read.
fn total(copies: &[Var<f64>], reads: &[Read]) -> Var<f64> {
    let read = |(x, r): (&Var<f64>, &Read)| match *r {
        Read::Slice(start, end, step) => x.slice_step(0, start..end, step).square().sum(..),
        Read::Pick(at) => x.index_select(0, &Tensor::from(at)).exp().sum(..),
        Read::Gather(at) => x.gather(0, &Tensor::from(at).unsqueeze(1)).sin().sum(..),
        Read::Whole => (x * x).sum(..),
    };
    copies.iter().zip(reads).map(read).reduce(|a, b| a * 0.5 + b).expect("a read")
}

proptest! {
    /// The gradient of a variable read in many ways is the sum of the gradients of as many copies, each read once; and the
    /// gradients that can be differentiated again are the same.
    #[test]
    fn parts_add_up(reads in reads(), transposed: bool, seed in 0u64..1 << 32) {
        let draw = |shape: [usize; 2]| Tensor::<f64>::normal(shape, 0.0, 1.0, &mut Rng::seed(seed));
        let value = if transposed { draw([3, 5]).t() } else { draw([5, 3]) };
        let x = Var::leaf(value.clone());
        let together = vec![x.clone(); reads.len()];
        let copies: Vec<Var<f64>> = reads.iter().map(|_| Var::leaf(value.clone())).collect();
        let apart = total(&copies, &reads).backward();
        let wanted = copies.iter().map(|c| apart[c].clone()).reduce(|a, b| a + &b).unwrap();
        let close = |g: &Tensor<f64>| (g - &wanted).square().sum(..).item() < 1e-24;
        let y = total(&together, &reads);
        let twice = grad(&y, &[&x], GradMode::Differentiable).unwrap().remove(0);
        prop_assert!(close(twice.value()));
        let g = y.backward();
        prop_assert!(close(&g[&x]), "{} is not {}", g[&x], wanted);
    }
}

#[test]
fn a_sum_that_another_holds_is_not_written_to() {
    // The gradient of the sum is handed to both operands: it is the sum so far of `x`, and the gradient of `z`.
    let (x, z) = (Var::leaf(Tensor::from([1.0f64, 2.0])), Var::leaf(Tensor::from([0.0f64, 0.0])));
    let part = x.slice(0, ..1).sum(..);
    let y = (op("both", [&x, &z], x.value() + z.value(), |p| [Some(p.gy().clone()), Some(p.gy().clone())])).sum(..) + part;
    let g = y.backward();
    assert_eq!((g[&x].to_vec(), g[&z].to_vec()), (vec![2.0, 1.0], vec![1.0, 1.0]));
}
