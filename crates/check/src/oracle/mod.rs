//! The witnesses: independent ways to a derivative, each with its own blind spots.

pub(crate) mod difference;
pub(crate) mod kink;
pub(crate) mod taylor;

use std::fmt;

/// A way to know a derivative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oracle {
    /// Central differences, Richardson-extrapolated, with their own error estimate.
    Differences,
    /// `|f(x + hu) - f(x) - h <g, u>|` falls as `h²` for the right gradient, as `h` for a wrong one.
    Taylor,
    /// `<v, J u> = <Jᵀ v, u>`, between forward and reverse mode.
    Adjoint,
    /// Dual numbers through the forward formula.
    Dual,
}

impl Oracle {
    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Oracle::Differences => "differences",
            Oracle::Taylor => "taylor",
            Oracle::Adjoint => "adjoint",
            Oracle::Dual => "dual",
        }
    }
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an oracle says of a claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Opinion {
    /// The claim is right, as closely as the oracle sees.
    Agrees,
    /// The claim is wrong.
    Disagrees,
    /// The oracle cannot tell, for noise or a kink.
    Unresolved,
}

impl Opinion {
    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Opinion::Agrees => "agrees",
            Opinion::Disagrees => "disagrees",
            Opinion::Unresolved => "cannot tell",
        }
    }
}
