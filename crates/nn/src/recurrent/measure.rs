//! How well sequences are said: cross-entropy over the steps that are there, and what it is counted in; edit distance.

use super::sequence::Sequence;
use crate::losses::{CrossEntropy, Loss};
use gradus_autograd::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// No class: what padding's label becomes.
const PADDING: i64 = i64::MIN;

#[compiled_once]
impl<T: Float> Sequence<T> {
    /// The mean cross-entropy, in nats, of logits `[.., classes]` and labels in the order of axes of the data, `[N, T]` or
    /// `[T, N]`, over the steps that are there. Labels at padding may be anything.
    ///
    /// ```
    /// use gradus_nn::{Sequence, bits_per_character, perplexity};
    /// use gradus_tensor::Tensor;
    /// let logits = Sequence::new(Tensor::<f64>::zeros([2, 3, 4])).with_lengths(&[3, 1]);
    /// let loss = logits.cross_entropy(&Tensor::from([[0i64, 1, 2], [3, -1, -1]])).item();
    /// assert!((perplexity(loss) - 4.0).abs() < 1e-12);
    /// assert!((bits_per_character(loss) - 2.0).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// When the labels are of other steps, or one that is there is no class.
    #[track_caller]
    pub fn cross_entropy(&self, labels: &Tensor<i64>) -> Var<T> {
        let (steps, batch) = (self.len(), self.batch());
        let wanted = if self.is_time_major() { [steps, batch] } else { [batch, steps] };
        if *labels.shape() != wanted {
            let detail = format!("labels {}; wanted {wanted:?}", labels.shape());
            Err(ShapeError::new("sequence_cross_entropy", detail)).or_panic()
        }
        if self.steps().rank() != 3 {
            let detail = format!("logits of steps {}; wanted [T, N, classes]", self.steps().shape());
            Err(ShapeError::new("sequence_cross_entropy", detail)).or_panic()
        }
        let labels = if self.is_time_major() { labels.clone() } else { labels.t() };
        let labels = match self.mask() {
            Some(mask) => labels.masked_fill(&mask.not(), PADDING),
            None => labels,
        };
        let logits = self.zero_padding().steps().reshape([steps * batch, self.steps().shape()[2]]);
        CrossEntropy::new().ignore_index(PADDING).loss(&logits, &labels.reshape([steps * batch]))
    }
}

/// `e^loss` of a mean cross-entropy in nats: among how many equally likely ones a model is as unsure as it is.
///
/// ```
/// assert_eq!(gradus_nn::perplexity(0.0), 1.0);
/// ```
pub fn perplexity(cross_entropy: f64) -> f64 {
    cross_entropy.exp()
}

/// `loss / ln 2` of a mean cross-entropy in nats a character: how many bits a character takes on average, when a coder is told
/// what the model expects.
///
/// ```
/// assert_eq!(gradus_nn::bits_per_character(2f64.ln()), 1.0);
/// ```
pub fn bits_per_character(cross_entropy: f64) -> f64 {
    cross_entropy / std::f64::consts::LN_2
}

/// How many insertions, deletions and replacements at least turn `a` into `b` (Levenshtein 1966), by Wagner and Fischer's table
/// of which one row is kept. Divided by the length of the truth, it is the character or word error rate.
///
/// ```
/// use gradus_nn::edit_distance;
/// let letters = |s: &str| s.chars().collect::<Vec<_>>();
/// assert_eq!(edit_distance(&letters("kitten"), &letters("sitting")), 3);
/// ```
pub fn edit_distance<E: PartialEq>(a: &[E], b: &[E]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
