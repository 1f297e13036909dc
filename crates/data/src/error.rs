//! What goes wrong with data, and how it is reported.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A data set or file could not be read, written or used as asked.
///
/// The message names the path, the place in it (byte, line, record or entry), what is wrong there, and
/// what would have been right.
///
/// ```
/// use gradus_data::idx;
/// let err = idx::read::<u8>("no/such/file").unwrap_err();
/// assert!(err.to_string().starts_with("no/such/file: cannot open: "));
/// assert_eq!(err.io_kind(), Some(std::io::ErrorKind::NotFound));
/// ```
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct DataError(Box<Kind>);

/// The boxed kind keeps `Result<_, DataError>` one word larger than the value.
#[derive(thiserror::Error)]
enum Kind {
    #[error("{}: cannot {action}: {cause}", path.display())]
    Io { path: PathBuf, action: &'static str, cause: io::Error },
    #[error("{}{}{place}: {reason}", path.display(), if place.is_empty() { "" } else { ", " })]
    Content { path: PathBuf, place: String, reason: String },
    #[error("{0}")]
    Use(String),
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl DataError {
    /// An error without a file: a wrong argument, or a sample that cannot be made. `reason` says what is
    /// wrong and what would have been right.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(Box::new(Kind::Use(reason.into())))
    }

    /// An error in the content of a file, at a `place` such as `byte 16` or `line 3, column 2`; an empty
    /// place means the file as a whole.
    pub fn in_file(path: impl AsRef<Path>, place: impl Into<String>, reason: impl Into<String>) -> Self {
        let path = path.as_ref().to_owned();
        Self(Box::new(Kind::Content { path, place: place.into(), reason: reason.into() }))
    }

    /// The operating system refused to do `action` (as in "cannot open") with a file.
    pub fn io(path: impl AsRef<Path>, action: &'static str, cause: io::Error) -> Self {
        Self(Box::new(Kind::Io { path: path.as_ref().to_owned(), action, cause }))
    }

    /// The file in question, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match &*self.0 {
            Kind::Io { path, .. } | Kind::Content { path, .. } => Some(path),
            Kind::Use(_) => None,
        }
    }

    /// What the operating system said, if it was the one to refuse.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match &*self.0 {
            Kind::Io { cause, .. } => Some(cause.kind()),
            _ => None,
        }
    }
}

impl fmt::Debug for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
