//! What goes wrong with shapes, and how it is reported.

use std::fmt;
use std::panic::Location;

/// An operand's shape or an argument does not fit an operation.
///
/// Every check of this crate is a function that returns `Result<_, ShapeError>`; the fluent
/// methods call the same function and panic with its message, pointing at the caller's line.
///
/// ```
/// use gradus_tensor::shape::broadcast_shapes;
/// let err = broadcast_shapes("add", &[2, 3], &[4]).unwrap_err();
/// assert_eq!(err.to_string(), "add: shapes [2, 3] and [4] do not broadcast: axis -1 is 3 against 4; sizes must be equal, or one of them 1");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ShapeError {
    op: &'static str,
    detail: String,
}

impl ShapeError {
    /// An error of the operation `op`; `detail` says what differs and what would have fitted.
    pub fn new(op: &'static str, detail: impl Into<String>) -> Self {
        Self { op, detail: detail.into() }
    }

    /// The operation that refused its operands.
    pub fn op(&self) -> &'static str {
        self.op
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.op, self.detail)
    }
}

impl fmt::Debug for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ShapeError {}

/// Unwraps a check on behalf of a fluent method: panics as
/// `matmul at src/net.rs:41: inner sizes differ: [32, 784] x [512, 10]`.
pub trait OrPanic<T> {
    /// The value, or a panic that names the op and the caller's line.
    fn or_panic(self) -> T;
}

impl<T> OrPanic<T> for Result<T, ShapeError> {
    #[track_caller]
    #[inline]
    fn or_panic(self) -> T {
        match self {
            Ok(value) => value,
            Err(err) => fail(&err, Location::caller()),
        }
    }
}

#[cold]
#[track_caller]
fn fail(err: &ShapeError, at: &Location<'_>) -> ! {
    panic!("{} at {}:{}: {}", err.op, at.file(), at.line(), err.detail)
}
