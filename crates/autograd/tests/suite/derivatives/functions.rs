//! What each function promises: shapes, arrangements, zeros, errors, and that they nest.

use super::{assert_near, constant, random};
use gradus_autograd::{
    ForwardContext, Gradients, JvpContext, Module, Op, Param, Saves, Var, VjpContext, apply, directional_derivative,
    functional_call, gauss_newton_product, hessian, hvp, jacfwd, jacobian, jacrev, jvp, no_grad, nth_derivative, op,
    per_example_grads, value_and_grad, vjp,
};
use gradus_check::check;
use gradus_tensor::{Float, Tensor};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).map(drop).expect_err("no panic");
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| payload.downcast_ref::<&str>().unwrap().to_string())
}

/// A function of a matrix and a vector, with nothing symmetric about it.
fn mixed([a, b]: &[Var<f64>; 2]) -> Var<f64> {
    (a.matmul(b).tanh() * b.sum(..)).exp() + a.sum(1)
}

fn mixed_point() -> [Var<f64>; 2] {
    [random([2, 3], 1), random([3], 2)]
}

#[test]
fn jacobians_by_rows_and_by_columns_agree_with_finite_differences() {
    let x = mixed_point();
    let [ja, jb] = jacobian(mixed, &x);
    assert_eq!((&ja.shape()[..], &jb.shape()[..]), (&[2, 2, 3][..], &[2, 3][..]));
    for other in [jacfwd(mixed, &x), jacrev(mixed, &x)] {
        assert_near("a", &other[0], &ja, 1e-14);
        assert_near("b", &other[1], &jb, 1e-14);
    }
    let h = 1e-6;
    for k in 0..3 {
        let moved = |by: f64| {
            let step = constant(std::array::from_fn::<f64, 3, _>(|i| if i == k { by } else { 0.0 }));
            mixed(&[x[0].clone(), &x[1] + step])
        };
        let numeric = (moved(h) - moved(-h)) / (2.0 * h);
        assert_near("column of b", &jb.slice(1, k..=k).squeeze(1), &numeric, 1e-8);
    }
}

#[test]
fn results_of_several_variables_have_a_jacobian_each() {
    let x = vec![random([2], 1), random([3], 2)];
    let f = |x: &Vec<Var<f64>>| [x[0].outer(&x[1]), x[0].square()];
    let forward = jacfwd(f, &x);
    let reverse = jacrev(f, &x);
    for (f, r) in forward.iter().flatten().zip(reverse.iter().flatten()) {
        assert_near("block", f, r, 1e-15);
    }
    assert_eq!(*forward[0][1].shape(), [2, 3, 3]);
    assert_eq!(forward[1][1].value().to_vec(), [0.0; 6], "x0² does not depend on x1");
    // One pullback through both results at once.
    let (_, pullback) = vjp(f, &x);
    let v = [random([2, 3], 3), random([2], 4)];
    let expected = v[0].matmul(&x[1]) + 2.0 * &x[0] * &v[1];
    assert_near("vjp", &pullback(&v)[0], &expected, 1e-15);
}

#[test]
fn what_does_not_depend_has_the_derivative_zero() {
    let x = [random([2, 2], 1), random([3], 2)];
    let only_a = |[a, _]: &[Var<f64>; 2]| a.sum(..) * 3.0;
    let (y, [da, db]) = value_and_grad(only_a, &x);
    assert_eq!((da.value().to_vec(), db.value().to_vec()), (vec![3.0; 4], vec![0.0; 3]));
    assert!(y.item() != 0.0);
    for block in hessian(only_a, &x).iter().flatten() {
        assert!(block.value().to_vec().iter().all(|&h| h == 0.0));
    }
    assert_eq!(*hessian(only_a, &x)[1][0].shape(), [3, 2, 2]);
    let nothing = |_: &[Var<f64>; 2]| constant([1.0, 2.0]);
    let v = mixed_point().map(|v| v.sum(..));
    assert_eq!(jvp(nothing, &x, &x).1.value().to_vec(), [0.0; 2]);
    assert_eq!(vjp(nothing, &x).1(&constant([1.0, 1.0]))[1].value().to_vec(), [0.0; 3]);
    assert_eq!(*jacfwd(nothing, &x)[0].shape(), [2, 2, 2]);
    assert_eq!(*jacrev(nothing, &v)[0].shape(), [2]);
    assert_eq!(hvp(only_a, &x, &x)[0].value().to_vec(), [0.0; 4]);
    assert_eq!(nth_derivative(|x: &Var<f64>| x.square(), &x[1], 3).value().to_vec(), [0.0; 3]);
}

#[test]
fn empty_variables_have_empty_jacobians() {
    let x = Var::constant(Tensor::<f64>::zeros([0]));
    assert_eq!(*jacfwd(|x: &Var<f64>| x.sum(..), &x).shape(), [0]);
    assert_eq!(*jacrev(|x: &Var<f64>| x.exp(), &x).shape(), [0, 0]);
    assert_eq!(*hessian(|x: &Var<f64>| x.square().sum(..), &x).shape(), [0, 0]);
}

#[test]
fn derivatives_within_derivatives_are_not_confused() {
    // d/dx (x · d/dy (x + y)) = 1, and not 2.
    let one = constant([1.0]);
    let forward = |x: &Var<f64>| x * jvp(|y| x + y, x, &one).1;
    let reverse = |x: &Var<f64>| x * value_and_grad(|y| (x + y).sum(..), x).1;
    for at in [constant([3.0]), Var::leaf(Tensor::from([3.0]))] {
        assert_eq!(jvp(forward, &at, &one).1.item(), 1.0);
        assert_eq!(jvp(reverse, &at, &one).1.item(), 1.0);
        assert_eq!(value_and_grad(forward, &at).1.item(), 1.0);
        assert_eq!(value_and_grad(reverse, &at).1.item(), 1.0);
    }
    // The same variable inside and outside: d/dx (x · d/dy (x · y²) at y = x) = d/dx (2 x³) = 6 x².
    let inside = |x: &Var<f64>| x * jvp(|y| x * y.square(), x, &one).1;
    assert_eq!(jvp(inside, &constant([3.0]), &one).1.item(), 54.0);
    assert_eq!(value_and_grad(inside, &constant([3.0])).1.item(), 54.0);
}

#[test]
fn a_hessian_can_stand_in_a_loss() {
    // trace(H) of a small network in its input, differentiated by the weights, which the closure captures.
    let x = random([3], 4);
    let laplacian = |w: &Var<f64>| {
        let h = hessian(|x| w.matmul(x).tanh().square().sum(..), &x);
        h.diagonal(0).sum(..)
    };
    check(|v| laplacian(&v[0]), [random([4, 3], 5).into_value()]).unwrap();
    let w = Var::leaf(random([4, 3], 5).into_value());
    assert!(laplacian(&w).requires_grad());
    assert!(!no_grad(|| laplacian(&w)).requires_grad(), "within no_grad the result is a constant");
    assert_near("within no_grad", &no_grad(|| laplacian(&w)), &laplacian(&w), 1e-14);
}

#[test]
fn every_function_is_differentiable_in_what_it_captures_and_in_its_vectors() {
    let (x, v) = (random([3], 6), random([3], 7));
    let f = |w: &Var<f64>, x: &Var<f64>| (x * w).sin() * x.sum(..);
    let scalar = |w: &Var<f64>, x: &Var<f64>| f(w, x).square().sum(..);
    type OfThree<'a> = &'a dyn Fn(&Var<f64>, &Var<f64>, &Var<f64>) -> Var<f64>;
    let checked = |g: OfThree| {
        let inputs = [random([3], 8).into_value(), x.value().clone(), v.value().clone()];
        check(|i| g(&i[0], &i[1], &i[2]), inputs).unwrap();
    };
    checked(&|w, x, v| jvp(|x| f(w, x), x, v).1);
    checked(&|w, x, v| vjp(|x| f(w, x), x).1(v));
    checked(&|w, x, v| v * value_and_grad(|x| scalar(w, x), x).1);
    checked(&|w, x, v| jacobian(|x| f(w, x), x).matmul(v));
    checked(&|w, x, v| jacfwd(|x| f(w, x), x).matmul(v));
    checked(&|w, x, v| hvp(|x| scalar(w, x), x, v));
    checked(&|w, x, v| gauss_newton_product(|x| f(w, x), |y| (y.exp() * v).sum(..), x, v));
    checked(&|w, x, v| directional_derivative(|x| f(w, x), x, v, 2));
    checked(&|w, x, v| per_example_grads(|x, i| f(w, x).select(0, i), x, 2).matmul(v));
}

#[test]
fn the_hessian_product_is_the_hessian_times_the_vector() {
    let (x, v) = (mixed_point(), [random([2, 3], 10), random([3], 11)]);
    let f = |x: &[Var<f64>; 2]| mixed(x).square().sum(..);
    let [[aa, ab], [ba, bb]] = hessian(f, &x);
    assert_near("symmetry", &ab.reshape([6, 3]), &ba.reshape([3, 6]).t(), 1e-13);
    let va = v[0].reshape([6]);
    let [ha, hb] = hvp(f, &x, &v);
    assert_near("a", &ha.reshape([6]), &(aa.reshape([6, 6]).matmul(&va) + ab.reshape([6, 3]).matmul(&v[1])), 1e-12);
    assert_near("b", &hb, &(ba.reshape([3, 6]).matmul(&va) + bb.matmul(&v[1])), 1e-12);
}

#[test]
fn the_gauss_newton_product_is_made_of_its_three_factors() {
    let (x, v) = (random([4], 12), random([4], 13));
    let w = random([3, 4], 14);
    let model = |x: &Var<f64>| w.matmul(x).tanh();
    let loss = |y: &Var<f64>| y.logsumexp(..);
    let j = jacobian(model, &x);
    let h = hessian(loss, &model(&x));
    assert_near("Jᵀ H J v", &gauss_newton_product(model, loss, &x, &v), &j.t().matmul(&h.matmul(&j.matmul(&v))), 1e-14);
    // Without curvature in the model it is the Hessian of the whole.
    let linear = |x: &Var<f64>| w.matmul(x);
    let whole = hvp(|x| loss(&linear(x)), &x, &v);
    assert_near("linear model", &gauss_newton_product(linear, loss, &x, &v), &whole, 1e-14);
}

#[test]
fn per_example_gradients_are_those_of_each_example_alone() {
    let (images, w) = (random([4, 3, 5], 15), [random([5, 2], 16), random([3], 17)]);
    // Mixes axes within an example: a softmax over one and a product over the other.
    let loss = |[w, b]: &[Var<f64>; 2], i: usize| {
        let h = images.select(0, i).matmul(w).softmax(0).t();
        (h * b).sum(..).exp()
    };
    let [gw, gb] = per_example_grads(loss, &w, 4);
    assert_eq!((&gw.shape()[..], &gb.shape()[..]), (&[4, 5, 2][..], &[4, 3][..]));
    let all = |w: &[Var<f64>; 2]| Var::stack(&(0..4).map(|i| loss(w, i)).collect::<Vec<_>>().iter().collect::<Vec<_>>(), 0);
    let [jw, jb] = jacobian(all, &w);
    assert_near("w", &gw, &jw, 1e-14);
    assert_near("b", &gb, &jb, 1e-14);
    let [_, total] = value_and_grad(|w| all(w).sum(..), &w).1;
    assert_near("sum", &gb.sum(0), &total, 1e-14);
    assert_eq!(*per_example_grads(loss, &w, 0)[0].shape(), [0, 5, 2]);
}

/// The cube, with a forward rule. The reverse rule is on purpose of first order only: forward mode must not need it.
struct Cube;

impl<T: Float> Op<T> for Cube {
    fn name(&self) -> &'static str {
        "cube"
    }
    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }
    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).powf(3.0)
    }
    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        Var::constant(cx.gy().value() * &(cx.input(0).value().square() * 3.0)).into()
    }
    fn jvp(&self, cx: &JvpContext<'_, T>) -> Option<Var<T>> {
        Some(cx.input(0).square() * 3.0 * cx.tangent(0)?)
    }
}

/// The operand itself, with what it says of its derivatives.
struct Same {
    tangent: fn(&JvpContext<'_, f64>) -> Option<Var<f64>>,
    symmetric: bool,
}

impl Op<f64> for Same {
    fn name(&self) -> &'static str {
        "same"
    }
    fn forward(&self, cx: &mut ForwardContext<'_, f64>) -> Tensor<f64> {
        cx.input(0).reshape([-1])
    }
    fn vjp(&self, cx: &mut VjpContext<'_, f64>) -> Gradients<f64> {
        cx.gy().reshape(cx.shape(0)).into()
    }
    fn jvp(&self, cx: &JvpContext<'_, f64>) -> Option<Var<f64>> {
        (self.tangent)(cx)
    }
    fn has_symmetric_jacobian(&self) -> bool {
        self.symmetric
    }
}

#[test]
fn a_forward_rule_is_used_and_differentiable() {
    fn cube<T: Float>(x: &Var<T>) -> Var<T> {
        apply(Cube, &[x])
    }
    let x = constant([2.0, -1.0]);
    assert_eq!(nth_derivative(cube, &x, 1).value().to_vec(), [12.0, 3.0]);
    assert_eq!(nth_derivative(cube, &x, 2).value().to_vec(), [12.0, -6.0]);
    assert_eq!(nth_derivative(cube, &x, 3).value().to_vec(), [6.0, 6.0]);
    let wrong = |x: &Var<f64>| apply(Same { tangent: |cx| Some(cx.tangent(0)?.sum(..)), symmetric: false }, &[x]);
    assert!(panic_of(|| jvp(wrong, &x, &x)).contains("forward rule of `same`"));
}

#[test]
fn a_model_is_a_function_of_its_parameters() {
    let mut model = vec![(Param::new(random([3, 2], 21).into_value()), Param::new(random([2], 22).into_value()))];
    model[0].1.set_trainable(false);
    let before = model.state_dict();
    let x = random([4, 3], 23);
    let mut loss = |w: &Var<f64>, b: &Var<f64>| {
        let vars = BTreeMap::from([("0.0".to_string(), w.clone()), ("0.1".to_string(), b.clone())]);
        functional_call(&mut model, &vars, |model| (x.matmul(&model[0].0) + &*model[0].1).tanh().square().sum(..))
    };
    let (w, b) = (random([3, 2], 24), random([2], 25));
    let expected = |w: &Var<f64>, b: &Var<f64>| (x.matmul(w) + b).tanh().square().sum(..);
    let product = hvp(|[w, b]| loss(w, b), &[w.clone(), b.clone()], &[w.clone(), b.clone()]);
    let [hw, hb] = hvp(|[w, b]: &[Var<f64>; 2]| expected(w, b), &[w.clone(), b.clone()], &[w.clone(), b.clone()]);
    assert_near("w", &product[0], &hw, 1e-13);
    assert_near("b", &product[1], &hb, 1e-13);
    // Whatever happened inside, the model has its own parameters again.
    assert!(panic_of(|| loss(&random([5, 2], 1), &b)).contains("matmul"));
    assert_eq!(model.state_dict(), before);
    assert!(model[0].0.requires_grad() && !model[0].1.requires_grad());
    let unknown = BTreeMap::from([("0.2".to_string(), b)]);
    let message = panic_of(|| functional_call(&mut model, &unknown, |_| ()));
    assert!(message.contains("no parameter `0.2`; it has 0.0, 0.1"), "{message}");
}

#[test]
fn a_rule_that_cannot_be_differentiated_says_so() {
    let frozen = |x: &Var<f64>| op("frozen", [x], x.value().clone(), |p| [Some(p.gy().detach())]);
    let x = constant([2.0]);
    let message = panic_of(|| jvp(frozen, &x, &x));
    assert!(message.contains("`frozen`") && message.contains("functions.rs") && message.contains("Op::jvp"), "{message}");
}

#[test]
fn an_op_says_that_it_is_symmetric_only_if_it_may_be() {
    let same = |x: &Var<f64>| apply(Same { tangent: |_| None, symmetric: true }, &[x]);
    let (x, u) = (random([3], 18), constant([1.0, 2.0, 3.0]));
    assert_eq!(jvp(same, &x, &u).1.value().to_vec(), [1.0, 2.0, 3.0]);
    let x = random([2, 2], 19);
    let message = panic_of(|| jvp(same, &x, &x));
    assert!(message.contains("`same`") && message.contains("Jacobian is symmetric") && message.contains("[4]"), "{message}");
}

#[test]
fn misuse_is_explained() {
    let x = constant([1.0, 2.0]);
    let two = |x: &Var<f64>| x.exp();
    assert!(panic_of(|| value_and_grad(two, &x)).contains("value_and_grad: the function gave shape [2]"));
    assert!(panic_of(|| hessian(two, &x)).contains("a scalar is wanted"));
    assert!(panic_of(|| jvp(two, &x, &constant([1.0]))).contains("vector 0 has shape [1]; wanted [2]"));
    assert!(panic_of(|| vjp(two, &x).1(&constant([1.0]))).contains("wanted [2]"));
    assert!(panic_of(|| hvp(two, &x, &constant([1.0]))).contains("hvp"));
    let xs = vec![x.clone()];
    assert!(panic_of(|| jvp(|x| x[0].exp(), &xs, &vec![])).contains("0 vectors for 1 variables"));
    assert!(panic_of(|| gauss_newton_product(two, two, &x, &x)).contains("a scalar is wanted"));
}

#[test]
fn the_users_variable_and_its_tape_are_left_alone() {
    let x = Var::leaf(random([3], 20).into_value());
    let h = x.square();
    // `h` is an intermediate of the outer tape; derivatives at it go on to `x`.
    let inner = value_and_grad(|h| h.exp().sum(..), &h).1;
    let gx = inner.sum(..).backward()[&x].clone();
    let expected = x.value().square().exp() * x.value() * 2.0;
    assert_near("through h", &Var::constant(gx), &Var::constant(expected), 1e-14);
    assert!(h.requires_grad());
}

#[test]
fn a_long_chain_is_pushed_without_recursion() {
    let f = |x: &Var<f64>| (0..20_000).fold(x.clone(), |y, _| y * 1.0 + 0.0);
    let run = move || {
        let x = constant([1.5]);
        assert_eq!(jvp(f, &x, &constant([2.0])).1.item(), 2.0);
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn parts_that_do_not_move_are_joined_as_zeros() {
    let fixed = random([3, 2], 1);
    let f = |x: &Var<f64>| Var::concat(&[&x.sin(), &fixed, &(x * 2.0)], 0);
    let (x, u) = (random([2, 2], 2), random([2, 2], 3));
    let zeros = Var::constant(Tensor::zeros([3, 2]));
    assert_near("tangent", &jvp(f, &x, &u).1, &Var::concat(&[&(x.cos() * &u), &zeros, &(&u * 2.0)], 0), 1e-15);
}
