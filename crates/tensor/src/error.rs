//! What goes wrong with shapes, and how it is reported.

use crate::scope::{self, Place};
use std::cell::Cell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe, Location};

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
    /// A parameter of the layer that refuses, which tells its path in a model.
    parameter: Option<u64>,
    /// The layer and the user's line, once [`OrPanic::or_panic`] has found them.
    place: Option<String>,
}

impl ShapeError {
    /// An error of the operation `op`; `detail` says what differs and what would have fitted.
    pub fn new(op: &'static str, detail: impl Into<String>) -> Self {
        Self { op, detail: detail.into(), parameter: None, place: None }
    }

    /// The error of a layer, one of whose parameters is the leaf of this number: in a model whose parameters are known, the
    /// message has the layer's path.
    #[must_use]
    pub fn of_parameter(self, id: Option<u64>) -> Self {
        Self { parameter: id, ..self }
    }

    /// The operation that refused its operands.
    pub fn op(&self) -> &'static str {
        self.op
    }

    /// What differs, and what would have fitted.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}: {}", self.op, self.place.as_deref().unwrap_or_default(), self.detail)
    }
}

impl fmt::Debug for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ShapeError {}

/// Unwraps a check on behalf of a fluent method: panics as
/// `matmul at src/net.rs:41: inner sizes differ: [32, 784] x [512, 10]`, and inside a layer of a model as
/// ``matmul in `features.3` (Attention) at ..``.
pub trait OrPanic<T> {
    /// The value, or a panic that names the op, the layer, and the user's line.
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

thread_local! {
    /// Whether a [`catch_shape_errors`] of this thread is under way.
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// What a failed check unwinds with inside [`catch_shape_errors`].
struct Raised(ShapeError);

/// Runs `f`, and returns the first check that fails in it as an error instead of a panic.
///
/// Code that has no way to return a `Result`, such as a layer's forward pass, reports a mistake by [`OrPanic::or_panic`].
/// Inside this function the report unwinds to here, prints nothing, and is returned; every other panic goes on. Checks of
/// other threads panic as ever, and so do all in a program that is built with `panic = "abort"`.
///
/// ```
/// use gradus_tensor::{Tensor, catch_shape_errors};
/// let product = |columns| catch_shape_errors(|| Tensor::<f32>::ones([2, 3]).matmul(&Tensor::ones([columns, 4])));
/// assert!(product(3).is_ok());
/// assert_eq!(product(5).unwrap_err().op(), "matmul");
/// ```
///
/// # Errors
/// When a check fails.
pub fn catch_shape_errors<R>(f: impl FnOnce() -> R) -> Result<R, ShapeError> {
    /// Puts the flag back, after a panic too.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            CATCHING.set(self.0);
        }
    }
    let restore = Restore(CATCHING.replace(cfg!(panic = "unwind")));
    // What `f` was changing stays as the panic left it, as it does for whoever catches a panic of ours.
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    drop(restore);
    result.map_err(|payload| match payload.downcast::<Raised>() {
        Ok(raised) => raised.0,
        Err(other) => panic::resume_unwind(other),
    })
}

#[cold]
#[track_caller]
fn fail(err: &ShapeError, at: &'static Location<'static>) -> ! {
    let place = describe(err, at);
    if CATCHING.get() {
        let mut raised = err.clone();
        raised.place = Some(place);
        panic::resume_unwind(Box::new(Raised(raised)));
    }
    panic!("{}{place}: {}", err.op, err.detail)
}

/// The layer and the user's line, each if it is known, as they come after the op's name.
fn describe(err: &ShapeError, at: &'static Location<'static>) -> String {
    let Place { path, kind, at } = scope::place(err.parameter, at);
    let line = at.map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
    // Types are written like this, ops like_this.
    let is_the_layer = kind == err.op || (kind.is_empty() && err.op.starts_with(char::is_uppercase));
    let layer = match (path.as_str(), kind.as_str()) {
        ("", _) => String::new(),
        (path, _) if is_the_layer => format!(" `{path}`"),
        (path, "") => format!(" in `{path}`"),
        (path, kind) => format!(" in `{path}` ({kind})"),
    };
    layer + &line
}
