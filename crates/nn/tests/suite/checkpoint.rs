//! Checkpointed layers are the layers, bit for bit, with their random draws and running statistics.

use gradus_autograd::{GradMode, Module, Var, grad};
use gradus_nn::{BatchNorm1d, Checkpoint, Conv2d, Dropout, Flatten, Layer, Linear, LossExt, Mode, Relu, Sequential, Tanh};
use gradus_tensor::{Rng, Tensor};

fn block(net: Sequential, rng: &mut Rng) -> Sequential {
    net.add(Linear::new(6, 6, rng)).add(BatchNorm1d::new(6)).add(Relu).add(Dropout::new(0.4))
}

fn deep(blocks: usize) -> Sequential {
    let rng = &mut Rng::seed(1);
    (0..blocks).fold(Sequential::new(), |net, _| block(net, rng))
}

fn bits(t: &Tensor) -> Vec<u32> {
    t.to_vec().into_iter().map(f32::to_bits).collect()
}

/// Everything that training steps make: losses, parameters and buffers after them, and what the generator draws next.
fn trained(mut net: Sequential, nested: bool) -> (Vec<u32>, Vec<Vec<u32>>, f64) {
    let rng = &mut Rng::seed(2);
    if nested {
        net = Sequential::new().add(Checkpoint::new(net)).add(Linear::new(6, 3, &mut Rng::seed(3))).checkpointed();
    } else {
        net = Sequential::new().add(net).add(Linear::new(6, 3, &mut Rng::seed(3)));
    }
    let x = Var::constant(Tensor::normal([8, 6], 0.0, 1.0, rng));
    let labels = Tensor::from([0i64, 1, 2, 0, 1, 2, 0, 1]);
    let mut losses = Vec::new();
    for _ in 0..3 {
        let loss = net.forward(&x, &mut Mode::Train(rng)).cross_entropy(&labels);
        losses.push(loss.item().to_bits());
        let grads = loss.backward();
        net.for_each_parameter(|_, p| {
            let g = grads[&**p].clone();
            *p.value_mut() = p.value() - &(g * 0.1);
        });
    }
    let state = net.state_dict().into_values().map(|t| bits(&t)).collect();
    (losses, state, rng.uniform())
}

#[test]
fn training_is_the_same_bit_for_bit() {
    let plain = trained(deep(4), false);
    for segments in [0, 1, 2, 3, 7, 16, 99] {
        assert!(trained(deep(4).checkpoint_segments(segments), false) == plain, "{segments} segments");
    }
    assert!(trained(deep(4).checkpointed(), false) == plain);
    assert!(trained(deep(4).checkpointed(), true) == plain);
}

#[test]
fn evaluation_has_gradients_too() {
    let x = Var::leaf(Tensor::<f32>::normal([4, 6], 0.0, 1.0, &mut Rng::seed(5)));
    let of = |net: Sequential| {
        let y = net.forward(&x, &mut Mode::Eval);
        (bits(y.value()), bits(grad(&y.square().sum(..), &[&x], GradMode::Plain).unwrap()[0].value()))
    };
    assert_eq!(of(deep(3)), of(deep(3).checkpointed()));
}

#[test]
fn convolutions_and_second_derivatives_pass() {
    let net = |segments| {
        let rng = &mut Rng::seed(6);
        let net: Sequential<f64> = Sequential::new().add(Conv2d::new(1, 2, 3, rng).same()).add(Tanh);
        net.add(Conv2d::new(2, 1, 3, rng)).add(Tanh).add(Flatten).checkpoint_segments(segments)
    };
    let x = Var::leaf(Tensor::<f64>::normal([2, 1, 5, 5], 0.0, 1.0, &mut Rng::seed(7)));
    let second = |net: Sequential<f64>| {
        let y = net.forward(&x, &mut Mode::Eval).square().sum(..);
        let g = grad(&y, &[&x], GradMode::Differentiable).unwrap().remove(0);
        grad(&g.square().sum(..), &[&x], GradMode::Plain).unwrap().remove(0).into_value()
    };
    let (plain, checkpointed) = (second(net(1)), second(net(2)));
    assert!((&plain - &checkpointed).abs().max(..).item() <= 1e-12 * plain.abs().max(..).item());
}

#[test]
fn an_empty_list_passes_its_input_on() {
    let x = Var::leaf(Tensor::<f32>::ones([2]));
    for net in [Sequential::new(), Sequential::new().checkpointed(), Sequential::new().checkpoint_segments(3)] {
        assert_eq!(net.forward(&x, &mut Mode::Eval).id(), x.id());
    }
}

#[test]
#[should_panic(expected = "the layer at `0` is checkpointed, and a result of it is alive")]
fn parameters_stay_while_a_tape_is_to_run_them_again() {
    let mut net = deep(1).checkpointed();
    let rng = &mut Rng::seed(0);
    let _y = net.forward(&Tensor::ones([2, 6]).into(), &mut Mode::Train(rng));
    net.for_each_parameter(|_, p| *p.value_mut() = p.value() * 2.0);
}
