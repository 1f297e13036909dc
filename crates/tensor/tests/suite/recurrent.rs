//! A step of gated recurrent units: its formula and its derivatives' in plain loops, its rows apart from each other, and what is refused; a gate
//! of long short-term memory that is shut.

use crate::common::{on_threads, panic_of};
use gradus_tensor::{FusedSequence, Rng, Tensor};

/// Rows and units: fewer than a block of units, some more, and as many numbers as take several threads.
const SIZES: [[usize; 2]; 4] = [[1, 1], [3, 7], [5, 40], [300, 130]];

fn normal(shape: [usize; 2], rng: &mut Rng) -> Tensor<f32> {
    Tensor::normal(shape, 0.0, 1.0, rng)
}

#[test]
fn gated_steps_are_their_formula() {
    let rng = &mut Rng::seed(0);
    for [n, h] in SIZES {
        // Shares that lie apart, row by row.
        let (p, b) = (normal([n, 6 * h], rng).slice(1, 3 * h..), normal([n, 3 * h], rng));
        let (before, gy) = (normal([n, h], rng), normal([n, h], rng));
        let y = p.gru_gates(&b, &before);
        let [dp, db, dh] = p.gru_gates_grad(&b, &before, &gy);
        let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
        for at in (0..n * h).map(|i| [i / h, i % h]) {
            let gate = |t: &Tensor<f32>, part: usize| f64::from(t.at([at[0], part * h + at[1]]));
            let (r, z) = (sigmoid(gate(&p, 0) + gate(&b, 0)), sigmoid(gate(&p, 1) + gate(&b, 1)));
            let (b3, was, g) = (gate(&b, 2), f64::from(before.at(at)), f64::from(gy.at(at)));
            let new = (gate(&p, 2) + r * b3).tanh();
            let d_new = g * (1.0 - z) * (1.0 - new * new);
            let (dz, dr) = (g * (was - new) * z * (1.0 - z), d_new * b3 * r * (1.0 - r));
            let found = [f64::from(y.at(at)), f64::from(dh.at(at))]
                .into_iter()
                .chain([&dp, &db].into_iter().flat_map(|d| [0, 1, 2].map(|part| gate(d, part))));
            let wanted = [(1.0 - z) * new + z * was, g * z, dr, dz, d_new, dr, dz, d_new * r];
            for (i, (found, wanted)) in found.zip(wanted).enumerate() {
                assert!(
                    (found - wanted).abs() < 2e-6 * wanted.abs().max(1.0),
                    "{n} x {h}, at {at:?}, number {i}: {found}, {wanted}"
                );
            }
        }
    }
}

#[test]
fn rows_do_not_meet_and_threads_change_no_bit() {
    let rng = &mut Rng::seed(1);
    for [n, h] in SIZES {
        let (p, b) = (normal([n, 3 * h], rng), normal([n, 3 * h], rng));
        let (before, gy) = (normal([n, h], rng), normal([n, h], rng));
        let all = |rows: std::ops::Range<usize>| {
            let [p, b, before, gy] = [&p, &b, &before, &gy].map(|t| t.slice(0, rows.clone()));
            let [dp, db, dh] = p.gru_gates_grad(&b, &before, &gy);
            [p.gru_gates(&b, &before), dp, db, dh]
        };
        let together = on_threads(3, || all(0..n));
        assert_eq!(together, on_threads(1, || all(0..n)));
        for row in [0, n / 2, n - 1] {
            for (whole, alone) in together.iter().zip(all(row..row + 1)) {
                assert_eq!(whole.slice(0, row..row + 1), alone, "row {row} of {n} x {h}");
            }
        }
    }
}

/// Where the output gate of long short-term memory is shut to the last bit, nothing of the memory is seen, and no gradient is NaN.
#[test]
fn a_gate_that_is_shut_lets_no_gradient_through() {
    let shut = -1e4f32;
    let share = Tensor::from([[[0.5, 0.25, 1.0, shut]], [[0.5, 0.25, 1.0, shut]]]);
    let sequence = FusedSequence::new("lstm", &share, &Tensor::ones([4, 1]), None, 4).unwrap();
    let kept = sequence.lstm(&Tensor::zeros([1, 1]), &Tensor::zeros([1, 1])).unwrap();
    assert_eq!(kept[0].slice(0, 1..3), Tensor::zeros([2, 1, 1]));
    let gy = Tensor::ones([2, 1, 1]);
    let grads = sequence.lstm_grad(&kept, &gy, &Tensor::zeros([1, 1]));
    assert!(grads.iter().all(|g| g.to_vec().iter().all(|&v| v == 0.0)), "{grads:?}");
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let zeros = |n, h| Tensor::<f32>::zeros([n, h]);
    let error = panic_of(|| zeros(2, 9).gru_gates(&zeros(2, 9), &zeros(3, 3)));
    assert!(error.ends_with(": shares [2, 9] and [2, 9], state [3, 3]; wanted [N, 3 H] twice and [N, H]"), "{error}");
    let error = panic_of(|| zeros(2, 9).gru_gates_grad(&zeros(2, 9), &zeros(2, 3), &zeros(2, 4)));
    assert!(error.ends_with(": a gradient [2, 4] of a state [2, 3]"), "{error}");
    assert_eq!(zeros(0, 9).gru_gates(&zeros(0, 9), &zeros(0, 3)), zeros(0, 3));
    assert_eq!(zeros(2, 0).gru_gates(&zeros(2, 0), &zeros(2, 0)), zeros(2, 0));
}
