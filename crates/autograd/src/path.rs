//! Paths of parameters in a model, and patterns of them.

/// Where in a model a visit stands: `features.0.weight`.
#[derive(Clone, Debug, Default)]
pub struct Path(String);

impl Path {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Runs `f` one level further down, at `name`.
    pub fn at<R>(&mut self, name: &str, f: impl FnOnce(&mut Self) -> R) -> R {
        let len = self.0.len();
        if len > 0 {
            self.0.push('.');
        }
        self.0.push_str(name);
        let result = f(self);
        self.0.truncate(len);
        result
    }

    /// As [`at`](Self::at), for item `index` of a list.
    pub fn at_index<R>(&mut self, index: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        self.at(&index.to_string(), f)
    }
}

/// Whether `path` fits `pattern`, in which `*` stands for any run of characters, dots included.
///
/// ```
/// use gradus_autograd::path_matches;
/// assert!(path_matches("features.*.weight", "features.0.conv.weight"));
/// assert!(!path_matches("*.bias", "features.0.weight"));
/// ```
pub fn path_matches(pattern: &str, path: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == path };
    let Some(mut text) = path.strip_prefix(head) else { return false };
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
        fn it_is_what_it_says(pattern in "[ab.*]{0,7}", text in "[ab.]{0,9}") {
            prop_assert_eq!(path_matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn patterns_cross_dots() {
        assert!(
            path_matches("features.*", "features.0.weight")
                && path_matches("*.bias", "features.0.bias")
                && path_matches("*", "w")
        );
        assert!(!path_matches("features.*", "features") && !path_matches("*.bias", "bias") && !path_matches("feat", "features"));
    }
}
