//! Training does not depend on what fresh memory holds: not a layer, not a loss, not an optimiser.

use gradus::nn::AvgPool2d;
use gradus::optim::UpdateRule;
use gradus::optim::registry::{BuiltIn, RuleVisitor, Sample, for_every_rule};
use gradus::prelude::*;
use gradus::tensor::poison_fresh_buffers;

/// Layers of every kind; the second picture size leaves a border.
fn net(rng: &mut Rng) -> Sequential {
    Sequential::new()
        .add(Conv2d::new(2, 6, 3, rng).same())
        .add(BatchNorm2d::new(6))
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Dropout::new(0.25))
        .add(Conv2d::new(6, 8, 3, rng))
        .add(Tanh)
        .add(AvgPool2d::new(2))
        .add(Flatten)
        .add(Linear::new(8 * 16, 40, rng))
        .add(LayerNorm::new([40]))
        .add(Sigmoid)
        .add(Linear::new(40, 5, rng))
}

/// The weights' bits after three steps.
fn train<R: UpdateRule<f32>>(mut opt: Optimizer<R, f32>) -> Vec<Vec<u32>> {
    let rng = &mut Rng::seed(4);
    let mut net = net(rng);
    let x = Tensor::normal([7, 2, 20, 21], 0.0, 1.0, rng);
    let labels = Tensor::randint([7], 0, 5, rng);
    for _ in 0..3 {
        let loss = net.forward(&x.clone().into(), &mut Mode::Train(rng)).cross_entropy(&labels);
        opt.step(&mut net, loss.backward()).unwrap();
    }
    net.state_dict().values().map(|t| t.to_vec().into_iter().map(f32::to_bits).collect()).collect()
}

struct Poisoned;

impl RuleVisitor for Poisoned {
    fn rule<R: BuiltIn>(&mut self) {
        for Sample { code, make } in R::samples::<f32>() {
            let before = train(make());
            poison_fresh_buffers(true);
            let after = train(make());
            poison_fresh_buffers(false);
            assert!(before == after, "{code}: something reads memory that it has not written");
        }
    }
}

#[test]
fn training_leaves_the_same_bits_with_buffers_full_of_nan() {
    for_every_rule(&mut Poisoned);
}
