//! Losses and measures of sequences, and choosing what comes next.

use gradus_autograd::Var;
use gradus_check::check;
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;

#[test]
fn masked_cross_entropy_is_the_mean_over_what_is_there() {
    let rng = &mut Rng::seed(0);
    let (batch, steps, classes, lengths) = (3, 4, 5, [4, 1, 2]);
    let logits = Tensor::<f64>::normal([batch, steps, classes], 0.0, 1.0, rng);
    let labels = Tensor::randint([batch, steps], 0, classes as i64, rng);
    let there = |n: usize, t: usize| t < lengths[n];
    let with_nan =
        Tensor::from_fn(
            [batch, steps, classes],
            |at| if there(at[0], at[1]) { logits.at([at[0], at[1], at[2]]) } else { f64::NAN },
        );
    let no_class = Tensor::from_fn([batch, steps], |at| if there(at[0], at[1]) { labels.at([at[0], at[1]]) } else { -7 });
    let x = Var::leaf(with_nan);
    let loss = Sequence::new(&x).with_lengths(&lengths).cross_entropy(&no_class);
    let (mut sum, mut count) = (0.0, 0);
    for (n, &length) in lengths.iter().enumerate() {
        for t in 0..length {
            let row = logits.select(0, n).select(0, t).to_vec();
            let total: f64 = row.iter().map(|l| l.exp()).sum();
            sum -= row[labels.at([n, t]) as usize] - total.ln();
            count += 1;
        }
    }
    assert!((loss.item() - sum / count as f64).abs() < 1e-12);
    let g = loss.backward()[&x].clone();
    for (n, &length) in lengths.iter().enumerate() {
        assert_eq!(g.select(0, n).slice(0, length..).abs().sum(..).item(), 0.0);
    }
    let time_major = Sequence::time_major(logits.transpose(0, 1)).cross_entropy(&labels.t());
    assert!((time_major.item() - Sequence::new(&logits).cross_entropy(&labels).item()).abs() < 1e-12);
    check(move |v| Sequence::new(&v[0]).with_lengths(&lengths).cross_entropy(&no_class), [logits]).unwrap();
}

#[test]
#[should_panic(expected = "labels [2, 3]; wanted [2, 4]")]
fn labels_of_other_steps_are_refused() {
    Sequence::new(Tensor::<f32>::zeros([2, 4, 3])).cross_entropy(&Tensor::zeros([2, 3]));
}

/// By the definition: the first symbols are equal, or one of three edits was made.
fn naive_distance(a: &[u8], b: &[u8]) -> usize {
    match (a, b) {
        ([], rest) | (rest, []) => rest.len(),
        ([x, a1 @ ..], [y, b1 @ ..]) => {
            let replaced = naive_distance(a1, b1) + usize::from(x != y);
            replaced.min(naive_distance(a1, b) + 1).min(naive_distance(a, b1) + 1)
        }
    }
}

proptest! {
    #[test]
    fn edit_distance_is_its_definition(
        a in prop::collection::vec(0u8..3, 0..6),
        b in prop::collection::vec(0u8..3, 0..6),
    ) {
        prop_assert_eq!(edit_distance(&a, &b), naive_distance(&a, &b));
    }
}

/// How often each class is chosen, in 8,000 rows of the same logits.
fn shares(sampler: Sampler, logits: &[f64]) -> Vec<f64> {
    let rows = 8000;
    let all = Tensor::from_fn([rows, logits.len()], |at| logits[at[1]]);
    let counts = sampler.choose(&all, &mut Rng::seed(3)).bincount(logits.len()).to_vec();
    counts.into_iter().map(|c| c as f64 / rows as f64).collect()
}

fn assert_shares(found: &[f64], weights: &[f64]) {
    let total: f64 = weights.iter().sum();
    for (f, w) in found.iter().zip(weights) {
        let p = w / total;
        assert!((f - p).abs() <= 4.0 * (p * (1.0 - p) / 8000.0).sqrt(), "{found:?} of {weights:?}");
    }
}

#[test]
fn samples_are_drawn_as_told() {
    let logits = [0.5, 2.0, -1.0, 1.0];
    let weights = |t: f64| logits.map(|l: f64| (l / t).exp());
    assert_shares(&shares(Sampler::temperature(1.0), &logits), &weights(1.0));
    assert_shares(&shares(Sampler::temperature(0.5), &logits), &weights(0.5));
    let [_, b, _, d] = weights(2.0);
    assert_shares(&shares(Sampler::temperature(2.0).top_k(2), &logits), &[0.0, b, 0.0, d]);
    // Probabilities are 0.14, 0.61, 0.03 and 0.22: 0.6 is reached by one, 0.8 by two, 0.9 by three.
    let [a, b, _, d] = weights(1.0);
    assert_shares(&shares(Sampler::temperature(1.0).top_p(0.6), &logits), &[0.0, 1.0, 0.0, 0.0]);
    assert_shares(&shares(Sampler::temperature(1.0).top_p(0.8), &logits), &[0.0, b, 0.0, d]);
    assert_shares(&shares(Sampler::temperature(1.0).top_p(0.9), &logits), &[a, b, 0.0, d]);
    assert_shares(&shares(Sampler::greedy(), &logits), &[0.0, 1.0, 0.0, 0.0]);
    assert_shares(&shares(Sampler::temperature(1e-3), &logits), &[0.0, 1.0, 0.0, 0.0]);
}

#[test]
#[should_panic(expected = "temperature 0; wanted one above 0")]
fn a_temperature_of_zero_is_refused() {
    Sampler::temperature(0.0);
}
