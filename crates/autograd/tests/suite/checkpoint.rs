//! A checkpointed computation is the plain one, bit for bit.

use gradus_autograd::{Buffer, GradMode, Var, checkpoint, checkpoint_with_rng, detect_anomaly, grad, hvp, jvp, no_grad};
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Steps of a random program: which op, and the two earlier values that it reads.
type Program = Vec<(u8, usize, usize)>;

/// Runs the program on a list of values that starts with `values`; the sum of all that it makes, so that values have
/// readers within the program and after it.
fn run(program: &[(u8, usize, usize)], mut values: Vec<Var<f64>>) -> Var<f64> {
    let given = values.len();
    for &(op, a, b) in program {
        let (a, b) = (&values[a % values.len()], &values[b % values.len()]);
        values.push(match op % 5 {
            0 => a * b,
            1 => a + b,
            2 => (a * 0.7).tanh(),
            3 => a.t().matmul(b) * 0.3,
            _ => (a * -0.2).exp() - b,
        });
    }
    values[given..].iter().fold(values[0].clone(), |sum, v| sum + v)
}

/// The program with the steps of `segment` run as a checkpoint, one within another when `nested`.
fn run_with_checkpoint(program: &Program, x: &Var<f64>, w: &Var<f64>, cut: (usize, usize), nested: bool) -> Var<f64> {
    let (first, rest) = program.split_at(cut.0.min(program.len()));
    let (segment, last) = rest.split_at(cut.1.min(rest.len()));
    let before = run(first, vec![x.clone(), w.clone()]);
    let (captured, steps, input) = (w.clone(), segment.to_vec(), x.clone());
    let inside = move |h: &Var<f64>| {
        if !nested {
            return run(&steps, vec![h.clone(), captured.clone(), input.clone()]);
        }
        let (inner, captured, input) = (steps.clone(), captured.clone(), input.clone());
        let early = h.sin();
        checkpoint(move |h| run(&inner, vec![h.clone(), captured.clone(), input.clone(), early.clone()]), h) * h
    };
    let middle = if cut.1 > 0 { checkpoint(inside, &before) } else { inside(&before) };
    run(last, vec![middle, before, w.clone()])
}

fn bits(v: &Var<f64>) -> Vec<u64> {
    v.value().to_vec().into_iter().map(f64::to_bits).collect()
}

/// The same program with `checkpoint` replaced by a call.
fn run_plain(program: &Program, x: &Var<f64>, w: &Var<f64>, cut: (usize, usize), nested: bool) -> Var<f64> {
    let (first, rest) = program.split_at(cut.0.min(program.len()));
    let (segment, last) = rest.split_at(cut.1.min(rest.len()));
    let before = run(first, vec![x.clone(), w.clone()]);
    let middle = if nested {
        let early = before.sin();
        run(segment, vec![before.clone(), w.clone(), x.clone(), early]) * &before
    } else {
        run(segment, vec![before.clone(), w.clone(), x.clone()])
    };
    run(last, vec![middle, before, w.clone()])
}

/// The bits of value and gradients; the gradients of a function of the gradients.
fn derivatives(y: &Var<f64>, x: &Var<f64>, w: &Var<f64>) -> (Vec<Vec<u64>>, Vec<f64>) {
    // Whatever the program reads, the loss depends on both.
    let loss = (y.square() + x.cos() + w.sin()).mean(..);
    let plain = grad(&loss, &[x, w], GradMode::Plain).unwrap();
    let first = grad(&loss, &[x, w], GradMode::Differentiable).unwrap();
    let second = grad(&(first[0].square().sum(..) + first[1].sin().sum(..)), &[x, w], GradMode::Plain).unwrap();
    let of_x_alone = grad(&loss, &[x], GradMode::Plain).unwrap();
    let walked = loss.clone().backward();
    let walked = [Var::constant(walked[x].clone()), Var::constant(walked[w].clone())];
    let exact = [y].into_iter().chain(&plain).chain(&first).chain(&of_x_alone).chain(&walked).map(bits).collect();
    (exact, second.iter().flat_map(|g| g.value().to_vec()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn checkpointed_equals_plain_bit_for_bit(
        program in prop::collection::vec((any::<u8>(), 0usize..64, 0usize..64), 1..14),
        cut in (0usize..6, 1usize..10),
        nested in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng::seed(seed);
        let [x, w] = [0, 1].map(|_| Var::leaf(Tensor::uniform([2, 2], -1.0, 1.0, rng)));
        let plain = derivatives(&run_plain(&program, &x, &w, cut, nested), &x, &w);
        let checkpointed = derivatives(&run_with_checkpoint(&program, &x, &w, cut, nested), &x, &w);
        prop_assert_eq!(plain.0, checkpointed.0);
        // The segment's nodes are newer than some of the first backward pass: the second adds up in another order.
        let scale = plain.1.iter().fold(1e-300f64, |m, v| m.max(v.abs()));
        for (a, b) in plain.1.iter().zip(&checkpointed.1) {
            prop_assert!((a - b).abs() <= 1e-12 * scale, "{:?} {:?}", plain.1, checkpointed.1);
        }
    }

    #[test]
    fn functions_of_functions_see_through_a_checkpoint(seed in any::<u64>()) {
        let rng = &mut Rng::seed(seed);
        let [x, w, u] = [0, 1, 2].map(|_| Var::constant(Tensor::uniform([3], -1.0, 1.0, rng)));
        let plain = |x: &Var<f64>| ((x * &w).tanh() * x).exp().sum(..);
        let checkpointed = |x: &Var<f64>| {
            let w = w.clone();
            checkpoint(move |x| ((x * &w).tanh() * x).exp(), x).sum(..)
        };
        let (a, b) = (jvp(plain, &x, &u), jvp(checkpointed, &x, &u));
        prop_assert_eq!((bits(&a.0), bits(&a.1)), (bits(&b.0), bits(&b.1)));
        let (a, b) = (hvp(plain, &x, &u), hvp(checkpointed, &x, &u));
        prop_assert!((a.value() - b.value()).abs().max(..).item() <= 1e-13 * a.value().abs().max(..).item());
    }
}

#[test]
fn random_draws_are_replayed_and_go_on_where_they_would() {
    let noisy = |x: &Var<f64>, rng: &mut Rng| x * Var::constant(Tensor::normal([5], 0.0, 1.0, rng)) * rng.normal();
    let x = Var::leaf(Tensor::<f64>::ones([5]));
    let (mut a, mut b) = (Rng::seed(3), Rng::seed(3));
    let plain = noisy(&noisy(&x, &mut a).tanh(), &mut a);
    let first = checkpoint_with_rng(noisy, &x, &mut b);
    let checkpointed = checkpoint_with_rng(noisy, &first.tanh(), &mut b);
    assert_eq!(a.state(), b.state());
    assert_eq!(bits(&plain), bits(&checkpointed));
    // Twice: a replay must not use up what the next one draws.
    for _ in 0..2 {
        let [a, b] = [&plain, &checkpointed].map(|y| grad(&y.sum(..), &[&x], GradMode::Plain).unwrap().remove(0));
        assert_eq!(bits(&a), bits(&b));
    }
}

#[test]
fn buffers_are_written_once_and_read_as_they_were() {
    let steps = Arc::new(Buffer::new(Tensor::<f64>::scalar(1.0)));
    let buffer = steps.clone();
    // Multiplies by how often it was called, and counts.
    let counting = move |x: &Var<f64>| {
        let n = buffer.get();
        buffer.set(&n + 1.0);
        let scaled = x * Var::constant(n);
        let again = buffer.get();
        scaled * Var::constant(again)
    };
    let x = Var::leaf([1.0, 2.0].into());
    let y = checkpoint(counting.clone(), &x);
    let nested = {
        let counting = counting.clone();
        checkpoint(move |y| checkpoint(counting.clone(), &y.sin()), &y)
    };
    let plain = counting(&x);
    assert_eq!(steps.get().item(), 4.0);
    assert_eq!(y.value().to_vec(), [2.0, 4.0]);
    for _ in 0..2 {
        let g = grad(&y.sum(..), &[&x], GradMode::Plain).unwrap().remove(0);
        assert_eq!(g.value().to_vec(), [2.0, 2.0]);
        let g = grad(&nested.sum(..), &[&y], GradMode::Plain).unwrap().remove(0);
        let wanted: Vec<f64> = y.value().to_vec().into_iter().map(|v| 2.0 * 3.0 * v.cos()).collect();
        assert_eq!(g.value().to_vec(), wanted);
        assert_eq!(steps.get().item(), 4.0);
    }
    assert_eq!(plain.sum(..).backward()[&x].to_vec(), [12.0, 12.0]);
}

#[test]
fn hooks_run_once_on_complete_gradients() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str, v: &Var<f64>| {
        let seen = seen.clone();
        v.register_hook(move |g| {
            seen.lock().unwrap().push((name, g.item()));
            Some(g * 2.0)
        });
    };
    let x = Var::leaf([3.0f64].into());
    let h = &x * 1.0;
    let y = checkpoint(|h| h * h, &h);
    note("x", &x);
    note("h", &h);
    note("y", &y);
    let loss = (y + &h).sum(..);
    assert_eq!(loss.backward()[&x].item(), 2.0 * 2.0 * (1.0 + 2.0 * 6.0));
    assert_eq!(*seen.lock().unwrap(), [("y", 1.0), ("h", 13.0), ("x", 26.0)]);
}

#[test]
fn a_segment_that_differs_is_an_error_with_its_line() {
    let x = Var::leaf([1.0f64, 2.0].into());
    let calls = Arc::new(AtomicUsize::new(0));
    let segment = move |x: &Var<f64>| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => x * 2.0,
        1 => x.sum_keep(..),
        2 => x.detach(),
        _ => x * &Var::leaf([1.0, 1.0].into()) * &Var::leaf([1.0, 1.0].into()),
    };
    let y = checkpoint(segment, &x).sum(..);
    let error = || grad(&y, &[&x], GradMode::Plain).unwrap_err().to_string();
    let first = error();
    assert!(first.contains("tests/suite/checkpoint.rs") && first.contains("gave shape [1] instead of [2]"), "{first}");
    let second = error();
    assert!(second.contains("recorded nothing"), "{second}");
    assert!(grad(&y, &[&x], GradMode::Plain).is_ok());
}

#[test]
fn a_segment_that_reads_something_else_is_an_error() {
    let (x, w) = (Var::leaf([1.0f64].into()), Var::leaf([1.0f64].into()));
    let calls = AtomicUsize::new(0);
    let other = w.clone();
    let y = checkpoint(move |x| if calls.fetch_add(1, Ordering::Relaxed) == 0 { x * 2.0 } else { x * &other }, &x);
    let error = grad(&y, &[&x], GradMode::Plain).unwrap_err().to_string();
    assert!(error.contains("read other variables"), "{error}");
}

#[test]
fn without_a_tape_it_is_a_call() {
    let x = Var::leaf([1.0f64].into());
    assert!(!no_grad(|| checkpoint(|x| x * 2.0, &x)).requires_grad());
    assert!(!checkpoint(|x| x * 2.0, &x.detach()).requires_grad());
    let same = checkpoint(|x| x.clone(), &x);
    assert_eq!(same.id(), x.id());
}

#[test]
fn anomalies_within_a_segment_are_found() {
    let x = Var::leaf([0.0f64].into());
    let found = detect_anomaly(|| checkpoint(|x| x.sqrt(), &x).sum(..).backward()).unwrap_err();
    assert_eq!(found.op, "sqrt");
}
