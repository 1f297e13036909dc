//! Pictures mixed with one another, and their labels with them.

use super::augmented::source;
use crate::dataset::Dataset;
use crate::error::DataError;
use gradus_tensor::{Rng, Tensor};

/// Pictures blended in pairs (Zhang et al. 2018); see [`Dataset::mixup`].
#[derive(Clone, Debug)]
pub struct Mixup<D> {
    data: D,
    classes: usize,
    alpha: f64,
    seed: u64,
}

impl<D> Mixup<D> {
    pub(crate) fn new(data: D, classes: usize, alpha: f64, seed: u64) -> Result<Self, DataError> {
        if classes == 0 || !(alpha > 0.0 && alpha.is_finite()) {
            return Err(DataError::new(format!("mixup: {classes} classes and an alpha of {alpha}; wanted both above 0")));
        }
        Ok(Self { data, classes, alpha, seed })
    }
}

/// A draw from the gamma distribution of shape `alpha` and scale 1, as its logarithm, since small shapes give numbers that
/// no float holds (Marsaglia and Tsang 2000).
fn ln_gamma(alpha: f64, rng: &mut Rng) -> f64 {
    if alpha < 1.0 {
        let larger = ln_gamma(alpha + 1.0, rng);
        return larger + libm::log(1.0 - rng.uniform()) / alpha;
    }
    let d = alpha - 1.0 / 3.0;
    loop {
        let z = rng.normal();
        let v = 1.0 + z / (9.0 * d).sqrt();
        if v > 0.0 {
            let ln_v3 = 3.0 * libm::log(v);
            if libm::log(1.0 - rng.uniform()) < 0.5 * z * z + d - d * v * v * v + d * ln_v3 {
                return libm::log(d) + ln_v3;
            }
        }
    }
}

/// A draw from Beta(`alpha`, `alpha`).
fn beta(alpha: f64, rng: &mut Rng) -> f64 {
    let (a, b) = (ln_gamma(alpha, rng), ln_gamma(alpha, rng));
    1.0 / (1.0 + libm::exp(b - a))
}

impl<D: Dataset<Batch = (Tensor<f32>, Tensor<i64>)>> Dataset for Mixup<D> {
    type Batch = (Tensor<f32>, Tensor<f32>);

    fn len(&self) -> usize {
        self.data.len()
    }

    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        self.batch_of_epoch(indices, 0)
    }

    fn batch_of_epoch(&self, indices: &[usize], epoch: u64) -> Result<Self::Batch, DataError> {
        let (inputs, labels) = self.data.batch_of_epoch(indices, epoch)?;
        let (n, labels) = (indices.len(), labels.to_vec());
        if labels.len() != n || inputs.shape().first() != Some(&n) {
            let (x, y) = (inputs.shape(), labels.len());
            return Err(DataError::new(format!(
                "mixup: a batch of shape {x} with {y} labels for {n} samples; wanted [N, ..] and [N]"
            )));
        }
        if let Some(l) = labels.iter().find(|&&l| l < 0 || l as usize >= self.classes) {
            return Err(DataError::new(format!("mixup: a label of {l}; the {} classes are numbered from 0", self.classes)));
        }
        // Not the numbers that an augmentation of the same seed draws.
        let rng = |i: usize| source(!self.seed, epoch, i);
        let shares: Vec<f32> = indices.iter().map(|&i| beta(self.alpha, &mut rng(i)) as f32).collect();
        let partner = |i: usize| (i + n - 1) % n;
        let whole = inputs.contiguous();
        let from = whole.as_slice().expect("contiguous");
        let width: usize = inputs.shape()[1..].iter().product();
        let mixed = Tensor::build(inputs.shape().clone(), |out| {
            for (i, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
                let (share, own, other) = (shares[i], &from[i * width..], &from[partner(i) * width..]);
                // A share that rounds to all or nothing leaves the other out, whatever it is.
                let mix = |a: f32, b: f32| match share {
                    1.0 => a,
                    0.0 => b,
                    _ => share * a + (1.0 - share) * b,
                };
                out.iter_mut().zip(own).zip(other).for_each(|((to, &a), &b)| *to = mix(a, b));
            }
        });
        let mut targets = vec![0.0; n * self.classes];
        for (i, row) in targets.chunks_exact_mut(self.classes).enumerate() {
            row[labels[i] as usize] += shares[i];
            row[labels[partner(i)] as usize] += 1.0 - shares[i];
        }
        Ok((mixed, Tensor::from_vec(targets, [n, self.classes])))
    }
}
