//! Why there is no gradient.

/// Why [`grad`](crate::grad) has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GradError(pub(crate) String);
