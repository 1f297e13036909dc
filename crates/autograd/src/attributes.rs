//! Attributes: what decides an op's result besides its inputs, as names and values that print.

use gradus_tensor::shape::AxisList;
use gradus_tensor::{Shape, Tensor};
use std::fmt;

/// The value of one attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A switch.
    Bool(bool),
    /// A whole number, such as an axis.
    Int(i64),
    /// A number, such as a power.
    Float(f64),
    /// A name.
    Text(String),
    /// Whole numbers, such as a shape, axes or strides.
    Ints(Vec<i64>),
    /// A mask.
    Mask(Tensor<bool>),
    /// Indices.
    Index(Tensor<i64>),
    /// A table of numbers, such as interpolation weights.
    Table(Tensor<f64>),
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v}"),
            Self::Text(v) => write!(f, "{v}"),
            Self::Ints(v) => write!(f, "{v:?}"),
            Self::Mask(v) => write!(f, "mask of {}", v.shape()),
            Self::Index(v) => write!(f, "indices of {}", v.shape()),
            Self::Table(v) => write!(f, "numbers of {}", v.shape()),
        }
    }
}

macro_rules! conversions {
    ($($from:ty: |$v:ident| $attribute:expr;)*) => {$(
        impl From<$from> for Attribute {
            fn from($v: $from) -> Self {
                $attribute
            }
        }
    )*};
}

/// Sizes and axes are at most `isize::MAX`.
fn int(v: usize) -> i64 {
    i64::try_from(v).unwrap_or(i64::MAX)
}

conversions! {
    bool: |v| Self::Bool(v);
    i64: |v| Self::Int(v);
    usize: |v| Self::Int(int(v));
    isize: |v| Self::Int(v as i64);
    f64: |v| Self::Float(v);
    &str: |v| Self::Text(v.into());
    String: |v| Self::Text(v);
    Vec<i64>: |v| Self::Ints(v);
    &[usize]: |v| Self::Ints(v.iter().map(|&v| int(v)).collect());
    [usize; 2]: |v| Self::from(&v[..]);
    [[usize; 2]; 2]: |v| Self::from(v.as_flattened());
    &[[usize; 2]]: |v| Self::from(v.as_flattened());
    &Shape: |v| Self::from(&v[..]);
    &AxisList: |v| Self::from(&v[..]);
    &Tensor<bool>: |v| Self::Mask(v.clone());
    &Tensor<i64>: |v| Self::Index(v.clone());
    Tensor<f64>: |v| Self::Table(v);
}

/// What decides an op's result besides its inputs: stride, axes, exponent. Prints as `axis=1, keep=true`.
///
/// ```
/// use gradus_autograd::{Attribute, Attributes};
/// let attributes = Attributes::new().with("axis", 1usize).with("exponent", 0.5);
/// assert_eq!(attributes.to_string(), "axis=1, exponent=0.5");
/// assert_eq!(attributes.get("exponent"), Some(&Attribute::Float(0.5)));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(Vec<(&'static str, Attribute)>);

impl Attributes {
    /// No attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Attribute>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// One more, if it is there.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Attribute>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The value of the attribute `name`.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The names and values, in the order in which the op lists them.
    pub fn iter(&self) -> std::slice::Iter<'_, (&'static str, Attribute)> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = &'a (&'static str, Attribute);
    type IntoIter = std::slice::Iter<'a, (&'static str, Attribute)>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}={value}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
