//! Recurrent layers: masks and lengths, how far gradients go back, states that live on, and what is refused.

use gradus_autograd::Var;
use gradus_check::check_module;
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;

type Gradients = Vec<(String, Tensor<f64>)>;

/// The gradients of all parameters, by path; 0 where none arrives.
fn gradients(module: &impl Module<f64>, loss: Var<f64>) -> Gradients {
    let grads = loss.backward();
    let of = |p: &Var<f64>| grads.get(p).cloned().unwrap_or_else(|| Tensor::zeros(p.shape().clone()));
    module.named_parameters().into_iter().map(|(path, p)| (path, of(p))).collect()
}

fn near(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
    a.shape() == b.shape() && (a - b).abs().to_vec().iter().all(|d| *d < 1e-12)
}

/// To 1e-12, and beyond a size of 10 to a 10¹³th of it: layer normalisation of numbers that are nearly equal has made gradients of
/// 950, of which the last bits are more than 1e-12.
fn near_gradient(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
    let larger = (b.abs().max(..).item() / 10.0).max(1.0);
    near(&(a / larger), &(b / larger))
}

/// The sum of all outputs and states, each times a number of its own.
fn weighted<S: CellState<f64>>(y: &Var<f64>, state: &S) -> Var<f64> {
    let weigh = |v: &Var<f64>| (v * Var::constant(Tensor::linspace(-1.0, 1.5, v.value().numel()).reshape(v.shape()))).sum(..);
    state.variables().iter().fold(weigh(y), |sum, v| sum + weigh(v))
}

/// A padded batch, its padding full of NaN, against each of its rows alone.
fn rows_alone<U: RecurrentLayer<f64>>(layer: &U, lengths: &[usize], seed: u64) {
    let rng = &mut Rng::seed(seed);
    let (batch, steps) = (lengths.len(), *lengths.iter().max().unwrap() + 1);
    let clean = Tensor::normal([batch, steps, 3], 0.0, 1.0, rng);
    let padded =
        Tensor::from_fn([batch, steps, 3], |at| if at[1] < lengths[at[0]] { clean.at([at[0], at[1], at[2]]) } else { f64::NAN });
    let x = Var::leaf(padded);
    let (y, state) = layer.run(&Sequence::new(&x).with_lengths(lengths), &mut Mode::Eval);
    let (y, first, last) = (y.data(), y.first(), y.last());
    let (together, mut alone) = (gradients(layer, sums(&y, &state)), None::<Gradients>);
    let gx = sums(&y, &state).backward()[&x].clone();
    for (n, &length) in lengths.iter().enumerate() {
        let row = Var::leaf(clean.slice(0, n..=n).slice(1, ..length));
        let (z, own) = layer.run(&Sequence::from(&row), &mut Mode::Eval);
        assert!(near(&y.value().slice(0, n..=n).slice(1, ..length), z.data().value()));
        assert_eq!(y.value().slice(0, n..=n).slice(1, length..).abs().sum(..).item(), 0.0);
        assert!(near(&last.value().slice(0, n..=n), z.last().value()) && near(&first.value().slice(0, n..=n), z.first().value()));
        for (all, own) in state.variables().iter().zip(own.variables()) {
            assert!(near(&all.value().slice(0, n..=n), own.value()));
        }
        let own_gx = sums(&z.data(), &own).backward()[&row].clone();
        let gx_n = gx.slice(0, n..=n).slice(1, ..length);
        assert!(near_gradient(&gx_n, &own_gx), "{gx_n:?} together, {own_gx:?} alone");
        assert_eq!(gx.slice(0, n..=n).slice(1, length..).abs().sum(..).item(), 0.0);
        let own = gradients(layer, sums(&z.data(), &own));
        alone = Some(match alone {
            None => own,
            Some(sum) => sum.into_iter().zip(own).map(|((path, a), (_, b))| (path, &a + &b)).collect(),
        });
    }
    for ((path, a), (_, b)) in together.iter().zip(alone.unwrap()) {
        assert!(near_gradient(a, &b), "gradient of {path}: {a:?} together, {b:?} alone");
    }
}

/// A loss that is the sum of the same of every row.
fn sums<S: CellState<f64>>(y: &Var<f64>, state: &S) -> Var<f64> {
    state.variables().iter().fold((y * y * y).sum(..), |sum, v| sum + (v * v).sum(..))
}

fn lengths() -> impl Strategy<Value = (Vec<usize>, u64)> {
    (prop::collection::vec(1usize..6, 1..4), any::<u64>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn padding_changes_nothing((lengths, seed) in lengths()) {
        let rng = &mut Rng::seed(seed);
        rows_alone(&Recurrent::new(Rnn::new(3, 4, rng)), &lengths, seed);
        rows_alone(&Recurrent::new(Rnn::new(3, 4, rng).nonlinearity(Nonlinearity::Relu)).unrolled(), &lengths, seed);
        rows_alone(&Recurrent::new(Lstm::new(3, 4, rng)).reversed(), &lengths, seed);
        rows_alone(&Recurrent::new(Lstm::new(3, 4, rng)).unrolled(), &lengths, seed);
        rows_alone(&Recurrent::new(Lstm::with_projection(3, 4, 2, rng).peephole().layer_norm()), &lengths, seed);
        rows_alone(&Recurrent::new(Gru::new(3, 4, rng)), &lengths, seed);
        rows_alone(&Recurrent::new(Gru::new(3, 4, rng)).unrolled().reversed(), &lengths, seed);
        rows_alone(&Recurrent::new(Gru::new(3, 4, rng).reset_before()), &lengths, seed);
        rows_alone(&Recurrent::new(Gru::new(3, 4, rng)).checkpointed(), &lengths, seed);
        rows_alone(&Bidirectional::new(Gru::new(3, 4, rng), Gru::new(3, 4, rng)).merge(Merge::Mul), &lengths, seed);
        let both = |n, rng: &mut Rng| Bidirectional::new(Lstm::new(n, 2, rng), Lstm::new(n, 2, rng));
        rows_alone(&Stacked::new([both(3, rng), both(4, rng), both(4, rng)]).residual(), &lengths, seed);
    }
}

fn input(batch: usize, steps: usize) -> Tensor<f64> {
    Tensor::normal([batch, steps, 3], 0.0, 1.0, &mut Rng::seed(9))
}

/// The driver against its own definition: one call of `step` after the other.
#[test]
fn unrolling_is_one_step_after_the_other() {
    let cell = Lstm::<f64>::new(3, 4, &mut Rng::seed(1));
    let x = Var::leaf(input(2, 5));
    let (mut state, mut outputs) = (cell.initial_state(2), vec![]);
    for t in 0..5 {
        let (y, next) = cell.step(&x.select(1, t), &state);
        outputs.push(y);
        state = next;
    }
    let plain = weighted(&Var::stack(&outputs.iter().collect::<Vec<_>>(), 1), &state);
    let driver = Recurrent::new(cell);
    let (y, state) = driver.run(&Sequence::new(&x), &mut Mode::Eval);
    let driven = weighted(&y.data(), &state);
    assert!((plain.item() - driven.item()).abs() < 1e-12);
    let time_major = driver.run(&Sequence::time_major(x.transpose(0, 1)), &mut Mode::Eval).0.data();
    assert_eq!(time_major.value().transpose(0, 1), *y.data().value());
    for ((path, a), (_, b)) in gradients(&driver, plain).iter().zip(gradients(&driver, driven)) {
        assert!(near(a, &b), "{path}");
    }
}

/// The same network, from the same seed, with a driver of other options.
fn gru(with: impl Fn(Recurrent<Gru<f64>>) -> Recurrent<Gru<f64>>) -> Recurrent<Gru<f64>> {
    with(Recurrent::new(Gru::new(3, 4, &mut Rng::seed(2))))
}

fn bits(driver: &Recurrent<Gru<f64>>, steps: usize, mode: &mut Mode) -> (Tensor<f64>, Gradients) {
    let x = Var::leaf(input(2, steps));
    let (y, state) = driver.run(&Sequence::new(&x), mode);
    let loss = weighted(&y.data(), &state);
    let gx = loss.clone().backward()[&x].clone();
    let mut all = gradients(driver, loss);
    all.push(("x".into(), gx));
    (y.data().value().copy(), all)
}

#[test]
fn a_window_over_all_is_full_back_propagation_bit_for_bit() {
    for unrolled in [false, true] {
        let driver = |r: Recurrent<Gru<f64>>| if unrolled { r.unrolled() } else { r };
        let full = bits(&gru(driver), 7, &mut Mode::Eval);
        for (k1, k2) in [(1, 7), (3, 7), (7, 7), (2, 50)] {
            assert_eq!(bits(&gru(|r| driver(r).truncated(k1, k2)), 7, &mut Mode::Eval), full, "BPTT({k1}, {k2})");
        }
        let cut = bits(&gru(|r| driver(r).truncated(2, 3)), 7, &mut Mode::Eval);
        assert!(near(&cut.0, &full.0) && cut.1 != full.1);
    }
}

/// BPTT(k1, k2) against its definition: each chunk's loss differentiated through a window of its own.
#[test]
fn truncated_gradients_are_those_of_windows() {
    for (steps, k1, k2) in [(7, 2, 3), (7, 3, 3), (8, 2, 4), (6, 1, 1), (9, 4, 6), (5, 1, 3)] {
        let (driver, cell) = (gru(|r| r.truncated(k1, k2)), Gru::<f64>::new(3, 4, &mut Rng::seed(2)));
        let x = input(2, steps);
        let weights = Tensor::normal([2, steps, 4], 0.0, 1.0, &mut Rng::seed(4));
        let y = driver.forward(&(&x).into(), &mut Mode::Eval);
        let found = gradients(&driver, (&y * Var::constant(weights.clone())).sum(..));

        let mut sum = None::<Gradients>;
        for first in (0..steps).step_by(k1) {
            let end = (first + k1).min(steps);
            let start = end.saturating_sub(k2);
            let mut h = cell.initial_state(2);
            let mut loss = Var::constant(Tensor::scalar(0.0));
            for t in 0..end {
                if t == start {
                    h = h.detach();
                }
                h = cell.step(&x.select(1, t).into(), &h).1;
                if t >= first {
                    loss = loss + (&h * Var::constant(weights.select(1, t))).sum(..);
                }
            }
            let own = gradients(&cell, loss);
            sum = Some(match sum {
                None => own,
                Some(sum) => sum.into_iter().zip(own).map(|((path, a), (_, b))| (path, &a + &b)).collect(),
            });
        }
        for ((path, a), (_, b)) in found.iter().zip(sum.unwrap()) {
            assert!(near(a, &b), "BPTT({k1}, {k2}) of {steps} steps, {path}");
        }
    }
}

#[test]
fn checkpoints_change_nothing() {
    for steps in [1, 2, 7, 16] {
        let with = |r: Recurrent<Gru<f64>>| r.unrolled().recurrent_dropout(0.3).dropout(0.2);
        let (y, plain) = bits(&gru(with), steps, &mut Mode::Train(&mut Rng::seed(6)));
        let (z, again) = bits(&gru(|r| with(r).checkpointed()), steps, &mut Mode::Train(&mut Rng::seed(6)));
        assert!(near(&y, &z));
        for ((path, a), (_, b)) in plain.iter().zip(again) {
            assert!(near(a, &b), "{steps} steps, {path}");
        }
    }
}

#[test]
fn checkpoints_keep_a_root_of_the_steps() {
    let nodes = |with: fn(Recurrent<Gru<f64>>) -> Recurrent<Gru<f64>>| {
        gru(with).forward(&Var::leaf(input(1, 100)), &mut Mode::Eval).tape().len()
    };
    let (all, few) = (nodes(|r| r.unrolled()), nodes(|r| r.unrolled().checkpointed()));
    assert!(few * 4 < all, "{few} nodes of {all}");
}

/// Gal and Ghahramani's dropout: one draw for all steps; the carried state is not dropped from.
#[test]
fn recurrent_dropout_is_drawn_once() {
    let cell = Gru::<f64>::new(3, 4, &mut Rng::seed(2));
    let x = Var::constant(input(2, 5));
    let rng = &mut Rng::seed(8);
    let driver = gru(|r| r.recurrent_dropout(0.5));
    let y = driver.forward(&x, &mut Mode::Train(&mut rng.clone()));
    let kept = Var::constant(Tensor::<f64>::ones([2, 4])).dropout(0.5, rng);
    let mut h = cell.initial_state(2);
    for t in 0..5 {
        h = cell.step_projected(&cell.project(&x.select(1, t)), &h, &(&h * &kept)).1;
        assert!(near(&y.value().select(1, t), h.value()));
    }
    assert_eq!(driver.forward(&x, &mut Mode::Eval).value(), gru(|r| r).unrolled().forward(&x, &mut Mode::Eval).value());
}

#[test]
fn residual_layers_add_what_they_read() {
    let rng = &mut Rng::seed(0);
    let layers = [3, 4].map(|n| Recurrent::new(Rnn::<f64>::new(n, 4, rng)));
    let x: Var<f64> = input(2, 4).into();
    let first = layers[0].forward(&x, &mut Mode::Eval);
    let second = layers[1].forward(&first, &mut Mode::Eval);
    let stack = Stacked::new(layers);
    assert_eq!(*stack.forward(&x, &mut Mode::Eval).value(), *second.value());
    assert_eq!(*stack.residual().forward(&x, &mut Mode::Eval).value(), first.value() + second.value());
}

#[test]
fn masks_may_have_gaps() {
    let driver = gru(|r| r);
    let x = input(1, 4);
    let mask = Tensor::from([[true, false, true, false]]);
    let (y, h) = driver.run(&Sequence::new(&x).with_mask(&mask), &mut Mode::Eval);
    let there = Tensor::stack(&[&x.select(1, 0), &x.select(1, 2)], 1);
    let (z, _) = driver.run(&Sequence::new(there), &mut Mode::Eval);
    assert!(near(h.value(), z.last().value()) && near(y.last().value(), z.last().value()));
    check_module(gru(|r| r.unrolled()), [x], move |driver, v| {
        let (y, h) = driver.run(&Sequence::new(&v[0]).with_mask(&mask), &mut Mode::Eval);
        weighted(&y.data(), &h)
    })
    .unwrap();
}

/// A last batch may be empty after filtering: it computes nothing, and its gradients are 0.
#[test]
fn a_batch_of_no_sequences_has_no_gradient() {
    for driver in [gru(|r| r), gru(|r| r.unrolled()), gru(|r| r.checkpointed()), gru(|r| r.truncated(2, 3))] {
        let (y, state) = driver.run(&Sequence::new(input(0, 5)), &mut Mode::Eval);
        assert_eq!((y.data().shape().to_vec(), state.shape().to_vec()), (vec![0, 5, 4], vec![0, 4]));
        for (path, g) in gradients(&driver, weighted(&y.data(), &state)) {
            assert_eq!(g.abs().sum(..).item(), 0.0, "{path}");
        }
    }
}

#[test]
#[should_panic(expected = "2 lengths for 3 sequences")]
fn each_sequence_has_a_length() {
    let _ = Sequence::new(input(3, 4)).with_lengths(&[1, 2]);
}

#[test]
#[should_panic(expected = "length 5 of sequence 1; wanted 1 to 4")]
fn a_length_beyond_the_steps_is_refused() {
    let _ = Sequence::new(input(2, 4)).with_lengths(&[4, 5]);
}

#[test]
#[should_panic(expected = "length 0 of sequence 0; wanted 1 to 4")]
fn a_length_of_zero_is_refused() {
    let _ = Sequence::new(input(2, 4)).with_lengths(&[0, 2]);
}

#[test]
#[should_panic(expected = "sequence 1 is empty")]
fn an_empty_row_of_a_mask_is_refused() {
    let _ = Sequence::new(input(2, 2)).with_mask(&Tensor::from([[true, true], [false, false]]));
}

#[test]
#[should_panic(expected = "expected input [N, T, ..] with 1 step or more, got [2, 0, 3]")]
fn no_step_is_refused() {
    gru(|r| r).forward(&input(2, 0).into(), &mut Mode::Eval);
}

#[test]
#[should_panic(expected = "expected state [2, 4] for a batch of 2, got [3, 4]")]
fn a_state_of_another_batch_is_refused() {
    let driver = gru(|r| r);
    driver.run_from(&Sequence::new(input(2, 4)), &driver.initial_state(3), &mut Mode::Eval);
}

#[test]
#[should_panic(expected = "BPTT(4, 3); wanted 1 <= k1 <= k2")]
fn a_window_shorter_than_its_chunk_is_refused() {
    gru(|r| r.truncated(4, 3));
}

/// A fused sequence against the same cell unrolled: outputs, last state, and all gradients.
fn fused_is_unrolled<C: RnnCell<f64>>(make: impl Fn(&mut Rng) -> C, sizes: [usize; 3], reversed: bool, lengths: bool, seed: u64) {
    let [batch, steps, hidden] = sizes;
    let rng = &mut Rng::seed(seed);
    let x = Tensor::normal([batch, steps, 3], 0.0, 1.0, rng);
    let own: Vec<usize> = (0..batch).map(|_| 1 + rng.below(steps)).collect();
    let first: Vec<Tensor<f64>> = (0..2).map(|_| Tensor::normal([batch, hidden], 0.0, 1.0, rng)).collect();
    let run = |unrolled: bool| {
        let mut driver = Recurrent::new(make(&mut Rng::seed(seed)));
        driver = if reversed { driver.reversed() } else { driver };
        driver = if unrolled { driver.unrolled() } else { driver };
        let x = Var::leaf(x.clone());
        let sequence = if lengths { Sequence::new(&x).with_lengths(&own) } else { Sequence::new(&x) };
        let mut given = vec![];
        let state = driver.initial_state(batch).map(&mut |_| {
            given.push(Var::leaf(first[given.len()].clone()));
            given.last().unwrap().clone()
        });
        let (y, last) = driver.run_from(&sequence, &state, &mut Mode::Train(&mut Rng::seed(0)));
        let fused = y.data().tape().iter().any(|e| e.name.ends_with("_sequence"));
        assert_eq!(fused, !unrolled);
        let loss = weighted(&y.data(), &last);
        let grads = loss.clone().backward();
        let mut all = vec![y.data().value().copy(), grads[&x].clone()];
        all.extend(last.variables().iter().map(|v| v.value().copy()));
        all.extend(given.iter().map(|v| grads[v].clone()));
        all.extend(gradients(&driver, loss).into_iter().map(|(_, g)| g));
        all
    };
    for (i, (a, b)) in run(false).iter().zip(run(true)).enumerate() {
        let scale = 1.0 + b.abs().max(..).item();
        assert!(((a - &b).abs().max(..).item()) < 1e-12 * scale, "{sizes:?}, number {i}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn fused_sequences_are_their_cells(
        batch in prop_oneof![1usize..5, 15usize..18, 31usize..35],
        steps in 1usize..8,
        hidden in prop_oneof![1usize..5, 15usize..18, 31usize..35, Just(70usize)],
        reversed: bool,
        lengths: bool,
        seed: u64,
    ) {
        let sizes = [batch, steps, hidden];
        fused_is_unrolled(|rng| Rnn::new(3, hidden, rng), sizes, reversed, lengths, seed);
        fused_is_unrolled(|rng| Rnn::new(3, hidden, rng).nonlinearity(Nonlinearity::Relu), sizes, reversed, lengths, seed);
        fused_is_unrolled(|rng| Lstm::new(3, hidden, rng), sizes, reversed, lengths, seed);
        fused_is_unrolled(|rng| Gru::new(3, hidden, rng), sizes, reversed, lengths, seed);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let driver = Recurrent::new(Lstm::<f32>::new(24, 40, &mut Rng::seed(1)));
            let y = driver.forward(&Tensor::normal([50, 30, 24], 0.0, 1.0, &mut Rng::seed(2)).into(), &mut Mode::Eval);
            let grads = (&y * &y).sum(..).backward();
            let mut all = vec![y.value().copy()];
            all.extend(Module::<f32>::parameters(&driver).into_iter().map(|p| grads[p].clone()));
            all
        })
    };
    let one = run(1);
    assert_eq!(run(2), one);
    assert_eq!(run(5), one);
}
