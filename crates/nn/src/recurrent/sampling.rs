//! Choosing the next token.

use gradus_tensor::{Float, OrPanic, Rng, ShapeError, Tensor};

/// Chooses a class from logits: the likeliest, or a draw from their softmax, which may be made sharper (temperature below 1) or
/// blunter, and cut off at the likeliest few (Fan et al. 2018, top-k; Holtzman et al. 2020, top-p).
///
/// A logit of minus infinity is never chosen. One of infinity wins; several share the choice evenly. A NaN has no meaning, nor has a
/// row of minus infinities: [`choose`](Self::choose) panics.
///
/// ```
/// use gradus_nn::Sampler;
/// use gradus_tensor::{Rng, Tensor};
/// let logits = Tensor::from([[0.0f32, 3.0, 2.9], [5.0, 0.0, 0.0]]);
/// let rng = &mut Rng::seed(0);
/// assert_eq!(Sampler::greedy().choose(&logits, rng).to_vec(), [1, 0]);
/// let drawn = Sampler::temperature(0.8).top_k(2).choose(&logits, rng).to_vec();
/// assert!(drawn[0] != 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// 0 for the likeliest.
    temperature: f64,
    top_k: Option<usize>,
    top_p: f64,
}

impl Sampler {
    /// Always the likeliest; of several, the first.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, top_k: None, top_p: 1.0 }
    }

    /// A draw from the softmax of the logits divided by the temperature. At 0 it is [`greedy`](Self::greedy); at infinity, all classes
    /// that are possible are as likely.
    ///
    /// # Panics
    /// When it is negative or NaN.
    #[track_caller]
    pub fn temperature(temperature: f64) -> Self {
        assert!(temperature >= 0.0, "sampler: temperature {temperature}; expected 0 or more");
        Self { temperature, top_k: None, top_p: 1.0 }
    }

    /// Of the `k` likeliest only.
    ///
    /// # Panics
    /// When `k` is 0.
    #[must_use]
    #[track_caller]
    pub fn top_k(self, k: usize) -> Self {
        assert!(k > 0, "sampler: the likeliest 0; wanted 1 or more");
        Self { top_k: Some(k), ..self }
    }

    /// Of the fewest likeliest only whose probabilities add up to `p` or more.
    ///
    /// # Panics
    /// When `p` is not above 0 and up to 1.
    #[must_use]
    #[track_caller]
    pub fn top_p(self, p: f64) -> Self {
        assert!(p > 0.0 && p <= 1.0, "sampler: top-p {p}; wanted above 0, up to 1");
        Self { top_p: p, ..self }
    }

    /// A class for each row of logits, `[N, classes]` to `[N]`.
    ///
    /// # Panics
    /// When the logits are no matrix, there are no classes, one is NaN, or all of a row are minus infinity.
    #[track_caller]
    pub fn choose<T: Float>(&self, logits: &Tensor<T>, rng: &mut Rng) -> Tensor<i64> {
        let shape = logits.shape();
        assert!(shape.len() == 2 && shape[1] > 0, "sampler: logits {shape}; wanted [N, classes]");
        let row = |n: usize| logits.select(0, n).to_vec().into_iter().map(|l| l.to_f64()).collect::<Vec<f64>>();
        let rows: Vec<Vec<f64>> = (0..shape[0]).map(row).collect();
        rows.iter().enumerate().try_for_each(|(n, row)| check_logits("sampler", n, row)).or_panic();
        Tensor::from_vec(rows.iter().map(|row| self.one(row, rng) as i64).collect(), [shape[0]])
    }

    fn one(&self, logits: &[f64], rng: &mut Rng) -> usize {
        let mut order: Vec<usize> = (0..logits.len()).filter(|&i| logits[i] != f64::NEG_INFINITY).collect();
        // Stable: the first of equals stays first.
        order.sort_by(|&a, &b| logits[b].partial_cmp(&logits[a]).expect("no logit is NaN"));
        if self.temperature == 0.0 {
            return order[0];
        }
        order.truncate(self.top_k.unwrap_or(usize::MAX));
        let most = logits[order[0]];
        if most == f64::INFINITY {
            order.retain(|&i| logits[i] == most);
        }
        let weight = |&i: &usize| if logits[i] == most { 1.0 } else { ((logits[i] - most) / self.temperature).exp() };
        let mut weights: Vec<f64> = order.iter().map(weight).collect();
        let total: f64 = weights.iter().sum();
        let mut sum = 0.0;
        let enough = weights.iter().position(|w| {
            sum += w;
            sum >= self.top_p * total
        });
        weights.truncate(enough.map_or(usize::MAX, |i| i + 1));
        let mut left = rng.uniform() * weights.iter().sum::<f64>();
        let drawn = weights.iter().position(|w| {
            left -= w;
            left < 0.0
        });
        // Rounding may leave a little; that is the last possible one's.
        let last = || weights.iter().rposition(|w| *w > 0.0).expect("the likeliest has the weight 1");
        order[drawn.unwrap_or_else(last)]
    }
}

/// An error unless the logits of row `n` say which class is likely: none is NaN, and one is above minus infinity.
pub(super) fn check_logits(op: &'static str, n: usize, logits: &[f64]) -> Result<(), ShapeError> {
    if let Some(class) = logits.iter().position(|l| l.is_nan()) {
        return Err(ShapeError::new(op, format!("the logit of class {class} in row {n} is NaN; expected numbers")));
    }
    if logits.iter().all(|l| *l == f64::NEG_INFINITY) {
        return Err(ShapeError::new(op, format!("all logits of row {n} are minus infinity; expected a class that is possible")));
    }
    Ok(())
}
