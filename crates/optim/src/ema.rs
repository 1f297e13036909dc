//! Averages of the weights over time.

use crate::error::{Kind, OptimError};
use crate::rule::assert_option;
use gradus_autograd::{Module, Param, Path};
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Tensor};
use std::collections::BTreeMap;

/// An exponential moving average of a model's weights, which often does better than the last of them:
/// `avg <- decay avg + (1 - decay) w`, from the first weights seen.
///
/// Polyak and Juditsky, *Acceleration of stochastic approximation by averaging*, 1992; PyTorch's `AveragedModel` with
/// `get_ema_multi_avg_fn`. Buffers are not averaged: they stay the model's.
///
/// ```
/// use gradus_autograd::Param;
/// use gradus_optim::Ema;
/// let mut net = vec![Param::<f64>::new([1.0].into())];
/// let mut ema = Ema::new(0.75);
/// ema.update(&net)?;
/// net[0].set([2.0].into());
/// ema.update(&net)?;
/// ema.swap(&mut net)?; // evaluate with the averaged weights …
/// assert_eq!(net[0].value().to_vec(), [1.25]);
/// ema.swap(&mut net)?; // … and go on training with the model's own
/// assert_eq!(net[0].value().to_vec(), [2.0]);
/// # Ok::<(), gradus_optim::OptimError>(())
/// ```
#[doc(alias("AveragedModel", "swa_utils", "use_ema", "ema_momentum"))]
#[derive(Clone, Debug)]
pub struct Ema<T: Float = f32> {
    decay: f64,
    weights: BTreeMap<String, Tensor<T>>,
}

#[compiled_once]
impl<T: Float> Ema<T> {
    /// An average of which a step keeps `decay`; PyTorch's default is 0.999.
    ///
    /// # Panics
    /// When `decay` is not in `0.0..=1.0`.
    #[track_caller]
    pub fn new(decay: f64) -> Self {
        assert_option("decay", decay, 0.0..=1.0);
        Self { decay, weights: BTreeMap::new() }
    }

    /// Takes the weights of `model` into the average; the first time, they become it.
    ///
    /// # Errors
    /// When the model has other parameters than before; the average stays as it was.
    pub fn update<M: Module<T> + ?Sized>(&mut self, model: &M) -> Result<(), OptimError> {
        self.average(&model.named_parameters())
    }

    fn average(&mut self, params: &[(String, &Param<T>)]) -> Result<(), OptimError> {
        if self.weights.is_empty() {
            self.weights = params.iter().map(|(path, p)| (path.clone(), p.value().copy())).collect();
            return Ok(());
        }
        self.check(params)?;
        let (keep, take) = (T::lit(self.decay), T::lit(1.0 - self.decay));
        for (path, p) in params {
            let average = self.weights.get_mut(path).expect("checked above");
            average.update_with(p.value(), [], move |avg, w, []| *avg = keep * *avg + take * w);
        }
        Ok(())
    }

    /// Exchanges the averaged weights with the model's; a second call puts both back. No number is copied.
    ///
    /// # Errors
    /// When the model has other parameters than those averaged, or nothing has been averaged yet; nothing is exchanged.
    pub fn swap<M: Module<T> + ?Sized>(&mut self, model: &mut M) -> Result<(), OptimError> {
        self.check(&model.named_parameters())?;
        model.visit_mut(&mut Path::default(), &mut |path, p| {
            let average = self.weights.get_mut(path.as_str()).expect("checked above");
            std::mem::swap(average, p.value_mut());
        });
        Ok(())
    }

    /// The averaged weights by path.
    pub fn weights(&self) -> &BTreeMap<String, Tensor<T>> {
        &self.weights
    }

    /// An average to go on from, as [`weights`](Self::weights) gave it.
    pub fn with_weights(mut self, weights: BTreeMap<String, Tensor<T>>) -> Self {
        self.weights = weights;
        self
    }

    fn check(&self, params: &[(String, &Param<T>)]) -> Result<(), OptimError> {
        let fits = |(path, p): &&(String, &Param<T>)| self.weights.get(path).is_some_and(|w| w.shape() == p.shape());
        let strange = params.iter().filter(|p| !fits(p)).map(|(path, _)| path.clone());
        let gone = self.weights.keys().filter(|path| !params.iter().any(|(own, _)| own == *path)).cloned();
        let paths: Vec<String> = strange.chain(gone).collect();
        if paths.is_empty() { Ok(()) } else { Err(Kind::OtherModel { paths }.into()) }
    }
}
