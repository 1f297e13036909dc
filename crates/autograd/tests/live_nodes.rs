//! A test binary of its own: other tests' tapes would be counted too.

use gradus_autograd::{FixedPointOptions, GradMode, Var, checkpoint, fixed_point, grad, live_nodes, no_grad};
use gradus_tensor::{Rng, Tensor};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

#[test]
fn no_node_outlives_its_step() {
    let rng = &mut Rng::seed(0);
    let x = Tensor::<f32>::normal([8, 4], 0.0, 1.0, rng);
    let mut w = Tensor::<f32>::normal([4, 3], 0.0, 1.0, rng);
    for _ in 0..100 {
        let leaf = Var::leaf(w.clone());
        let y = Var::constant(x.clone()).matmul(&leaf).tanh();
        let loss = (&y * &y).mean(..);
        assert!(live_nodes() > 0);
        // `y` is still held: its part of the tape goes when it does.
        let grads = loss.backward();
        assert!(live_nodes() > 0);
        w = w - 0.1 * &grads[&leaf];
    }
    assert_eq!(live_nodes(), 0);

    let leaf = Var::leaf(w);
    no_grad(|| leaf.exp().sum(..));
    assert_eq!(live_nodes(), 0);
    drop(leaf.exp().ln());
    assert_eq!(live_nodes(), 0);

    checkpoints_keep_one_node_a_segment();
    fixed_points_hold_no_tape();
    a_gradient_in_a_loss_frees_its_tape();
}

fn fixed_points_hold_no_tape() {
    // The rule of a fixed point runs its map again, on its own result.
    let a = Var::leaf([2.0, 3.0].into());
    let root = fixed_point(|z, a: &Var<f32>| (z + a / z) * 0.5, &Tensor::ones([2]), &a, FixedPointOptions::default()).unwrap();
    let slope = grad(&root.sum(..), &[&a], GradMode::Differentiable).unwrap().remove(0);
    assert!(slope.sum(..).backward()[&a].lt(0.0).all());
    drop((root, slope));
    assert_eq!(live_nodes(), 0);
}

fn checkpoints_keep_one_node_a_segment() {
    let most = Arc::new(AtomicI64::new(0));
    let seen = most.clone();
    let segment = move |x: &Var<f64>| {
        let y = (0..100).fold(x.clone(), |y, _| y.sin());
        seen.fetch_max(live_nodes(), Ordering::Relaxed);
        y
    };
    let x = Var::leaf(Tensor::<f64>::ones([4]));
    let y = (0..10).fold(x.clone(), |y, _| checkpoint(segment.clone(), &y));
    assert_eq!(live_nodes(), 10);
    assert_eq!(most.swap(0, Ordering::Relaxed), 109);
    let loss = y.sum(..);
    drop(y);
    loss.backward();
    // The last segment is met first, while the nodes of all others are there.
    assert_eq!(most.load(Ordering::Relaxed), 9 + 1 + 100);
    assert_eq!(live_nodes(), 0);
}

fn a_gradient_in_a_loss_frees_its_tape() {
    let x = Var::leaf(Tensor::<f64>::ones([4]));
    for _ in 0..10 {
        let slope = grad(&x.tanh().sum(..), &[&x], GradMode::Differentiable).unwrap().remove(0);
        (slope - 1.0).square().sum(..).backward();
    }
    assert_eq!(live_nodes(), 0);
}
