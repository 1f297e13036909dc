//! Settings for some of the parameters, chosen by path.

use crate::rule::assert_option;

/// Settings of their own for the parameters whose path fits a pattern. In a pattern `*` stands for any run of
/// characters, dots included: `features.*`, `*.bias`, `encoder.*.weight`.
///
/// What a group leaves open is the optimiser's. If several groups fit a parameter, all apply, later ones over earlier.
///
/// ```
/// use gradus_optim::{AdamW, Group, Optimizer};
/// let opt: Optimizer<AdamW> = AdamW::new(1e-3)
///     .group(Group::new("features.*").lr(1e-4))
///     .group(Group::new("*.bias").weight_decay(0.0));
/// assert_eq!(opt.lr_of("features.0.bias"), 1e-4);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub(crate) pattern: String,
    pub(crate) lr: Option<f64>,
    pub(crate) weight_decay: Option<f64>,
    pub(crate) frozen: Option<bool>,
}

impl Group {
    /// The parameters whose path fits `pattern`.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), lr: None, weight_decay: None, frozen: None }
    }

    /// Their learning rate, before the schedule.
    ///
    /// # Panics
    /// When `lr` is negative or not finite.
    #[track_caller]
    pub fn lr(mut self, lr: f64) -> Self {
        assert_option("lr", lr, 0.0..);
        self.lr = Some(lr);
        self
    }

    /// Their weight decay.
    ///
    /// # Panics
    /// When `weight_decay` is negative or not finite.
    #[track_caller]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        assert_option("weight_decay", weight_decay, 0.0..);
        self.weight_decay = Some(weight_decay);
        self
    }

    /// Whether they stay as they are, gradient or not. To spare the work of the gradients as well, make the parameters
    /// untrainable.
    pub fn frozen(mut self, frozen: bool) -> Self {
        self.frozen = Some(frozen);
        self
    }

    pub(crate) fn fits(&self, path: &str) -> bool {
        glob(&self.pattern, path)
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The earliest place for each part leaves the most to the others.
    for part in middle.split('*') {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By the definition, in exponential time.
    fn naive(p: &[u8], t: &[u8]) -> bool {
        match p {
            [] => t.is_empty(),
            [b'*', rest @ ..] => (0..=t.len()).any(|n| naive(rest, &t[n..])),
            [c, rest @ ..] => t.first() == Some(c) && naive(rest, &t[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn glob_is_what_it_says(pattern in "[ab.*]{0,7}", text in "[ab.]{0,9}") {
            prop_assert_eq!(glob(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn patterns_cross_dots() {
        assert!(glob("features.*", "features.0.weight") && glob("*.bias", "features.0.bias") && glob("*", "w"));
        assert!(!glob("features.*", "features") && !glob("*.bias", "bias") && !glob("feat", "features"));
    }
}
