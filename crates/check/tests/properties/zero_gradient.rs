//! A gradient that comes in as 0 gives 0, even at points where the slope is infinite or NaN: what `where` left out does
//! not come back as `0 · ∞`.

use crate::common::{each_case, gradients, leaves, op_samples, values};
use gradus_autograd::samples::Case;
use gradus_autograd::{GradMode, Var, grad_with};
use gradus_tensor::{Float, Rng, Tensor};

const SPECIAL: [f64; 13] =
    [0.0, -0.0, 1.0, -1.0, 6.0, 0.3, 1e-320, 1e30, -1e30, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];

/// Elementwise ops of one operand and of two, by name.
fn elementwise<T: Float>(operands: usize) -> Vec<(&'static str, Case<T>)> {
    let samples = op_samples::<T>().into_iter().filter(|s| s.elementwise).map(|s| (s.name, (s.case)(&mut Rng::seed(1))));
    samples.filter(|(_, case)| case.inputs.len() == operands).collect()
}

/// All special values, or all pairs of them.
fn special<T: Float>(operands: usize) -> Vec<Var<T>> {
    let n = SPECIAL.len();
    let pairs: Vec<f64> = (0..n * n).map(|i| SPECIAL[i / n]).collect();
    let pairs = Tensor::from_vec(pairs, [n, n]).cast::<T>();
    match operands {
        1 => vec![Var::leaf(Tensor::from(SPECIAL).cast())],
        _ => vec![Var::leaf(pairs.clone()), Var::leaf(pairs.t().contiguous())],
    }
}

fn assert_zero<T: Float>(what: &str, grads: &[Tensor<T>], xs: &[Var<T>]) {
    for (i, g) in grads.iter().enumerate() {
        if let Some(at) = values(g).iter().position(|&v| v != 0.0) {
            let operands: Vec<f64> = xs.iter().map(|x| values(x.value())[at]).collect();
            panic!("{what}, operand {i}: {} at {operands:?}", values(g)[at]);
        }
    }
}

fn zero_gives_zero_at_every_special_value<T: Float>() {
    for operands in [1, 2] {
        for (name, case) in elementwise::<T>(operands) {
            let xs = special::<T>(operands);
            let y = (case.apply)(&xs);
            let zero = Var::leaf(Tensor::<T>::zeros(y.shape().clone()));
            assert_zero(name, &gradients(&y, zero.value(), &xs), &xs);
            let wrt: Vec<&Var<T>> = xs.iter().collect();
            let grads = grad_with(&y, &zero, &wrt, GradMode::Differentiable).unwrap();
            let plain: Vec<Tensor<T>> = grads.iter().map(|g| g.value().clone()).collect();
            assert_zero(&format!("{name}, differentiable"), &plain, &xs);
            // The gradient is `0 · slope` whatever the operands are: it does not change with them.
            for g in &grads {
                let second = gradients(g, &Tensor::ones(g.shape().clone()), &xs);
                assert_zero(&format!("{name}, second derivative"), &second, &xs);
            }
        }
    }
}

#[test]
fn at_every_special_value_in_f32() {
    zero_gives_zero_at_every_special_value::<f32>();
}

#[test]
fn at_every_special_value_in_f64() {
    zero_gives_zero_at_every_special_value::<f64>();
}

/// 0 is not a mask: the gradient is linear in what comes in, and so its derivative there is the slope.
#[test]
fn the_gradient_still_depends_on_a_zero_that_came_in() {
    each_case::<f64>(4, |sample, seed, case| {
        let xs = leaves(&case);
        let y = (case.apply)(&xs);
        let zero = Var::leaf(Tensor::zeros(y.shape().clone()));
        let Ok(grads) = grad_with(&y, &zero, &xs.iter().collect::<Vec<_>>(), GradMode::Differentiable) else { return };
        // <u, d(gradient)/d(gy) w> = <w, J u>: compare with the plain gradient for w.
        let w = Tensor::uniform(y.shape().clone(), 0.5, 1.0, &mut Rng::seed(seed));
        let plain = gradients(&y, &w, &xs);
        for (g, plain) in grads.iter().zip(&plain) {
            let u = Tensor::uniform(g.shape().clone(), 0.5, 1.0, &mut Rng::seed(seed + 1));
            let back = gradients(g, &u, std::slice::from_ref(&zero)).remove(0);
            let (left, right) = ((back * &w).sum(..).item(), (plain * &u).sum(..).item());
            let size = (plain.abs() * &u).sum(..).item();
            assert!((left - right).abs() <= 1e-12 * (1.0 + size), "`{}`, case {seed}: {left} and {right}", sample.name);
        }
    });
}

/// The patterns that users write around a singular point.
#[test]
fn what_where_leaves_out_stays_out() {
    type Call = fn(&Var<f64>) -> Var<f64>;
    let calls: [(&str, Call); 10] = [
        ("sqrt", |x| x.sqrt()),
        ("ln", |x| x.ln()),
        ("recip", |x| x.recip()),
        ("a root", |x| x.powf(0.3)),
        ("a power", |x| x.powf(-2.0)),
        ("x ln x", |x| x * x.ln()),
        ("x / x", |x| x / x),
        ("x^x", |x| x.pow(x)),
        ("√(x²)", |x| x.square().sqrt()),
        ("1 / ln", |x| 1.0 / x.ln()),
    ];
    for (name, f) in calls {
        let x = Var::leaf(Tensor::from([0.0, 0.5, 0.0, 2.0]));
        let inside = x.value().gt(0.0);
        let slopes = |x: &Var<f64>, y: Var<f64>| {
            let g = grad_with(&y, &Var::constant(Tensor::ones([4])), &[x], GradMode::Differentiable).unwrap().remove(0);
            let second = gradients(&g, &Tensor::ones([4]), std::slice::from_ref(x)).remove(0);
            (values(g.value()), values(&second))
        };
        let (first, second) = slopes(&x, f(&x).where_(&inside, &(&x * 0.0)));
        let away = Var::leaf(Tensor::from([1.5, 0.5, 1.5, 2.0]));
        let (first_away, second_away) = slopes(&away, f(&away));
        for i in 0..4 {
            let expected = if i % 2 == 1 { (first_away[i], second_away[i]) } else { (0.0, 0.0) };
            assert_eq!((first[i], second[i]), expected, "{name}, element {i}");
        }
    }
}

#[test]
fn rows_that_have_no_gradient_take_none() {
    type Call = fn(&Var<f64>) -> Var<f64>;
    let calls: [(&str, Call); 7] = [
        ("softmax", |x| x.softmax(1)),
        ("log_softmax", |x| x.log_softmax(1)),
        ("logsumexp", |x| x.logsumexp_keep(1)),
        ("prod", |x| x.prod_keep(1)),
        ("deviation", |x| x.var_keep(1, 0).sqrt()),
        ("norm", |x| x.norm_keep(1)),
        ("cosine", |x| x / x.norm_keep(1)),
    ];
    let rows = [f64::NEG_INFINITY, 0.0, 3.0, f64::NEG_INFINITY];
    for (name, f) in calls {
        for row in rows {
            if row.is_infinite() && ["deviation", "norm", "cosine"].contains(&name) {
                continue;
            }
            let x = Var::leaf(Tensor::from([[row; 3], [0.1, 0.7, -0.4]]));
            let alone = Var::leaf(Tensor::from([[0.1, 0.7, -0.4]]));
            let (y, y_alone) = (f(&x), f(&alone));
            let n = y.shape()[1];
            let gy = Tensor::from_fn([2, n], |i| if i[0] == 0 { 0.0 } else { 1.0 + i[1] as f64 });
            let g = values(&gradients(&y, &gy, std::slice::from_ref(&x))[0]);
            let g_alone = values(&gradients(&y_alone, &gy.slice(0, 1..), &[alone])[0]);
            assert_eq!((&g[..3], &g[3..]), (&[0.0; 3][..], &g_alone[..]), "{name} of a row of {row}");
            let zero = Var::leaf(gy.clone());
            let g = grad_with(&y, &zero, &[&x], GradMode::Differentiable).unwrap().remove(0);
            let g = values(g.value());
            assert!(g[..3].iter().all(|&v| v == 0.0), "{name} of a row of {row}, differentiable: {g:?}");
        }
    }
}
