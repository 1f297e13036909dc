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

/// All sequences over `tokens` that end in `end` or are `longest` long, with the logarithm of their probability.
fn all_sequences(log_p: &[Vec<f64>], end: usize, longest: usize) -> Vec<(Vec<usize>, f64)> {
    let (mut open, mut done) = (vec![(vec![], 0.0)], vec![]);
    for length in 1..=longest {
        let mut longer = vec![];
        for (tokens, p) in open {
            let row = &log_p[*tokens.last().unwrap_or(&0)];
            for (token, step) in row.iter().enumerate() {
                let next: Vec<usize> = tokens.iter().copied().chain([token]).collect();
                if token == end || length == longest { &mut done } else { &mut longer }.push((next, p + step));
            }
        }
        open = longer;
    }
    done
}

#[test]
fn a_wide_beam_finds_the_best_of_all_sequences() {
    let (tokens, end, longest) = (4, 3, 4);
    for (seed, alpha) in [(0, 0.0), (1, 0.7), (2, 1.0), (3, 2.0)] {
        let table = Var::constant(Tensor::<f64>::normal([tokens, tokens], 0.0, 1.0, &mut Rng::seed(seed)));
        let step = |last: &Tensor<i64>, state: &Var<f64>| (table.index_select(0, last), state.clone());
        let state = Var::constant(Tensor::zeros([1, 2]));
        let log_p: Vec<Vec<f64>> = (0..tokens).map(|t| table.log_softmax(1).value().select(0, t).to_vec()).collect();
        let mut all: Vec<_> = all_sequences(&log_p, end, longest)
            .into_iter()
            .map(|(t, p)| (p / ((5.0 + t.len() as f64) / 6.0).powf(alpha), t))
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let found = BeamSearch::new(256, longest).length_penalty(alpha).search(0, end, &state, step);
        // Some have the same steps in another order, and so the same score.
        for (f, (score, _)) in found.iter().zip(&all) {
            let own = all.iter().find(|(_, tokens)| *tokens == f.tokens).unwrap().0;
            assert!((f.score - score).abs() < 1e-12 && (own - score).abs() < 1e-12, "{f:?}, not of {score}");
        }
        assert_eq!(found.len(), all.len());
        // One beam is the greedy choice at each step.
        let narrow = BeamSearch::new(1, longest).search(0, end, &state, step);
        let mut greedy: Vec<usize> = vec![];
        while greedy.last() != Some(&end) && greedy.len() < longest {
            let last = Tensor::from([*greedy.last().unwrap_or(&0) as i64]);
            greedy.push(Sampler::greedy().choose(table.index_select(0, &last).value(), &mut Rng::seed(0)).item() as usize);
        }
        assert_eq!(narrow[0].tokens, greedy);
    }
}

/// Each beginning goes on from its own state.
#[test]
fn beams_keep_their_states() {
    let cell = Gru::<f64>::new(4, 6, &mut Rng::seed(5));
    let head = Linear::new(6, 4, &mut Rng::seed(6));
    let step = |last: &Tensor<i64>, h: &Var<f64>| {
        let (y, h) = cell.step(&Var::constant(last.one_hot(4)), h);
        (head.forward(&(y * 4.0), &mut Mode::Eval), h)
    };
    let found = BeamSearch::new(3, 5).search(0, 3, &cell.initial_state(1), step);
    for hypothesis in &found {
        let (mut h, mut last, mut sum) = (cell.initial_state(1), 0, 0.0);
        for &token in &hypothesis.tokens {
            let (logits, next) = step(&Tensor::from([last]), &h);
            sum += logits.log_softmax(1).value().at([0, token]);
            (h, last) = (next, token as i64);
        }
        assert!((sum - hypothesis.log_probability).abs() < 1e-12, "{hypothesis:?}");
    }
}
