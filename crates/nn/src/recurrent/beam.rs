//! Beam search: the likeliest sequence of tokens, looked for among a few at a time.

use super::cell::CellState;
use super::sampling::check_logits;
use gradus_autograd::{Var, no_grad};
use gradus_tensor::{Float, OrPanic, Tensor};

/// Keeps the `beams` likeliest beginnings, step by step, until they have ended.
///
/// A sequence's score is the logarithm of its probability over `((5 + length) / 6)^α` (Wu et al. 2016, equation 14): without the
/// penalty, `α = 0`, short ones win, for every token costs.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::BeamSearch;
/// use gradus_tensor::Tensor;
/// // After 0 comes 1 or 2; 2 is the end. After 1, only the end is likely.
/// let next = Var::<f32>::constant(Tensor::from([[0.0, 2.0, 1.5], [-9.0, -9.0, 9.0], [0.0, 0.0, 0.0]]));
/// let step = |tokens: &Tensor<i64>, state: &Var| (next.index_select(0, tokens), state.clone());
/// let found = BeamSearch::new(2, 5).search(0, 2, &Tensor::zeros([1, 1]).into(), step);
/// assert_eq!(found[0].tokens, [1, 2]);
/// assert_eq!(found[1].tokens, [2]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeamSearch {
    beams: usize,
    longest: usize,
    length_penalty: f64,
}

/// A sequence that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// The tokens after the first, which is given; the last is the end, if it came before the search was cut off.
    pub tokens: Vec<usize>,
    /// The natural logarithm of their probability.
    pub log_probability: f64,
    /// The same over the length penalty: what hypotheses are sorted by.
    pub score: f64,
}

/// A beginning that has not ended, and the row of its state.
struct Alive {
    tokens: Vec<usize>,
    log_probability: f64,
    row: usize,
}

impl BeamSearch {
    /// With so many beginnings at a time, of at most so many tokens.
    ///
    /// # Panics
    /// When one of them is 0.
    #[track_caller]
    pub fn new(beams: usize, longest: usize) -> Self {
        assert!(beams > 0 && longest > 0, "beam_search: {beams} beams of up to {longest} tokens; wanted 1 or more of each");
        Self { beams, longest, length_penalty: 0.0 }
    }

    /// With this `α`, 0 or more.
    ///
    /// # Panics
    /// When it is below 0.
    #[must_use]
    #[track_caller]
    pub fn length_penalty(self, alpha: f64) -> Self {
        assert!(alpha >= 0.0, "beam_search: length penalty {alpha}; wanted 0 or more");
        Self { length_penalty: alpha, ..self }
    }

    /// From the token `first` and a state of one row, up to `beams` sequences that end in the token `end`, or are cut off, the best
    /// first. `step` is given the last tokens `[B]` of `B` beginnings and a state of as many rows, and says the logits of the next
    /// tokens, `[B, tokens]`, and the next state. Nothing is recorded.
    ///
    /// A token whose logit is minus infinity never follows, so there may be fewer sequences than beams. A logit of infinity is
    /// certain; several share the probability evenly.
    ///
    /// # Panics
    /// When the logits are not `[B, tokens]`, one is NaN, or all of a row are minus infinity.
    #[track_caller]
    pub fn search<T: Float, S: CellState<T>>(
        &self,
        first: usize,
        end: usize,
        state: &S,
        mut step: impl FnMut(&Tensor<i64>, &S) -> (Var<T>, S),
    ) -> Vec<Hypothesis> {
        let mut alive = vec![Alive { tokens: vec![], log_probability: 0.0, row: 0 }];
        let (mut state, mut found) = (state.clone(), Vec::new());
        for length in 1..=self.longest {
            let last: Vec<i64> = alive.iter().map(|a| *a.tokens.last().unwrap_or(&first) as i64).collect();
            let (logits, next) = no_grad(|| step(&Tensor::from_vec(last, [alive.len()]), &state));
            let mut further = self.further(&alive, &logits);
            let ended = |a: &Alive| a.tokens.last() == Some(&end) || length == self.longest;
            found.extend(further.iter().filter(|a| ended(a)).map(|a| self.hypothesis(a)));
            further.retain(|a| !ended(a));
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(self.beams);
            alive = further;
            if alive.is_empty() || self.is_over(&alive, &found) {
                break;
            }
            let rows = Tensor::from_vec(alive.iter().map(|a| a.row as i64).collect(), [alive.len()]);
            state = no_grad(|| next.map(&mut |v| v.index_select(0, &rows)));
        }
        found
    }

    /// The likeliest beginnings that are one token longer; each knows which row it comes from.
    #[track_caller]
    fn further<T: Float>(&self, alive: &[Alive], logits: &Var<T>) -> Vec<Alive> {
        let shape = logits.shape();
        assert!(shape.len() == 2 && shape[0] == alive.len(), "beam_search: logits {shape}; wanted [{}, tokens]", alive.len());
        let mut all = Vec::with_capacity(alive.len() * shape[1]);
        for (row, a) in alive.iter().enumerate() {
            let logits: Vec<f64> = logits.value().select(0, row).to_vec().into_iter().map(|l| l.to_f64()).collect();
            check_logits("beam_search", row, &logits).or_panic();
            let next = log_probabilities(&logits).into_iter().enumerate().filter(|(_, p)| *p != f64::NEG_INFINITY);
            all.extend(next.map(|(token, p)| (a.log_probability + p, row, token)));
        }
        all.sort_by(|a, b| b.0.partial_cmp(&a.0).expect("no probability is NaN"));
        all.truncate(self.beams);
        let longer = |(log_probability, row, token): (f64, usize, usize)| {
            let tokens = alive[row].tokens.iter().copied().chain([token]).collect();
            Alive { tokens, log_probability, row }
        };
        all.into_iter().map(longer).collect()
    }

    /// Whether no beginning can still be better than what was found: its probability only falls, and no length is penalised
    /// less than the longest.
    fn is_over(&self, alive: &[Alive], found: &[Hypothesis]) -> bool {
        let best = alive.iter().map(|a| a.log_probability / self.penalty(self.longest)).fold(f64::NEG_INFINITY, f64::max);
        found.len() == self.beams && found.last().is_some_and(|worst| worst.score >= best)
    }

    fn penalty(&self, length: usize) -> f64 {
        ((5.0 + length as f64) / 6.0).powf(self.length_penalty)
    }

    fn hypothesis(&self, a: &Alive) -> Hypothesis {
        let score = a.log_probability / self.penalty(a.tokens.len());
        Hypothesis { tokens: a.tokens.clone(), log_probability: a.log_probability, score }
    }
}

/// The logarithm of the softmax; where some logits are infinite, they share the probability.
fn log_probabilities(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // The largest is 0 also where it is infinite, as infinities cannot be subtracted.
    let below: Vec<f64> = logits.iter().map(|&l| if l == most { 0.0 } else { l - most }).collect();
    let total = below.iter().map(|l| l.exp()).sum::<f64>().ln();
    below.into_iter().map(|l| l - total).collect()
}
