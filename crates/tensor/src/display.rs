//! Printing, as NumPy does it: columns aligned, long axes abridged, long rows wrapped.

use crate::compiled_once::compiled_once;
use crate::element::{DType, Element};
use crate::tensor::Tensor;
use std::any::Any;
use std::fmt;

/// Tensors of more elements than this are abridged.
const THRESHOLD: usize = 1000;
/// So many items at either end of an axis remain.
const EDGE: usize = 3;
/// Rows of numbers wrap at this width.
const WIDTH: usize = 75;

/// A count with commas between thousands: `431,080`.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// Rows in brackets, numbers in columns with up to 4 decimals, or as many as `{:.6}` asks for;
/// powers of ten when the range demands them. Of more than 1000 elements, only the ends of each axis.
///
/// ```
/// use gradus_tensor::Tensor;
/// let x = Tensor::from([[1.0f32, 2.5], [-3.0, 4.0]]);
/// assert_eq!(x.to_string(), "[[ 1.   2.5]\n [-3.   4. ]]");
/// ```
impl<T: Element> fmt::Display for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rank() == 0 {
            return scalar(self.item(), f);
        }
        self.print(f, f.precision().unwrap_or(4))
    }
}

/// A line with type and shape, then as [`Display`](fmt::Display) with up to 8 decimals.
impl<T: Element> fmt::Debug for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match T::DTYPE {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::Bool => "bool",
        };
        writeln!(f, "Tensor<{name}> {}", self.shape)?;
        if self.rank() == 0 {
            return scalar(self.item(), f);
        }
        self.print(f, f.precision().unwrap_or(8))
    }
}

#[compiled_once]
impl<T: Element> Tensor<T> {
    fn print(&self, f: &mut fmt::Formatter<'_>, precision: usize) -> fmt::Result {
        if self.numel() == 0 {
            return f.write_str("[]");
        }
        let abridged = self.numel() > THRESHOLD;
        let shown: Vec<Vec<usize>> = self
            .shape
            .iter()
            .map(|&n| match abridged && n > 2 * EDGE {
                true => (0..EDGE).chain(n - EDGE..n).collect(),
                false => (0..n).collect(),
            })
            .collect();
        let mut values = vec![];
        self.visit(&shown, self.offset as isize, &mut values);
        let words = words(&values, precision);
        let layout = Layout { shape: &self.shape, shown: &shown, words: &words };
        f.write_str(&layout.nested(0, &mut 0))
    }

    /// Collects the elements at the indices `shown` of the last axes, from the buffer's element `at` on.
    fn visit(&self, shown: &[Vec<usize>], at: isize, out: &mut Vec<T>) {
        let Some((indices, inner)) = shown.split_first() else {
            return out.push(self.raw()[at as usize]);
        };
        let stride = self.strides[self.rank() - shown.len()];
        for &i in indices {
            self.visit(inner, at + i as isize * stride, out);
        }
    }
}

/// One number on its own: all its digits, or as the format asks.
fn scalar<T: Element>(v: T, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match Real::of(v) {
        Some(real) if f.precision().is_none() && f.width().is_none() => f.write_str(&real.alone()),
        _ => fmt::Display::fmt(&v, f),
    }
}

/// The words of a tensor and how they nest.
struct Layout<'a> {
    shape: &'a [usize],
    shown: &'a [Vec<usize>],
    words: &'a [String],
}

impl Layout<'_> {
    /// Everything along `axis` and below, in brackets, from word number `next` on.
    fn nested(&self, axis: usize, next: &mut usize) -> String {
        let indent = " ".repeat(axis + 1);
        let indices = &self.shown[axis];
        let cut = indices.len() < self.shape[axis];
        let last_axis = axis + 1 == self.shape.len();
        if last_axis {
            return self.row(indices.len(), cut, &indent, next);
        }
        let separator = "\n".repeat(self.shape.len() - axis - 1) + &indent;
        let mut parts = vec![];
        for i in 0..indices.len() {
            if cut && i == EDGE {
                parts.push("...".to_owned());
            }
            parts.push(self.nested(axis + 1, next));
        }
        format!("[{}]", parts.join(&separator))
    }

    /// `n` words between brackets, wrapped so that brackets of all axes still fit.
    fn row(&self, n: usize, cut: bool, indent: &str, next: &mut usize) -> String {
        let mut words: Vec<&str> = self.words[*next..*next + n].iter().map(String::as_str).collect();
        *next += n;
        if cut {
            words.insert(EDGE, "...");
        }
        let width = WIDTH - (indent.len() - 1).min(WIDTH);
        let (mut text, mut line) = (String::new(), indent.to_owned());
        for (i, word) in words.iter().enumerate() {
            let room = if i + 1 == words.len() { width } else { width - 1 };
            if line.len() + word.len() > room && line.len() > indent.len() {
                text += line.trim_end();
                text += "\n";
                line = indent.to_owned();
            }
            line += word;
            if i + 1 < words.len() {
                line += " ";
            }
        }
        text += &line;
        format!("[{}]", &text[indent.len()..])
    }
}

/// Each value as text, all of one width.
fn words<T: Element>(values: &[T], precision: usize) -> Vec<String> {
    let reals: Option<Vec<Real>> = values.iter().map(|&v| Real::of(v)).collect();
    let words: Vec<String> = match reals {
        Some(reals) => return real_words(&reals, precision),
        None if T::DTYPE == DType::Bool => {
            values.iter().map(|v| if v.to_string() == "true" { " True" } else { "False" }.to_owned()).collect()
        }
        None => values.iter().map(T::to_string).collect(),
    };
    let width = words.iter().map(String::len).max().unwrap_or(0);
    words.into_iter().map(|w| format!("{w:>width$}")).collect()
}

/// A number of either float type, as the shortest digits that tell it from its neighbours differ.
#[derive(Clone, Copy)]
enum Real {
    Single(f32),
    Double(f64),
}

/// Calls a method of the number inside.
macro_rules! inside {
    ($real:expr, $v:ident => $body:expr) => {
        match $real {
            Real::Single($v) => $body,
            Real::Double($v) => $body,
        }
    };
}

impl Real {
    fn of<T: Element>(v: T) -> Option<Self> {
        let v: &dyn Any = &v;
        v.downcast_ref().map(|&v| Self::Single(v)).or_else(|| v.downcast_ref().map(|&v| Self::Double(v)))
    }

    fn to_f64(self) -> f64 {
        match self {
            Self::Single(v) => v.into(),
            Self::Double(v) => v,
        }
    }

    /// The digits before and after the point, at most `precision` of the latter, and no zeros at the end.
    fn positional(self, precision: usize) -> (String, String) {
        let shortest = inside!(self, v => v.to_string());
        let digits = shortest.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let text = if digits > precision { inside!(self, v => format!("{v:.precision$}")) } else { shortest };
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        (whole.to_owned(), fraction.trim_end_matches('0').to_owned())
    }

    /// As `d.dd` with at most `precision` decimals and no zeros at the end, and the power of ten.
    fn scientific(self, precision: usize) -> (String, String, i32) {
        let shortest = inside!(self, v => format!("{v:e}"));
        let digits = shortest.split('e').next().and_then(|m| m.split_once('.')).map_or(0, |(_, fraction)| fraction.len());
        let text = if digits > precision { inside!(self, v => format!("{v:.precision$e}")) } else { shortest };
        let (mantissa, exponent) = text.split_once('e').expect("written with `e`");
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        (whole.to_owned(), fraction.trim_end_matches('0').to_owned(), exponent.parse().expect("a whole number"))
    }

    /// The shortest text that reads back as this number.
    fn alone(self) -> String {
        let size = self.to_f64().abs();
        if !size.is_finite() {
            return non_finite(self.to_f64()).to_owned();
        }
        if size != 0.0 && !(1e-4..1e16).contains(&size) {
            let (whole, fraction, exponent) = self.scientific(usize::MAX);
            let point = if fraction.is_empty() { "" } else { "." };
            return format!("{whole}{point}{fraction}e{}", power(exponent, 2));
        }
        let (whole, fraction) = self.positional(usize::MAX);
        format!("{whole}.{}", if fraction.is_empty() { "0" } else { &fraction })
    }
}

fn non_finite(v: f64) -> &'static str {
    match v {
        f64::INFINITY => "inf",
        f64::NEG_INFINITY => "-inf",
        _ => "nan",
    }
}

/// A power of ten with its sign and `width` digits or more.
fn power(exponent: i32, width: usize) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{:0width$}", exponent.unsigned_abs())
}

/// Floats by NumPy's rules: powers of ten from 1e8 on (1e6 for `f32`), below 1e-4, or when the largest is more than
/// 1000 times the smallest; otherwise the points stand under each other.
fn real_words(values: &[Real], precision: usize) -> Vec<String> {
    let finite: Vec<Real> = values.iter().copied().filter(|v| v.to_f64().is_finite()).collect();
    let sizes = || finite.iter().map(|v| v.to_f64().abs()).filter(|&v| v != 0.0);
    let (low, high) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max));
    // NumPy compares in the type of the elements; so does this, as 1e-4 is another number there.
    let single = matches!(values.first(), Some(Real::Single(_)));
    let ratio_is_large = if single { high as f32 / low as f32 > 1000.0 } else { high / low > 1000.0 };
    let low_is_small = low < if single { f64::from(1e-4f32) } else { 1e-4 };
    let mut texts: Vec<(String, String)> = vec![];
    if high > 0.0 && (high >= if single { 1e6 } else { 1e8 } || low_is_small || ratio_is_large) {
        let parts: Vec<_> = finite.iter().map(|v| v.scientific(precision)).collect();
        let decimals = parts.iter().map(|p| p.1.len()).max().unwrap_or(0);
        let digits = parts.iter().map(|p| p.2.unsigned_abs().to_string().len()).max().unwrap_or(0).max(2);
        for (whole, fraction, exponent) in parts {
            texts.push((whole, format!("{fraction:0<decimals$}e{}", power(exponent, digits))));
        }
    } else {
        texts.extend(finite.iter().map(|v| v.positional(precision)));
    }
    let right = texts.iter().map(|t| t.1.len()).max().unwrap_or(0);
    let mut left = texts.iter().map(|t| t.0.len()).max().unwrap_or(0);
    for v in values.iter().map(|v| v.to_f64()).filter(|v| !v.is_finite()) {
        left = left.max(non_finite(v).len().saturating_sub(right + 1));
    }
    let mut texts = texts.into_iter();
    let word = |v: &Real| match v.to_f64() {
        v if !v.is_finite() => format!("{:>width$}", non_finite(v), width = left + right + 1),
        _ => {
            let (whole, fraction) = texts.next().expect("one text for each finite value");
            format!("{whole:>left$}.{fraction:<right$}")
        }
    };
    values.iter().map(word).collect()
}
