//! The tape's promises: order, ownership, hooks, errors.

use gradus_autograd::{
    ForwardContext, GradMode, Gradients, Op, Var, VjpContext, apply, enable_grad, grad, grad_with, is_grad_enabled, no_grad, op,
};
use gradus_check::check;
use gradus_tensor::{Rng, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

fn leaf<const N: usize>(values: [f64; N]) -> Var<f64> {
    Var::leaf(Tensor::from(values))
}

/// The message of the panic that `f` ends in.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).err().expect("a panic");
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| payload.downcast_ref::<&str>().unwrap().to_string())
}

/// Runs `f` on a stack on which no recursion gets far.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(128 << 10).spawn(f).unwrap().join().unwrap();
}

const LONG: usize = 300_000;

fn chain() -> Var<f32> {
    let mut y = Var::leaf(Tensor::<f32>::from([1.0]));
    for _ in 0..LONG {
        y = y * 1.0 + 0.0;
    }
    y
}

#[test]
fn a_long_chain_is_dropped_without_recursion() {
    on_a_small_stack(|| drop(chain()));
}

#[test]
fn a_long_chain_is_dropped_by_a_thread_that_ends() {
    use std::cell::RefCell;
    thread_local!(static HELD: RefCell<Option<Var<f32>>> = const { RefCell::new(None) });
    on_a_small_stack(|| {
        // Its list of what waits is older than the chain that needs it, and would be gone first.
        HELD.set(None);
        drop(chain());
        HELD.set(Some(chain()));
    });
}

#[test]
fn a_long_chain_is_walked_and_freed_without_recursion() {
    on_a_small_stack(|| {
        let y = chain();
        assert_eq!(y.sum(..).backward().len(), 1);
    });
}

#[test]
fn a_long_chain_that_only_rules_hold_is_dropped_without_recursion() {
    on_a_small_stack(|| {
        let mut y = Var::leaf(Tensor::<f32>::from([1.0]));
        let x = Var::leaf(Tensor::<f32>::from([1.0]));
        for _ in 0..LONG {
            // On the tape the result hangs on `x` alone; the rule captures the chain.
            let held = y.clone();
            y = op("holds", [&x], x.value().clone(), move |p| [Some(p.gy() + &held)]);
        }
        drop(y);
    });
}

#[test]
fn hooks_see_the_complete_gradient_and_replace_it() {
    let x = leaf([2.0]);
    let h = &x * 3.0;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    h.register_hook(move |g| {
        log.lock().unwrap().push(g.item());
        Some(g * 10.0)
    });
    // Fan-out: h is used twice, and its gradient is 1 + 4 when it is complete.
    let y = &h + &h * 4.0;
    assert_eq!(y.sum(..).backward()[&x].item(), 150.0);
    assert_eq!(*seen.lock().unwrap(), [5.0]);
}

#[test]
fn intermediate_gradients_are_reported_when_asked_for() {
    let x = leaf([1.0, 2.0]);
    let h = x.square();
    let other = x.exp();
    h.retain_grad();
    let grads = (&h * 5.0 + &other).sum(..).backward();
    assert_eq!(grads[&h].to_vec(), [5.0, 5.0]);
    assert!(grads.get(&other).is_none());
    assert!(panic_of(|| grads[&other].clone()).contains("retain_grad"));
}

#[test]
fn what_the_result_does_not_depend_on_is_an_error_and_not_a_zero() {
    let (x, unused) = (leaf([1.0]), leaf([1.0]));
    let y = x.square().sum(..);
    let error = grad(&y, &[&x, &unused], GradMode::Plain).unwrap_err().to_string();
    assert!(error.contains("xs[1]") && error.contains("does not depend"), "{error}");
    let constant = x.detach();
    assert!(grad(&y, &[&constant], GradMode::Plain).unwrap_err().to_string().contains("constant"));
    assert!(grad(&x.square(), &[&x], GradMode::Plain).is_ok(), "one element counts as a scalar");
    let two = leaf([1.0, 2.0]);
    assert!(grad(&two, &[&two], GradMode::Plain).unwrap_err().to_string().contains("[2]"));
    assert!(panic_of(|| y.backward()[&unused].clone()).contains("does not depend"));
}

#[test]
fn recording_can_be_switched_off_and_on_and_comes_back_after_a_panic() {
    let x = leaf([1.0]);
    no_grad(|| {
        assert!(!x.exp().requires_grad());
        enable_grad(|| assert!(x.exp().requires_grad()));
        assert!(!is_grad_enabled());
    });
    let _ = catch_unwind(|| no_grad(|| panic!("on purpose")));
    assert!(is_grad_enabled() && x.exp().requires_grad());
    assert!(!x.detach().exp().requires_grad());
}

#[test]
fn misuse_of_backward_is_explained() {
    let x = leaf([1.0, 2.0]);
    assert!(panic_of(|| x.square().backward()).contains("a scalar is wanted"));
    assert!(panic_of(|| x.square().detach().sum(..).backward()).contains("constant"));
    assert!(panic_of(|| x.square().backward_with(Tensor::from([1.0]))).contains("[1]"));
}

#[test]
fn a_rule_with_a_wrong_shape_is_named_with_the_line_that_called_it() {
    let x = leaf([1.0, 2.0]);
    let y = op("crooked", [&x], x.value().clone(), |p| [Some(p.gy().sum(..))]);
    let message = panic_of(|| y.sum(..).backward());
    assert!(message.contains("`crooked`") && message.contains("tape.rs"), "{message}");
    let y = op("lazy", [&x], x.value().clone(), |_| [None]);
    assert!(panic_of(|| y.sum(..).backward()).contains("`lazy`"));
}

#[test]
fn the_tape_names_the_users_lines() {
    let x = leaf([1.0, 2.0]);
    let m = Var::leaf(Tensor::<f64>::ones([2, 2]));
    let index = Tensor::from([0i64]);
    let results = [
        &x + &x,
        &x * 2.0,
        1.0 - &x,
        -&x,
        x.exp(),
        x.sum(..),
        x.max(0),
        x.reshape([2, 1]),
        x.slice(0, ..1),
        x.index_select(0, &index),
        m.matmul(&x),
        x.softmax(0),
        Var::concat(&[&x, &x], 0),
        x.pow(&x),
        x.mean(0),
        m.transpose(0, 1),
    ];
    for y in results {
        for entry in y.tape() {
            assert!(entry.at.file().ends_with("tape.rs"), "`{}` says {}", entry.name, entry.at);
        }
    }
}

#[test]
fn many_inputs_with_one_op() {
    /// The sum of its operands, of so many of which the rule says nothing.
    struct Total(usize);
    impl Op<f64> for Total {
        fn name(&self) -> &'static str {
            "total"
        }
        fn forward(&self, cx: &mut ForwardContext<'_, f64>) -> Tensor<f64> {
            cx.inputs().into_iter().fold(Tensor::scalar(0.0), |sum, x| sum + x)
        }
        fn vjp(&self, cx: &mut VjpContext<'_, f64>) -> Gradients<f64> {
            (0..cx.len() - self.0).map(|_| Some(cx.gy().clone())).collect()
        }
    }
    let xs: Vec<Var<f64>> = (1..=5).map(|i| leaf([i as f64])).collect();
    let refs: Vec<&Var<f64>> = xs.iter().collect();
    let y = apply(Total(0), &refs);
    assert_eq!(y.item(), 15.0);
    let grads = y.backward();
    assert!(xs.iter().all(|x| grads[x].item() == 1.0));
    let message = panic_of(|| apply(Total(1), &refs).backward());
    assert!(message.contains("`total`") && message.contains("gave 4 gradients for 5 inputs"), "{message}");
}

#[test]
fn derivatives_of_every_order_are_exact() {
    let x = leaf([1.5]);
    let mut y = x.powf(5.0);
    let exact = [5.0 * 1.5f64.powi(4), 20.0 * 1.5f64.powi(3), 60.0 * 1.5f64.powi(2), 120.0 * 1.5, 120.0];
    for (order, exact) in exact.into_iter().enumerate() {
        y = grad(&y.sum(..), &[&x], GradMode::Differentiable).unwrap().remove(0);
        assert!((y.item() - exact).abs() <= 1e-10 * exact, "order {}: {} and {exact}", order + 1, y.item());
    }
    let mut y = x.sin();
    for exact in [1.5f64.cos(), -1.5f64.sin(), -1.5f64.cos(), 1.5f64.sin()] {
        y = grad(&y.sum(..), &[&x], GradMode::Differentiable).unwrap().remove(0);
        assert!((y.item() - exact).abs() < 1e-12);
    }
}

#[test]
fn mixed_partials_are_symmetric() {
    let (a, b) = (leaf([0.7, -0.3]), leaf([1.1, 0.4]));
    let y = ((&a * &b).sin() * a.exp() / (b.square() + 1.0)).sum(..);
    let ga = grad(&y, &[&a], GradMode::Differentiable).unwrap().remove(0);
    let gb = grad(&y, &[&b], GradMode::Differentiable).unwrap().remove(0);
    let ab = grad(&ga.sum(..), &[&b], GradMode::Plain).unwrap().remove(0);
    let ba = grad(&gb.sum(..), &[&a], GradMode::Plain).unwrap().remove(0);
    assert!((ab.value() - ba.value()).abs().max(..).item() < 1e-12);
}

#[test]
fn a_gradient_penalty_can_be_trained_on() {
    // The norm of a gradient is itself a loss: its derivative is checked numerically.
    let x = Tensor::<f64>::normal([4, 3], 0.0, 1.0, &mut Rng::seed(5));
    let w = Tensor::<f64>::normal([3, 2], 0.0, 1.0, &mut Rng::seed(6));
    let penalty = |v: &[Var<f64>]| {
        let x = Var::leaf(v[0].value().clone());
        let y = x.matmul(&v[1]).tanh().square().sum(..);
        let g = grad(&y, &[&x], GradMode::Differentiable).unwrap().remove(0);
        (g.square().sum(..) + 1e-3).sqrt()
    };
    check(|v| penalty(&[Var::constant(x.clone()), v[0].clone()]), [w]).unwrap();
}

#[test]
fn the_vector_jacobian_product_is_differentiable_in_its_vector() {
    let (x, v) = (leaf([0.5, 2.0]), leaf([3.0, -1.0]));
    let g = grad_with(&x.square(), &v, &[&x], GradMode::Differentiable).unwrap().remove(0);
    let by_v = grad(&g.sum(..), &[&v], GradMode::Plain).unwrap().remove(0);
    assert_eq!(by_v.value().to_vec(), [1.0, 4.0]);
}

#[test]
fn backward_in_f32_is_close_to_f64() {
    let x = Tensor::<f64>::normal([6, 5], 0.0, 1.0, &mut Rng::seed(8));
    let loss64 = |x: &Var<f64>| (x.log_softmax(1) * x.tanh()).sum(..);
    let loss32 = |x: &Var<f32>| (x.log_softmax(1) * x.tanh()).sum(..);
    let (a, b) = (Var::leaf(x.clone()), Var::leaf(x.cast::<f32>()));
    let (ga, gb) = (loss64(&a).backward()[&a].clone(), loss32(&b).backward()[&b].cast::<f64>());
    assert!((&ga - &gb).abs().max(..).item() < 1e-5);
}
