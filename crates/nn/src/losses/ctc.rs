//! Connectionist temporal classification.

use super::{BatchWeight, Loss, OutputKind, Reduction};
use crate::recurrent::Sequence;
use gradus_autograd::{Var, check_ctc};
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// Connectionist temporal classification (Graves et al. 2006): `-ln` of the probability of a target, over all ways of saying it
/// in more steps than it has labels, with blanks between and labels repeated. The output must be logits, with a class for the blank;
/// log-probabilities are logits too.
///
/// The mean is PyTorch's: each loss is divided by the number of its labels first (by 1 if there are none).
///
/// ```
/// use gradus_nn::{Ctc, Sequence};
/// use gradus_tensor::Tensor;
/// // Four steps of three classes, the first of which is the blank; nothing is known yet.
/// let logits = Sequence::new(Tensor::<f64>::zeros([2, 4, 3])).with_lengths(&[4, 2]);
/// let loss = Ctc::new().of(&logits, &[vec![1, 2], vec![2]]);
/// // 15 of 81 paths say 1, 2; of 9 paths 3 say 2.
/// let expected = (-(15f64 / 81.0).ln() / 2.0 - (3f64 / 9.0).ln()) / 2.0;
/// assert!((loss.item() - expected).abs() < 1e-12);
/// ```
#[doc(alias("CTCLoss", "ctc_loss"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ctc {
    blank: usize,
    reduction: Reduction,
}

impl Ctc {
    /// The mean, with class 0 for the blank.
    pub fn new() -> Self {
        Self::default()
    }

    /// With another class for the blank.
    #[must_use]
    pub fn blank(self, blank: usize) -> Self {
        Self { blank, ..self }
    }

    /// With another reduction.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        Self { reduction, ..self }
    }

    /// The loss of logits `[.., classes]`, of which only the steps that are there are read.
    ///
    /// # Panics
    /// When there is not one target for each sequence, a label is no class or the blank, or a target is longer than its input: it
    /// takes a step for each label, and one between equal neighbours.
    #[track_caller]
    pub fn of<T: Float>(&self, logits: &Sequence<T>, targets: &[Vec<usize>]) -> Var<T> {
        self.check_origin(logits.steps()).or_panic();
        if logits.steps().rank() != 3 {
            Err(ShapeError::new("ctc", format!("logits of steps {}; wanted [T, N, C]", logits.steps().shape()))).or_panic()
        }
        let losses = logits.zero_padding().steps().log_softmax(2).ctc(targets, logits.mask(), self.blank);
        if self.reduction == Reduction::Mean {
            let shares = targets.iter().map(|t| T::lit(1.0 / t.len().max(1) as f64)).collect();
            return (losses * Var::constant(Tensor::from_vec(shares, [targets.len()]))).mean(..);
        }
        self.reduction.apply(losses)
    }

    fn check_origin<T: Float>(&self, logits: &Var<T>) -> Result<(), ShapeError> {
        OutputKind::Logits.check_origin("ctc", logits, "leave out the last softmax, which this loss computes itself")
    }

    /// The labels of each sequence's likeliest path: the likeliest class at each step, repeats merged, blanks left out.
    ///
    /// ```
    /// use gradus_nn::{Ctc, Sequence};
    /// use gradus_tensor::Tensor;
    /// let path = Tensor::from([[1i64, 1, 0, 1, 2]]);
    /// assert_eq!(Ctc::new().decode(&Sequence::new(path.one_hot::<f32>(3))), [[1, 1, 2]]);
    /// ```
    #[track_caller]
    pub fn decode<T: Float>(&self, logits: &Sequence<T>) -> Vec<Vec<usize>> {
        let path = logits.steps().value().argmax(-1);
        let row = |n: usize| {
            let there = (0..logits.len()).filter(|&t| logits.mask().is_none_or(|m| m.at([t, n])));
            let mut labels: Vec<usize> = there.map(|t| path.at([t, n]) as usize).collect();
            labels.dedup();
            labels.retain(|&label| label != self.blank);
            labels
        };
        (0..logits.batch()).map(row).collect()
    }
}

/// Of logits `[N, T, C]`, all of whose steps are there.
#[compiled_once]
impl<T: Float> Loss<T, Vec<Vec<usize>>> for Ctc {
    #[track_caller]
    fn loss(&self, output: &Var<T>, targets: &Vec<Vec<usize>>) -> Var<T> {
        Loss::<T, _>::check(self, output.shape(), targets).or_panic();
        self.of(&Sequence::new(output), targets)
    }

    fn weight(&self, targets: &Vec<Vec<usize>>, _: usize) -> BatchWeight {
        self.reduction.weight(targets.len() as f64)
    }

    fn check(&self, output: &[usize], targets: &Vec<Vec<usize>>) -> Result<(), ShapeError> {
        let &[samples, steps, classes] = output else {
            return Err(ShapeError::new("ctc", format!("logits {output:?}; wanted [N, T, C]")));
        };
        check_ctc(&[steps, samples, classes], targets, None, self.blank)
    }

    fn check_output(&self, output: &Var<T>) -> Result<(), ShapeError> {
        self.check_origin(output)
    }

    fn output_kind(&self) -> OutputKind {
        OutputKind::Logits
    }
}
