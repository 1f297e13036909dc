//! Choosing tokens from logits that are infinite or NaN.

use gradus_autograd::Var;
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};

const INF: f64 = f64::INFINITY;

/// What a call panics with.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(f())));
    *found.unwrap_err().downcast::<String>().unwrap()
}

/// How often each class is chosen of 4,000 rows of the same logits.
fn counts(sampler: Sampler, logits: &[f64]) -> Vec<i64> {
    let all = Tensor::from_fn([4000, logits.len()], |at| logits[at[1]]);
    sampler.choose(&all, &mut Rng::seed(3)).bincount(logits.len()).to_vec()
}

/// Which classes are chosen at all.
fn chosen(sampler: Sampler, logits: &[f64]) -> Vec<usize> {
    counts(sampler, logits).iter().enumerate().filter(|(_, n)| **n > 0).map(|(class, _)| class).collect()
}

fn all_samplers() -> Vec<Sampler> {
    let drawn = [0.5, 1.0, 1e300, INF, 1e-300].map(Sampler::temperature);
    let cut = drawn.iter().flat_map(|s| [s.top_k(2), s.top_k(100), s.top_p(0.9), s.top_p(1e-9), s.top_k(3).top_p(0.5)]);
    [Sampler::greedy(), Sampler::temperature(0.0)].into_iter().chain(drawn).chain(cut).collect()
}

#[test]
fn infinity_wins() {
    for sampler in all_samplers() {
        assert_eq!(chosen(sampler, &[INF, 0.0, -5.0]), [0], "{sampler:?}");
        assert_eq!(chosen(sampler, &[3.0, -INF, INF, 1e308]), [2], "{sampler:?}");
        assert_eq!(chosen(sampler, &[-INF, -7.0, -INF]), [1], "{sampler:?}");
    }
    assert_eq!(Sampler::temperature(1.0).choose(&Tensor::from([[f32::INFINITY, 0.0]]), &mut Rng::seed(0)).item(), 0);
}

#[test]
fn several_infinities_share() {
    for sampler in [
        Sampler::temperature(1.0),
        Sampler::temperature(INF),
        Sampler::temperature(0.1).top_k(3),
        Sampler::temperature(2.0).top_p(0.99),
    ] {
        let n = counts(sampler, &[INF, 5.0, INF, -INF]);
        assert_eq!((n[1], n[3]), (0, 0), "{sampler:?}");
        assert!((n[0] - 2000).abs() < 150, "{sampler:?}: {n:?}");
    }
    assert_eq!(chosen(Sampler::greedy(), &[1.0, INF, INF]), [1], "of equals, the first");
}

#[test]
fn an_infinite_temperature_is_even_among_the_possible() {
    let n = counts(Sampler::temperature(INF), &[100.0, -INF, -100.0, 0.0]);
    assert_eq!(n[1], 0);
    assert!([0, 2, 3].iter().all(|&c| (n[c] - 1333).abs() < 150), "{n:?}");
}

#[test]
fn zeros_of_both_signs_are_equal() {
    assert_eq!(chosen(Sampler::greedy(), &[-0.0, 0.0]), [0]);
    assert_eq!(chosen(Sampler::temperature(1.0), &[-0.0, 0.0]), [0, 1]);
}

#[test]
fn nan_and_impossible_rows_are_errors() {
    for sampler in all_samplers() {
        let said = |rows: Tensor<f64>| panic_of(|| sampler.choose(&rows, &mut Rng::seed(0)));
        let message = said(Tensor::from([[0.0, 1.0], [0.0, f64::NAN]]));
        assert!(message.ends_with("the logit of class 1 in row 1 is NaN; expected numbers"), "{message}");
        assert!(message.starts_with("sampler at crates/nn/tests/suite/sampling.rs:"), "{message}");
        let message = said(Tensor::from([[-INF, -INF]]));
        assert!(message.ends_with("all logits of row 0 are minus infinity; expected a class that is possible"), "{message}");
    }
    for bad in [-1.0, f64::NAN, -INF] {
        assert!(std::panic::catch_unwind(|| Sampler::temperature(bad)).is_err());
    }
}

/// Searches with fixed logits after each token, of which 2 is the end.
fn search(beams: usize, table: [[f64; 3]; 3]) -> Vec<Hypothesis> {
    let next = Var::<f64>::constant(Tensor::from(table));
    let step = |tokens: &Tensor<i64>, state: &Var<f64>| (next.index_select(0, tokens), state.clone());
    BeamSearch::new(beams, 4).search(0, 2, &Tensor::zeros([1, 1]).into(), step)
}

#[test]
fn a_beam_search_takes_the_certain_and_never_the_impossible() {
    let found = search(3, [[-INF, INF, 5.0], [-INF, -INF, 0.0], [0.0; 3]]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].tokens.as_slice(), found[0].log_probability), (&[1usize, 2][..], 0.0));
    let found = search(4, [[-INF, INF, INF], [-INF, -INF, 3.0], [0.0; 3]]);
    let tokens: Vec<_> = found.iter().map(|h| h.tokens.clone()).collect();
    assert_eq!(tokens, [vec![2], vec![1, 2]]);
    assert!(found.iter().all(|h| (h.log_probability - 0.5f64.ln()).abs() < 1e-15));
    let message = panic_of(|| search(2, [[0.0, f64::NAN, 0.0]; 3]));
    assert!(message.starts_with("beam_search at crates/nn/tests/suite/sampling.rs:"), "{message}");
    assert!(message.ends_with("the logit of class 1 in row 0 is NaN; expected numbers"), "{message}");
}

#[test]
fn a_beam_search_keeps_the_digits_of_large_logits() {
    let found = search(1, [[1e9, 1e9 + 1.0, 1e9 + 2.0]; 3]);
    let wanted = -(1.0 + (-1f64).exp() + (-2f64).exp()).ln();
    assert!((found[0].log_probability - wanted).abs() < 1e-12, "{found:?}");
}

#[test]
fn scheduled_sampling_draws_by_the_same_rules() {
    let rng = &mut Rng::seed(0);
    let net = OutputRecurrence::<f64>::new(1, 2, 3, rng).link(Feedback::Sample);
    let x = Sequence::new(Tensor::full([1, 2, 1], f64::NAN));
    assert!(panic_of(|| net.free_running(&x, &mut Rng::seed(0))).contains("is NaN; expected numbers"));
}
