//! The one error type of filters: a text for the operator.

use std::fmt;

/// Why a filter could not do its work, in words for the operator.
///
/// From [`RecordFilter::apply`](crate::RecordFilter::apply) it rejects the record, from
/// [`ColumnFilter::apply`](crate::ColumnFilter::apply) the whole batch, and from `new` the
/// configuration. `?` turns every standard error into one; [`err!`](crate::err) and
/// [`bail!`](crate::bail) make one from a format string.
pub struct Error(String);

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The same error, said to have happened in `place`.
    #[must_use]
    pub fn at(self, place: impl fmt::Display) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

// `Error` itself is no `std::error::Error`: only so can every one of those become an `Error`.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes an [`Error`] from a format string.
#[macro_export]
macro_rules! err {
    ($($arg:tt)+) => { $crate::Error::new(::std::format!($($arg)+)) };
}

/// Returns an [`Error`] made from a format string.
#[macro_export]
macro_rules! bail {
    ($($arg:tt)+) => { return ::std::result::Result::Err($crate::err!($($arg)+)) };
}
