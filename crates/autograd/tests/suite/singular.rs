//! Second derivatives where a norm is 0, and other points at which a rule takes a slope as 0 by convention.

use gradus_autograd::{GradMode, Var, directional_derivative, grad, hessian, hvp};
use gradus_tensor::Tensor;

fn zeros(shape: &[usize]) -> Var<f64> {
    Var::leaf(Tensor::zeros(shape.to_vec()))
}

/// The Hessian at 0 as a matrix.
fn hessian_at_zero(shape: &[usize], f: impl Fn(&Var<f64>) -> Var<f64>) -> Tensor<f64> {
    let x = zeros(shape);
    let n = x.shape().numel();
    hessian(f, &x).value().reshape([n, n])
}

fn identity(n: usize, times: f64) -> Tensor<f64> {
    Tensor::<f64>::eye(n) * times
}

#[test]
fn smooth_functions_of_a_norm_at_zero() {
    type Call = fn(&Var<f64>) -> Var<f64>;
    let calls: [(&str, f64, Call); 12] = [
        ("|x|²", 2.0, |x| x.norm(..).square()),
        ("|x| · |x|, of one norm", 2.0, |x| {
            let y = x.norm(..);
            &y * &y
        }),
        ("|x|² by powf", 2.0, |x| x.norm(..).powf(2.0)),
        ("|x|³", 0.0, |x| x.norm(..).powf(3.0)),
        ("|x|⁴", 0.0, |x| x.norm(..).square().square()),
        ("e^-|x|²", -2.0, |x| (-x.norm(..).square()).exp()),
        ("√(1 + |x|²)", 1.0, |x| (x.norm(..).square() + 1.0).sqrt()),
        ("cosh |x|", 1.0, |x| x.norm(..).cosh()),
        ("3 |x|² + Σ x", 6.0, |x| x.norm(..).square() * 3.0 + x.sum(..)),
        ("Σ x², as a norm of a norm", 2.0, |x| x.norm_keep(1).norm(..).square()),
        ("|x|², by a root", 2.0, |x| x.square().sum(..).sqrt().square()),
        ("Σ |x|²", 2.0, |x| x.abs().square().sum(..)),
    ];
    for (name, times, f) in calls {
        let found = hessian_at_zero(&[2, 3], f);
        assert_eq!(found.to_vec(), identity(6, times).to_vec(), "{name}");
        let v = Tensor::from([[1.0, -2.0, 0.5], [3.0, 0.0, 1.0]]);
        let product = hvp(f, &zeros(&[2, 3]), &Var::constant(v.clone()));
        assert_eq!(product.value().to_vec(), (v * times).to_vec(), "{name}, times a vector");
    }
}

#[test]
fn the_root_of_a_square_at_zero() {
    let smooth = |x: &Var<f64>| (x.square().sqrt().square() + x.square().sqrt().powf(4.0)).sum(..);
    assert_eq!(hessian_at_zero(&[3], smooth).to_vec(), identity(3, 2.0).to_vec());
    let kinked = hessian_at_zero(&[1], |x| x.square().sqrt().sum(..));
    assert!(!kinked.item().is_finite(), "{kinked:?}");
}

#[test]
fn of_some_rows() {
    let x = Var::leaf(Tensor::from([[3.0, 4.0], [0.0, 0.0]]));
    let found = hessian(|x: &Var<f64>| x.norm(1).square().sum(..), &x).value().reshape([4, 4]);
    assert!((found - &identity(4, 2.0)).abs().max(..).item() < 1e-14);
    let found = hessian(|x: &Var<f64>| x.norm(1).sum(..), &x).value().reshape([4, 4]);
    let (regular, singular) = (found.slice(0, ..2), found.slice(0, 2..));
    let expected = [[0.128, -0.096, 0.0, 0.0], [-0.096, 0.072, 0.0, 0.0]];
    assert!((regular - &Tensor::from(expected)).abs().max(..).item() < 1e-15);
    assert!(singular.slice(1, 2..).to_vec().iter().all(|v| v.is_nan()), "{singular:?}");
}

/// What has no second derivative there says so.
#[test]
fn functions_with_a_kink_have_none() {
    type Call = fn(&Var<f64>) -> Var<f64>;
    let calls: [(&str, Call); 6] = [
        ("|x|", |x| x.norm(..)),
        ("sin |x|", |x| x.norm(..).sin()),
        ("a norm of norms", |x| x.norm_keep(1).norm(..)),
        ("|x| times another norm", |x| x.norm(..) * x.norm(..)),
        ("|x| x0", |x| x.norm(..) * x.sum(..)),
        ("the deviation", |x| x.std(.., 0)),
    ];
    for (name, f) in calls {
        let found = hessian_at_zero(&[2, 2], f);
        assert!(found.to_vec().iter().any(|v| v.is_nan()), "{name}: {found:?}");
        // The gradient is the subgradient 0, in either mode.
        for mode in [GradMode::Plain, GradMode::Differentiable] {
            let x = zeros(&[2, 2]);
            let g = grad(&f(&x), &[&x], mode).unwrap().remove(0);
            assert_eq!(g.value().to_vec(), [0.0; 4], "{name}");
        }
    }
    let along = directional_derivative(|x: &Var<f64>| x.norm(..), &zeros(&[2]), &Var::constant(Tensor::from([1.0, 1.0])), 2);
    assert!(along.item().is_nan(), "{along:?}");
}

#[test]
fn what_is_left_out_has_no_second_derivative_to_be_nan() {
    let mask = Tensor::from([true, false]);
    let w = Var::leaf(Tensor::from([2.0]));
    let f = |x: &Var<f64>| {
        let rows = x.norm(1);
        (&rows.where_(&mask, &(&rows * 0.0)).square() * &w).sum(..)
    };
    let x = Var::leaf(Tensor::from([[0.6, 0.8], [0.0, 0.0]]));
    let found = hessian(f, &x).value().reshape([4, 4]).to_vec();
    let expected = [4.0, 0.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{found:?}");
}

/// A gradient penalty on rows of which one has the slope 0.
#[test]
fn a_penalty_on_slopes() {
    let (x, w) = (Var::leaf(Tensor::from([[1.0f64, 2.0], [0.0, 0.0]])), Var::leaf(Tensor::from([1.5])));
    let y = (&w * x.norm(1).square()).sum(..);
    let slope = grad(&y, &[&x], GradMode::Differentiable).unwrap().remove(0);
    let penalty = slope.square().sum(..);
    // Σ (2 w x)² has the slope 8 w Σ x² by w, and 8 w² x by x.
    let grads = grad(&penalty, &[&w, &x], GradMode::Plain).unwrap();
    assert!((grads[0].item() - 60.0).abs() < 1e-12);
    let expected = [18.0, 36.0, 0.0, 0.0];
    assert!(grads[1].value().to_vec().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", grads[1]);
}
