//! Recurrent cells: their derivatives through time, their options, and what they refuse.

use gradus_autograd::Var;
use gradus_check::check_module;
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};

fn normal(shape: [usize; 2], rng: &mut Rng) -> Tensor<f64> {
    Tensor::normal(shape, 0.0, 1.0, rng)
}

/// Two steps of a cell with respect to both inputs, its first state and all parameters, at orders 1 and 2.
fn check_through_time<C: RnnCell<f64>>(mut cell: C) {
    let rng = &mut Rng::seed(3);
    cell.for_each_parameter(|_, p| p.set(Tensor::uniform(p.shape().clone(), -1.0, 1.0, rng)));
    let mut inputs = vec![normal([2, 3], rng), normal([2, 3], rng)];
    cell.initial_state(2).map(&mut |v| {
        inputs.push(Tensor::normal(v.shape().clone(), 0.0, 1.0, rng));
        v.clone()
    });
    let run = |cell: &C, v: &[Var<f64>]| {
        let mut given = v[2..].iter();
        let first = cell.initial_state(2).map(&mut |_| given.next().unwrap().clone());
        let (y, state) = cell.step(&v[0], &first);
        let (z, state) = cell.step(&v[1], &state);
        let mut all = vec![y, z];
        state.map(&mut |v| {
            all.push(v.clone());
            v.clone()
        });
        Var::concat(&all.iter().collect::<Vec<_>>(), 1)
    };
    check_module(cell, inputs, run).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn derivatives_through_time_are_right() {
    let rng = &mut Rng::seed(0);
    check_through_time(Rnn::new(3, 2, rng));
    check_through_time(Rnn::new(3, 2, rng).nonlinearity(Nonlinearity::Relu));
    check_through_time(Lstm::new(3, 2, rng));
    check_through_time(Lstm::new(3, 2, rng).peephole());
    check_through_time(Gru::new(3, 2, rng));
    check_through_time(Gru::new(3, 2, rng).reset_before());
    check_through_time(Lstm::with_projection(3, 4, 2, rng));
    // Four numbers to normalise: over two, layer normalisation is a step from -1 to 1, too steep for differences.
    check_through_time(Rnn::new(3, 4, rng).layer_norm());
    check_through_time(Lstm::with_projection(3, 4, 2, rng).layer_norm().peephole());
    check_through_time(Gru::new(3, 4, rng).layer_norm());
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A cell of one input and one unit with all weights 0.5, all biases 0.1.
fn of_halves<C: RnnCell<f64>>(mut cell: C) -> C {
    cell.for_each_parameter(|path, p| p.set(Tensor::full(p.shape().clone(), if path.starts_with("bias") { 0.1 } else { 0.5 })));
    cell
}

#[test]
fn peepholes_and_the_early_reset_are_their_formulas() {
    let rng = &mut Rng::seed(0);
    let at = |v: f64| Var::constant(Tensor::from([[v]]));
    let (x, h, c) = (0.7, -0.3, 0.9);
    let sum = 0.5 * x + 0.1 + 0.5 * h + 0.1;

    let (y, (_, memory)) = of_halves(Lstm::new(1, 1, rng).peephole()).step(&at(x), &(at(h), at(c)));
    let gate = sigmoid(sum + 0.5 * c);
    let new_c = gate * c + gate * sum.tanh();
    assert!((memory.item() - new_c).abs() < 1e-15);
    assert!((y.item() - sigmoid(sum + 0.5 * new_c) * new_c.tanh()).abs() < 1e-15);

    let gru = |cell: Gru<f64>| of_halves(cell).step(&at(x), &at(h)).0.item();
    let gate = sigmoid(sum);
    let mixed = |n: f64| (1.0 - gate) * n + gate * h;
    let before = mixed((0.5 * x + 0.1 + 0.5 * (gate * h) + 0.1).tanh());
    let after = mixed((0.5 * x + 0.1 + gate * (0.5 * h + 0.1)).tanh());
    assert!((gru(Gru::new(1, 1, rng).reset_before()) - before).abs() < 1e-15);
    assert!((gru(Gru::new(1, 1, rng)) - after).abs() < 1e-15);
}

#[test]
fn a_detached_state_stops_derivatives() {
    let cell = Lstm::<f64>::new(1, 2, &mut Rng::seed(1));
    let x = Var::leaf(Tensor::from([[0.4]]));
    let (_, state) = cell.step(&x, &cell.initial_state(1));
    let (y, _) = cell.step(&Tensor::from([[0.2]]).into(), &state.detach());
    assert!(y.sum(..).backward().get(&x).is_none());
    let (y, _) = cell.step(&Tensor::from([[0.2]]).into(), &state);
    assert!(y.sum(..).backward().get(&x).is_some());
}

#[test]
#[should_panic(expected = "expected input [.., 3], got [2, 4]")]
fn an_input_of_another_width_is_refused() {
    let cell = Gru::<f64>::new(3, 5, &mut Rng::seed(0));
    cell.step(&Tensor::ones([2, 4]).into(), &cell.initial_state(2));
}

#[test]
#[should_panic(expected = "expected state [2, 5] for a batch of 2, got [3, 5]")]
fn a_state_of_another_batch_is_refused() {
    let cell = Lstm::<f64>::new(4, 5, &mut Rng::seed(0));
    cell.step(&Tensor::ones([2, 4]).into(), &cell.initial_state(3));
}
