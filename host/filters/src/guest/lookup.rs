//! What a plugin looks things up in.

use super::bindings::ColumnResult;
use super::limits::Bounds;

/// Answers a guest's `lookup`.
pub trait Lookup: Send + Sync {
    /// The columns `want` of the rows of `table` with these keys, within `bounds`.
    ///
    /// # Errors
    /// Why the guest gets nothing.
    fn lookup(
        &self,
        table: &str,
        keys: ColumnResult,
        want: &[String],
        bounds: &Bounds,
    ) -> Result<Vec<ColumnResult>, LookupError>;
}

/// Why a guest gets nothing from a table.
#[derive(Debug, PartialEq, Eq)]
pub enum LookupError {
    /// It asks for what is not there: said to the guest.
    Refused(String),
    /// What it asks for takes more bytes than may cross the border.
    TooMuch,
    /// Its time is up.
    Late,
}
