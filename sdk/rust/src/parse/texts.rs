//! A parser of texts as a function: from a text to the fields of a row.

use super::{Found, Policy, Reader, set_pairs};
use crate::json::{Flattener, Limits, flatten};
use crate::{Batch, Changes, Column, ColumnSet, Result, Value};
use std::borrow::Cow;

/// The row that a text writes its fields into. It has nothing yet.
#[derive(Debug)]
pub struct Row<'a> {
    /// Which row of the batch the text stands in.
    pub source: usize,
    columns: &'a mut ColumnSet,
    row: usize,
}

impl Row<'_> {
    /// Sets a field.
    pub fn set(&mut self, name: &str, value: Value<'_>) {
        self.columns.set(self.row, name, value);
    }

    /// Sets names and values that the text brings along, as [`set_pairs`].
    ///
    /// # Errors
    /// As it.
    pub fn set_pairs(&mut self, pairs: &[(Cow<'_, str>, Value<'_>)], prefix: &str) -> Result<()> {
        set_pairs(pairs, prefix, self.row, self.columns)
    }

    /// Sets the members of an object of JSON, as [`flatten`].
    ///
    /// # Errors
    /// As it.
    pub fn flatten(&mut self, text: &str, prefix: &str, limits: Limits) -> Result<()> {
        flatten(text, prefix, self.row, self.columns, limits)
    }
}

impl Policy {
    /// Parses every row's text with `parse`, which sets fields or says why the text does not match; it sets none then.
    /// Answers the columns, which are still to be set; all else that becomes of the records is in `changes`.
    pub fn parse(
        &self,
        batch: &Batch,
        changes: &mut Changes,
        parse: impl FnMut(&str, &mut Row<'_>) -> Result<(), String>,
    ) -> Vec<Column> {
        let columns = ColumnSet::with_capacity(batch.len(), batch.text_bytes(&self.field));
        let mut texts = Texts { parse, columns, rows: 0 };
        self.run(batch, changes, &mut texts);
        texts.columns.finish(texts.rows)
    }
}

impl Policy {
    /// Writes the members of every row's text, which is an object of JSON, into columns, as [`parse`](Self::parse) does it with
    /// fields.
    pub fn flatten(&self, batch: &Batch, changes: &mut Changes, flattener: &mut Flattener) -> Vec<Column> {
        let columns = ColumnSet::with_capacity(batch.len(), batch.text_bytes(&self.field));
        flattener.begin();
        let mut objects = Objects { flattener, columns, rows: 0 };
        self.run(batch, changes, &mut objects);
        objects.columns.finish(objects.rows)
    }
}

/// The texts of one batch that are objects.
struct Objects<'f> {
    flattener: &'f mut Flattener,
    columns: ColumnSet,
    rows: usize,
}

impl Reader for Objects<'_> {
    #[inline]
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<Found, String> {
        self.flattener.flatten(data, from, to, self.rows, &mut self.columns)?;
        self.rows += 1;
        Ok(Found::Something)
    }

    fn skip(&mut self) {
        self.rows += 1;
    }
}

/// The texts of one batch.
struct Texts<P> {
    parse: P,
    columns: ColumnSet,
    rows: usize,
}

impl<P: FnMut(&str, &mut Row<'_>) -> Result<(), String>> Reader for Texts<P> {
    #[inline]
    fn read(&mut self, row: usize, data: &str, from: usize, to: usize) -> Result<Found, String> {
        self.columns.begin_row();
        (self.parse)(&data[from..to], &mut Row { source: row, columns: &mut self.columns, row: self.rows })?;
        self.rows += 1;
        Ok(Found::Something)
    }

    fn skip(&mut self) {
        self.rows += 1;
    }
}

/// The settings of a parser of texts: its own, and those that all of them have. Writes the struct, its defaults, and a
/// function `policy`.
///
/// ```
/// flitch_sdk::parser_settings! {
///     /// The settings of a parser of colons.
///     pub struct Settings {
///         field: "message", keep_source: false, on_mismatch: Reject;
///         /// How many there may be.
///         pub most: usize = 10,
///     }
/// }
/// # fn main() {
/// let settings = Settings::default();
/// assert_eq!((settings.most, settings.policy().field), (10, "message".to_owned()));
/// # }
/// ```
#[macro_export]
macro_rules! parser_settings {
    (
        $(#[$about:meta])*
        pub struct $name:ident {
            field: $field:expr, keep_source: $keep_source:expr, on_mismatch: $on_mismatch:ident;
            $($(#[$doc:meta])* pub $own:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, ::serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            /// The field that holds the text.
            pub field: ::std::string::String,
            $($(#[$doc])* pub $own: $type,)*
            /// Whether the text stays in a record that was parsed.
            pub keep_source: bool,
            /// What becomes of a record whose text does not match.
            pub on_mismatch: $crate::parse::OnMismatch,
            /// What becomes of a record without the text.
            pub on_missing: $crate::parse::OnMissing,
            /// The field that says why a record that goes on was not parsed.
            pub error_field: ::std::option::Option<::std::string::String>,
        }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                Self {
                    field: ::std::convert::Into::into($field),
                    $($own: $default,)*
                    keep_source: $keep_source,
                    on_mismatch: $crate::parse::OnMismatch::$on_mismatch,
                    on_missing: $crate::parse::OnMissing::Pass,
                    error_field: ::std::option::Option::None,
                }
            }
        }

        impl $name {
            /// What a record that does not match meets, and what becomes of the source of one that does.
            pub fn policy(&self) -> $crate::parse::Policy {
                $crate::parse::Policy {
                    field: self.field.clone(),
                    keep_source: self.keep_source,
                    on_mismatch: self.on_mismatch,
                    on_missing: self.on_missing,
                    error_field: self.error_field.clone(),
                }
            }
        }
    };
}
