//! Choosing the next token.

use gradus_tensor::{Float, Rng, Tensor};

/// Chooses a class from logits: the likeliest, or a draw from their softmax, which may be made sharper (temperature below 1) or
/// blunter, and cut off at the likeliest few (Fan et al. 2018, top-k; Holtzman et al. 2020, top-p).
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

    /// A draw from the softmax of the logits divided by the temperature.
    ///
    /// # Panics
    /// When it is not above 0.
    #[track_caller]
    pub fn temperature(temperature: f64) -> Self {
        assert!(temperature > 0.0 && temperature.is_finite(), "sampler: temperature {temperature}; wanted one above 0");
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
    /// When the logits are no matrix, or there are no classes.
    #[track_caller]
    pub fn choose<T: Float>(&self, logits: &Tensor<T>, rng: &mut Rng) -> Tensor<i64> {
        let shape = logits.shape();
        assert!(shape.len() == 2 && shape[1] > 0, "sampler: logits {shape}; wanted [N, classes]");
        let row = |n: usize| logits.select(0, n).to_vec().into_iter().map(|l| l.to_f64()).collect::<Vec<f64>>();
        let chosen: Vec<i64> = (0..shape[0]).map(|n| self.one(&row(n), rng) as i64).collect();
        Tensor::from_vec(chosen, [shape[0]])
    }

    fn one(&self, logits: &[f64], rng: &mut Rng) -> usize {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a])); // stable: the first of equals stays first
        if self.temperature == 0.0 {
            return order[0];
        }
        order.truncate(self.top_k.unwrap_or(usize::MAX));
        let most = logits[order[0]];
        let mut weights: Vec<f64> = order.iter().map(|&i| ((logits[i] - most) / self.temperature).exp()).collect();
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
        order[drawn.unwrap_or(weights.len() - 1)]
    }
}
