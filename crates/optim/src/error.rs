//! What can go wrong in a step, and in loading a saved state.

use gradus_tensor::Shape;

/// Why a step was not taken, or a saved state not loaded. Model and optimiser are as they were before.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(transparent)]
pub struct OptimError(Box<Kind>);

impl From<Kind> for OptimError {
    fn from(kind: Kind) -> Self {
        Self(Box::new(kind))
    }
}

impl OptimError {
    /// The paths of the parameters that the error is about.
    pub fn paths(&self) -> Vec<&str> {
        match &*self.0 {
            Kind::MissingGradient { paths, .. } | Kind::NotFinite { paths } | Kind::TooLarge { paths, .. } => {
                paths.iter().map(String::as_str).collect()
            }
            Kind::GradientShape { path, .. } | Kind::ShapeChanged { path, .. } => vec![path],
            _ => Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Kind {
    #[error("no gradient for the trainable parameters [{}]: {why}. Freeze them (set_trainable(false), \
        or a frozen group), or say allow_missing(true)", .paths.join(", "))]
    MissingGradient { paths: Vec<String>, why: String },
    #[error("the gradients of the parameters [{}] are not finite", .paths.join(", "))]
    NotFinite { paths: Vec<String> },
    #[error("{rule} keeps squares of gradients, and those of the parameters [{}] overflow: a gradient of {rule} must lie within \
        ±{limit:e}. Clip the gradients (clip_norm, clip_value) or scale the loss down", .paths.join(", "))]
    TooLarge { rule: String, limit: f64, paths: Vec<String> },
    #[error("the gradient of {path} has shape {got}, the parameter {wanted}")]
    GradientShape { path: String, got: Shape, wanted: Shape },
    #[error("the parameter {path} has shape {got}, and had {wanted} when its state was made")]
    ShapeChanged { path: String, got: Shape, wanted: Shape },
    #[error("no parameter matches the group pattern {pattern:?}; the parameters are [{}]", .paths.join(", "))]
    NoMatch { pattern: String, paths: Vec<String> },
    #[error("before_step: {0}")]
    BeforeStep(String),
    #[error("the schedule gives the rate {lr} at time {time}; expected a finite number of 0 or more")]
    Rate { lr: f64, time: u64 },
    #[error("the schedule needs a metric at the end of each epoch, and end_epoch was given none")]
    MetricWanted,
    #[error("the state is one of {found}, the optimiser is {wanted}")]
    OtherRule { found: String, wanted: String },
    #[error("the state does not fit; missing: [{}]; left over: [{}]; different: [{}]",
        .missing.join(", "), .extra.join(", "), .different.join(", "))]
    State { missing: Vec<String>, extra: Vec<String>, different: Vec<String> },
    #[error("the averaged weights and the model differ at [{}]", .paths.join(", "))]
    OtherModel { paths: Vec<String> },
}
