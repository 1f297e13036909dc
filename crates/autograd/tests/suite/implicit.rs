//! Functions given by equations: linear systems and fixed points, against computations that know no implicit function
//! theorem.

use gradus_autograd::{
    FixedPointOptions, GradMode, Var, fixed_point, grad, hessian, hvp, jvp, no_grad, nth_derivative, value_and_grad,
};
use gradus_check::check;
use gradus_tensor::{Rng, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn random<const N: usize>(shape: [usize; N], seed: u64) -> Tensor<f64> {
    Tensor::normal(shape, 0.0, 1.0, &mut Rng::seed(seed))
}

#[track_caller]
fn assert_near(a: &Var<f64>, b: &Var<f64>, by: f64) {
    assert_eq!(a.shape(), b.shape());
    assert!((a.value() - b.value()).abs().le(by).all(), "{a:?} and {b:?}");
}

fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).map(drop).expect_err("a panic");
    payload.downcast_ref::<String>().expect("a formatted message").clone()
}

/// `A x = b` by elimination, number by number, every step recorded.
fn eliminate(a: &Var<f64>, b: &Var<f64>) -> Var<f64> {
    let n = a.shape()[0];
    let mut rows: Vec<Vec<Var<f64>>> =
        (0..n).map(|i| (0..n).map(|j| a.select(0, i).select(0, j)).chain([b.select(0, i)]).collect()).collect();
    for k in 0..n {
        let top = rows[k].clone();
        for row in rows.iter_mut().enumerate().filter(|(i, _)| *i != k).map(|(_, row)| row) {
            let factor = &row[k] / &top[k];
            row.iter_mut().zip(&top).for_each(|(v, t)| *v = &*v - &factor * t);
        }
    }
    Var::stack(&rows.iter().enumerate().map(|(i, row)| &row[n] / &row[i]).collect::<Vec<_>>().iter().collect::<Vec<_>>(), 0)
}

#[test]
fn a_linear_solve_has_the_derivatives_of_elimination() {
    let (a, b) = (Var::constant(random([4, 4], 1) + Tensor::eye(4) * 4.0), Var::constant(random([4], 2)));
    let scalar = |x: Var<f64>| x.square().sum(..) + x.prod(..);
    let solved = |[a, b]: &[Var<f64>; 2]| scalar(a.solve(b).unwrap());
    let eliminated = |[a, b]: &[Var<f64>; 2]| scalar(eliminate(a, b));
    let at = [a, b];
    let ((y, g), (z, h)) = (value_and_grad(solved, &at), value_and_grad(eliminated, &at));
    assert_near(&y, &z, 1e-15);
    g.iter().zip(&h).for_each(|(g, h)| assert_near(g, h, 1e-14));
    let (g, h) = (hessian(solved, &at), hessian(eliminated, &at));
    g.iter().flatten().zip(h.iter().flatten()).for_each(|(g, h)| assert_near(g, h, 1e-13));
}

#[test]
fn a_linear_solve_runs_forward_too_and_to_third_order() {
    let (a, b) = (Var::constant(random([3, 3], 3) + Tensor::eye(3) * 3.0), Var::constant(random([3, 2], 4)));
    let (da, db) = (Var::constant(random([3, 3], 5)), Var::constant(random([3, 2], 6)));
    let at = [a.clone(), b.clone()];
    let (x, dx) = jvp(|[a, b]: &[Var<f64>; 2]| a.solve(b).unwrap(), &at, &[da.clone(), db.clone()]);
    assert_near(&dx, &a.solve(&(db - da.matmul(&x))).unwrap(), 1e-15);
    // (t I)⁻¹ 1 = 1 / t, whose third derivative is -6 / t⁴.
    let eye = Var::constant(Tensor::<f64>::eye(1));
    let third = nth_derivative(
        |t| (t.unsqueeze(0) * &eye).solve(&Var::constant(Tensor::ones([1]))).unwrap(),
        &Var::from(Tensor::from([2.0])),
        3,
    );
    assert!((third.item() + 6.0 / 16.0).abs() < 1e-14);
}

#[test]
fn a_singular_matrix_is_an_error_to_handle_and_a_shape_a_mistake() {
    let a = Var::leaf(Tensor::from([[1.0, 2.0], [2.0, 4.0]]));
    let error = a.solve(&Var::leaf(Tensor::from([1.0, 2.0]))).unwrap_err();
    assert!(error.to_string().contains("singular"), "{error}");
    let message = panic_of(|| a.solve(&Var::leaf(Tensor::from([1.0]))));
    assert!(message.contains("solve at") && message.contains("implicit.rs"), "{message}");
}

fn precise() -> FixedPointOptions {
    FixedPointOptions { tolerance: Some(1e-15), ..Default::default() }
}

/// `z = tanh(w z + u) / 2`
fn layer(z: &Var<f64>, [w, u]: &[Var<f64>; 2]) -> Var<f64> {
    (w.matmul(z) + u).tanh() * 0.5
}

fn contraction() -> [Var<f64>; 2] {
    [Var::constant(random([3, 3], 7) * 0.4), Var::constant(random([3], 8))]
}

#[test]
fn a_fixed_point_has_the_derivatives_of_the_iteration_unrolled() {
    let implicit = |x: &[Var<f64>; 2]| fixed_point(layer, &Tensor::zeros([3]), x, precise()).unwrap().powf(3.0).sum(..);
    let unrolled = |x: &[Var<f64>; 2]| (0..120).fold(Var::constant(Tensor::zeros([3])), |z, _| layer(&z, x)).powf(3.0).sum(..);
    let x = contraction();
    let ((y, g), (z, h)) = (value_and_grad(implicit, &x), value_and_grad(unrolled, &x));
    assert_near(&y, &z, 1e-15);
    g.iter().zip(&h).for_each(|(g, h)| assert_near(g, h, 1e-14));
    let v = [Var::constant(random([3, 3], 9)), Var::constant(random([3], 10))];
    let (g, h) = (hvp(implicit, &x, &v), hvp(unrolled, &x, &v));
    g.iter().zip(&h).for_each(|(g, h)| assert_near(g, h, 1e-13));
}

#[test]
fn a_fixed_point_passes_the_gradient_checks() {
    let f = |v: &[Var<f64>]| fixed_point(layer, &Tensor::zeros([3]), &[v[0].clone(), v[1].clone()], precise()).unwrap();
    let inputs = contraction().map(Var::into_value);
    check(f, inputs).unwrap();
}

#[test]
fn a_square_root_by_heron_has_derivatives_of_any_order() {
    let root = |a: &Var<f64>| fixed_point(|z, a: &Var<f64>| (z + a / z) * 0.5, &Tensor::ones([2]), a, precise()).unwrap();
    let a = Var::constant(Tensor::from([0.25, 4.0]));
    for (order, factor) in [(0, 1.0), (1, 0.5), (2, -0.25), (3, 0.375)] {
        let wanted = Var::constant(a.value().powf(0.5 - order as f64) * factor);
        assert_near(&nth_derivative(root, &a, order), &wanted, 1e-12);
    }
}

#[test]
fn nothing_of_the_iteration_is_kept() {
    let [w, u] = contraction();
    let x = [Var::leaf(w.into_value()), Var::leaf(u.into_value())];
    let z = fixed_point(layer, &Tensor::zeros([3]), &x, precise()).unwrap();
    let names: Vec<_> = z.tape().iter().map(|e| e.name).collect();
    assert_eq!(names, ["leaf", "leaf", "fixed_point"]);
    assert!(z.tape()[2].at.file().ends_with("implicit.rs"));
    assert!(!no_grad(|| fixed_point(layer, &Tensor::zeros([3]), &x, precise()).unwrap()).requires_grad());
}

#[test]
fn an_iteration_that_does_not_converge_says_how_far_it_is() {
    let x = Var::leaf(Tensor::from([1.0]));
    let slow = FixedPointOptions { max_iterations: 5, ..precise() };
    let error = fixed_point(|z, x: &Var<f64>| (z + x) * 0.5, &Tensor::zeros([1]), &x, slow).unwrap_err();
    assert_eq!((error.iterations(), error.residual()), (5, 0.03125));
    let message = error.to_string();
    assert!(message.contains("after 5 iterations") && message.contains("3.12e-2"), "{message}");
    let error = fixed_point(|z, x: &Var<f64>| z * 3.0 + x, &Tensor::zeros([1]), &x, precise()).unwrap_err();
    assert!(error.to_string().contains("not finite"), "{error}");
    assert!(error.iterations() > 600 && error.iterations() < 700, "3⁶⁴⁶ overflows: {error:?}");
}

#[test]
fn a_gradient_that_does_not_converge_is_an_error_too() {
    // Started at its repelling fixed point 0, the map stays there; its adjoint doubles with every step.
    let x = Var::leaf(Tensor::from([2.0]));
    let z = fixed_point(|z, x: &Var<f64>| z * x, &Tensor::zeros([1]), &x, precise()).unwrap();
    for mode in [GradMode::Plain, GradMode::Differentiable] {
        let error = grad(&z, &[&x], mode).unwrap_err().to_string();
        assert!(error.contains("the gradient of `fixed_point`: no fixed point"), "{error}");
    }
    assert!(panic_of(|| z.backward()).contains("backward: the gradient of `fixed_point`"));
}

#[test]
fn what_a_map_may_not_do() {
    let (x, hidden) = (Var::leaf(Tensor::from([0.5])), Var::leaf(Tensor::from([0.1])));
    let start = Tensor::zeros([1]);
    let w = hidden.exp();
    let message = panic_of(|| fixed_point(move |z, x: &Var<f64>| z * x * &w, &start, &x, precise()));
    assert!(
        message.contains("fixed_point") && message.contains("not among its inputs") && message.contains("`exp`"),
        "{message}"
    );
    let message = panic_of(|| fixed_point(|z, x: &Var<f64>| z.unsqueeze(0) * x, &start, &x, precise()));
    assert!(message.contains("implicit.rs") && message.contains("[1] into [1, 1]"), "{message}");
}

#[test]
fn single_precision_converges_with_the_default_tolerance() {
    let x = [Var::leaf(random([64, 64], 11).cast::<f32>() * 0.06), Var::leaf(random([64], 12).cast::<f32>())];
    let map = |z: &Var<f32>, [w, u]: &[Var<f32>; 2]| (w.matmul(z) + u).tanh();
    let z = fixed_point(map, &Tensor::zeros([64]), &x, FixedPointOptions::default()).unwrap();
    let grads = z.square().sum(..).backward();
    assert!(grads[&x[0]].abs().sum(..).item() > 0.1);
}
