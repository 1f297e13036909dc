//! What kind of numbers a model's output is, and what kind a loss takes.

use gradus_autograd::Var;
use gradus_tensor::{Float, ShapeError, Tensor};
use std::fmt;

/// What kind of numbers a model's output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputKind {
    /// Any numbers.
    #[default]
    Any,
    /// Any numbers, which softmax or sigmoid turns into probabilities: the output of a last linear layer.
    Logits,
    /// Numbers from 0 to 1: the output of softmax or sigmoid.
    Probabilities,
    /// Logarithms of probabilities: the output of log-softmax.
    LogProbabilities,
}

impl fmt::Display for OutputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any numbers",
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
            Self::LogProbabilities => "log-probabilities",
        })
    }
}

/// Ops whose result is of the same kind as their operand.
const VIEWS: &[&str] = &[
    "reshape",
    "permute",
    "transpose",
    "expand",
    "slice",
    "index_select",
    "gather",
    "flip",
    "roll",
    "repeat",
    "masked_fill",
    "clamp",
    "concat",
    "stack",
    "dropout",
];
const PROBABILITIES: &[&str] = &["softmax", "sigmoid", "hardsigmoid"];
/// Ops whose result is no distribution, or only by chance.
const SCORES: &[&str] = &[
    "linear",
    "linear_relu",
    "matmul",
    "conv2d",
    "conv2d_relu",
    "relu",
    "tanh",
    "sigmoid",
    "softmax",
    "hardsigmoid",
    "log_sigmoid",
];

impl OutputKind {
    /// An error when the op that computed `output` shows that it is of another kind; `instead` says what to write. Logarithms of a
    /// softmax are logits too, as a softmax makes the same probabilities of them.
    pub(crate) fn check_origin<T: Float>(self, op: &'static str, output: &Var<T>, instead: &str) -> Result<(), ShapeError> {
        let Some((source, at)) = output.source_op(VIEWS) else { return Ok(()) };
        let wrong = match self {
            Self::Logits => PROBABILITIES.contains(&source) || source == "log_sigmoid",
            Self::LogProbabilities => SCORES.contains(&source),
            Self::Any | Self::Probabilities => false,
        };
        if !wrong {
            return Ok(());
        }
        let detail = format!(
            "expected {self}, got an output that is computed by `{source}` (called at {}:{}): {instead}",
            at.file(),
            at.line()
        );
        Err(ShapeError::new(op, detail))
    }

    /// Whether the values could be of another kind than this: what a trainer asks where no tape shows where they come from.
    ///
    /// ```
    /// use gradus_nn::OutputKind;
    /// use gradus_tensor::Tensor;
    /// assert!(OutputKind::Logits.is_doubtful(&Tensor::from([[0.25, 0.75]])));
    /// assert!(!OutputKind::Logits.is_doubtful(&Tensor::from([[-1.5, 2.0]])));
    /// ```
    pub fn is_doubtful<T: Float>(self, values: &Tensor<T>) -> bool {
        let all = |f: fn(T) -> bool| values.to_vec().into_iter().all(f);
        match self {
            Self::Logits => all(|v| v >= T::zero() && v <= T::one()) || all(|v| v <= T::zero()),
            Self::LogProbabilities => !all(|v| v <= T::zero()),
            Self::Any | Self::Probabilities => false,
        }
    }
}

/// An error unless every value is a probability; NaN passes, for it is reported as the loss that it becomes.
pub(crate) fn check_probabilities<T: Float>(op: &'static str, values: &Tensor<T>) -> Result<(), ShapeError> {
    match values.to_vec().into_iter().find(|&v| v < T::zero() || v > T::lit(1.0 + 1e-6)) {
        Some(v) => Err(ShapeError::new(op, format!("expected probabilities from 0 to 1, got {v}: end in a softmax or sigmoid"))),
        None => Ok(()),
    }
}
