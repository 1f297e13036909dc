//! What attention does not see changes nothing, whatever it is.

use gradus_autograd::{GradMode, Module, Var, grad_with};
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};

const STRANGE: [f64; 4] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300];

fn normal<const N: usize>(shape: [usize; N], rng: &mut Rng) -> Tensor<f64> {
    Tensor::normal(shape, 0.0, 1.0, rng)
}

#[track_caller]
fn assert_near(what: &str, got: &Tensor<f64>, wanted: &Tensor<f64>) {
    assert!((got - wanted).abs().le(1e-12).all(), "{what}: {got:?} where {wanted:?} is right");
}

/// Softmax and weighted mean in plain loops over what each query sees.
fn naive(q: &Tensor<f64>, k: &Tensor<f64>, v: &Tensor<f64>, mask: &Tensor<bool>) -> Tensor<f64> {
    let width = q.shape()[1] as f64;
    Tensor::from_fn([q.shape()[0], v.shape()[1]], |at| {
        let seen = || (0..k.shape()[0]).filter(|&j| mask.at([at[0], j]));
        let score = |j: usize| (q.select(0, at[0]) * k.select(0, j)).sum(..).item() / width.sqrt();
        let most = seen().map(score).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = seen().map(|j| (score(j) - most).exp()).sum();
        seen().map(|j| (score(j) - most).exp() / total * v.at([j, at[1]])).sum()
    })
}

#[test]
fn a_key_hidden_from_one_query_and_seen_by_another() {
    let rng = &mut Rng::seed(1);
    let (q, k, v) = (normal([3, 2], rng), normal([4, 2], rng), normal([4, 2], rng));
    // Key 2 is hidden from queries 0 and 1; query 2 sees it.
    let mask = Tensor::from([[true, true, false, true], [false, true, false, false], [true, true, true, true]]);
    let wanted = naive(&q, &k, &v, &mask);
    let gy = Tensor::from([[1.0, -0.5], [2.0, 0.25], [0.0, 0.0]]);
    let run = |k: &Tensor<f64>, v: &Tensor<f64>, mode| {
        let leaves = [&q, k, v].map(|t| Var::leaf(t.clone()));
        let y = scaled_dot_product_attention(&leaves[0], &leaves[1], &leaves[2], Some(&mask));
        let grads = grad_with(&y, &Var::constant(gy.clone()), &leaves.each_ref(), mode).unwrap();
        (y.into_value(), grads.into_iter().map(Var::into_value).collect::<Vec<_>>())
    };
    for mode in [GradMode::Plain, GradMode::Differentiable] {
        let (y, right) = run(&k, &v, mode);
        assert_near("ordinary", &y, &wanted);
        for strange in STRANGE {
            let put = |x: &Tensor<f64>| Tensor::from_fn([4, 2], |at| if at[0] == 2 { strange } else { x.at([at[0], at[1]]) });
            for (which, k, v) in [("keys", put(&k), v.clone()), ("values", k.clone(), put(&v)), ("both", put(&k), put(&v))] {
                let what = format!("{strange} in {which}, {mode:?}");
                let (y, grads) = run(&k, &v, mode);
                assert_near(&what, &y.slice(0, ..2), &wanted.slice(0, ..2));
                // The query that sees it has no gradient, so nothing comes of it.
                for (got, right) in grads.iter().zip(&right) {
                    assert_near(&format!("gradient of {what}"), got, right);
                }
            }
        }
    }
}

#[test]
fn a_low_score_that_is_seen_is_above_what_is_hidden() {
    for low in [-1e31, -1e150, f64::MIN / 4.0] {
        let scores = Var::leaf(Tensor::from([[low, low, 0.0]]));
        let y = scores.masked_softmax(&Tensor::from([[true, true, false]]), -1);
        assert_eq!(y.value().to_vec(), [0.5, 0.5, 0.0]);
        let (q, k) = (Tensor::from([[1.0]]), Tensor::from([[low], [5.0]]));
        let v = Var::constant(Tensor::from([[7.0], [9.0]]));
        let mask = Tensor::from([[true, false]]);
        assert_eq!(scaled_dot_product_attention(&q.into(), &k.into(), &v, Some(&mask)).item(), 7.0);
    }
    let scores = Var::<f32>::constant(Tensor::from([[-1e31f32, f32::MIN, 3.0]]));
    assert_eq!(scores.masked_softmax(&Tensor::from([[true, true, false]]), -1).value().to_vec(), [1.0, 0.0, 0.0]);
}

#[test]
fn large_scores_keep_their_digits() {
    // Scores of 4096 and 4097, exactly: the weights are those of 0 and 1.
    let (q, k) = (Tensor::from([[64.0f32]]), Tensor::from([[64.0f32], [64.015625]]));
    let y = scaled_dot_product_attention(&q.into(), &k.into(), &Tensor::from([[0.0f32], [1.0]]).into(), None).item();
    assert!((y - 0.731_058_6).abs() < 1e-6, "{y}");
}

#[test]
fn a_network_does_not_read_masked_tokens() {
    let rng = &mut Rng::seed(2);
    let attention = MultiHeadAttention::<f64>::new(4, 2, rng);
    let (q, k) = (normal([2, 3, 4], rng), normal([2, 5, 4], rng));
    let mask = Tensor::from_fn([3, 5], |at| at[1] != 1 && at[1] != 4);
    let causal = Tensor::from_fn([2, 3, 5], |at| at[2] < 2 + at[0] && at[2] <= at[1] + 1);
    let run = |k: Tensor<f64>, mask: &Tensor<bool>| {
        let (q, k) = (Var::leaf(q.clone()), Var::leaf(k));
        let memory = Sequence::new(&k);
        let (y, weights) = attention.attend(&Sequence::new(&q), &memory, &memory, Some(mask), &mut Mode::Eval);
        let grads = (y.data().square().sum(..) + weights.square().sum(..)).backward();
        let own = attention.named_parameters().into_iter().map(|(_, p)| grads[p].clone());
        (y.data().into_value(), [grads[&q].clone(), grads[&k].clone()].into_iter().chain(own).collect::<Vec<_>>())
    };
    for (mask, hidden) in [(&mask, vec![[0, 1], [1, 1], [0, 4], [1, 4]]), (&causal, vec![[0, 2], [0, 3], [0, 4], [1, 3], [1, 4]])]
    {
        let (wanted, right) = run(k.clone(), mask);
        for strange in STRANGE {
            let put = |at: &[usize]| if hidden.contains(&[at[0], at[1]]) { strange } else { k.at([at[0], at[1], at[2]]) };
            let (y, grads) = run(Tensor::from_fn([2, 5, 4], put), mask);
            assert_near(&format!("{strange}"), &y, &wanted);
            for (got, right) in grads.iter().zip(&right) {
                assert_near(&format!("a gradient beside {strange}"), got, right);
            }
        }
    }
}

#[test]
fn steps_from_a_cache_are_those_of_the_whole_sequence() {
    let rng = &mut Rng::seed(3);
    let attention = MultiHeadAttention::<f64>::new(4, 2, rng).causal();
    let x = normal([2, 5, 4], rng);
    let all = attention.forward(&x.clone().into(), &mut Mode::Eval).into_value();
    for first in 0..5 {
        let memory = Sequence::new(x.clone());
        let newest = Sequence::new(x.slice(1, first..));
        let (y, weights) = attention.attend(&newest, &memory, &memory, None, &mut Mode::Eval);
        assert_near("the newest steps", y.data().value(), &all.slice(1, first..));
        assert_eq!(*weights.shape(), [2, 2, 5 - first, 5]);
    }
    // Of more queries than keys, the first see nothing and read the bias.
    let (few, many) = (Sequence::new(x.slice(1, ..2)), Sequence::new(x.clone()));
    let (y, weights) = attention.attend(&many, &few, &few, None, &mut Mode::Eval);
    assert_eq!(weights.value().slice(2, ..3).abs().sum(..).item(), 0.0);
    let bias = attention.out_proj.bias.as_ref().unwrap().value().clone();
    assert_near("queries that see nothing", &y.data().value().slice(1, ..3), &bias.expand([2, 3, 4]));
}
