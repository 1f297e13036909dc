//! Every op of the table, forward and in every order of two differentiations.

use super::{assert_near, random};
use gradus_autograd::samples::{Case, op_samples};
use gradus_autograd::{Var, jvp, value_and_grad, vjp};
use gradus_tensor::Rng;
use std::slice::from_ref;

const CASES: u64 = 12;

/// Random vectors, one for each variable.
fn vectors(like: &[Var<f64>], seed: u64) -> Vec<Var<f64>> {
    like.iter().zip(seed..).map(|(x, seed)| random(x.shape().clone(), seed)).collect()
}

fn inner(a: &[Var<f64>], b: &[Var<f64>]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a.value() * b.value()).sum(..).item()).sum()
}

fn each_case(check: impl Fn(&str, Case, u64)) {
    for sample in op_samples() {
        for seed in 0..CASES {
            check(&format!("op `{}`, case {seed}", sample.name), (sample.case)(&mut Rng::seed(seed)), seed);
        }
    }
}

#[test]
fn forward_and_reverse_are_adjoint() {
    each_case(|what, case, seed| {
        let f = |x: &Vec<Var<f64>>| (case.apply)(x);
        let x: Vec<Var<f64>> = case.inputs.iter().map(Var::from).collect();
        let u = vectors(&x, 100 + seed);
        let (y, ju) = jvp(f, &x, &u);
        assert!(!y.requires_grad() && !ju.requires_grad(), "{what}: nothing to differentiate by");
        let (_, pullback) = vjp(f, &x);
        let v = random(y.shape().clone(), 200 + seed);
        let vj = pullback(&v);
        let (forward, reverse) = (inner(from_ref(&v), from_ref(&ju)), inner(&vj, &u));
        let scale = inner(&[ju.abs()], &[ju.abs()]).sqrt().max(1.0);
        assert!((forward - reverse).abs() <= 1e-11 * scale, "{what}: <v, Ju> = {forward:e} and <vJ, u> = {reverse:e}");

        // On the tape the rules take their differentiable ways.
        let leaves: Vec<_> = case.inputs.iter().cloned().map(Var::leaf).collect();
        assert_near(what, &jvp(f, &leaves, &u).1, &ju, 1e-12);
        for (on_tape, plain) in vjp(f, &leaves).1(&v).iter().zip(&vj) {
            assert_near(what, on_tape, plain, 1e-12);
        }
    });
}

#[test]
fn forward_over_reverse_agrees_with_reverse_over_forward_and_reverse_over_reverse() {
    each_case(|what, case, seed| {
        let x: Vec<Var<f64>> = case.inputs.iter().map(Var::from).collect();
        let u = vectors(&x, 300 + seed);
        // A square makes second derivatives of linear ops, too.
        let f = |x: &Vec<Var<f64>>| {
            let y = (case.apply)(x);
            let w = random(y.shape().clone(), 400 + seed);
            (w * (&y + y.square())).sum(..)
        };
        let gradient = |x: &Vec<Var<f64>>| value_and_grad(f, x).1;
        let forward_over_reverse = jvp(gradient, &x, &u).1;
        let reverse_over_forward = value_and_grad(|x| jvp(f, x, &u).1, &x).1;
        let reverse_over_reverse = vjp(gradient, &x).1(&u);
        let forward_over_forward = jvp(|x| jvp(f, x, &u).1, &x, &u).1;
        for ((a, b), c) in forward_over_reverse.iter().zip(&reverse_over_forward).zip(&reverse_over_reverse) {
            assert_near(what, a, c, 1e-9);
            assert_near(what, b, c, 1e-9);
        }
        let twice = inner(&reverse_over_reverse, &u);
        let near = (forward_over_forward.item() - twice).abs() <= 1e-9 * twice.abs().max(1.0);
        assert!(near, "{what}: forward twice {forward_over_forward:?}, uHu = {twice:e}");
    });
}
