//! What filters that parse a text field have in common: the source, types of the fields they
//! find, and what becomes of a record that does not match.

mod typed;

use crate::bitmap::BitmapBuilder;
use crate::json::{self, Decoded};
use crate::{Changes, Column, TextBuilder, View};
use serde::Deserialize;
use std::borrow::Cow;

pub use typed::{Kind, TypedBuilder};

/// What becomes of a record whose source does not match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMismatch {
    /// It is rejected: the host's `on_error` decides about it.
    #[default]
    Reject,
    /// It goes on unchanged.
    Pass,
}

/// What becomes of a record that lacks the source field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// It goes on unchanged.
    #[default]
    Pass,
    /// It is rejected: the host's `on_error` decides about it.
    Reject,
}

/// The source of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Source<'a> {
    /// The record lacks the field.
    Absent,
    /// Its text.
    Text(Cow<'a, str>),
    /// Not text, but this.
    Other(&'static str),
}

impl<'a> Source<'a> {
    /// The text of row `row`, whatever the type of its column: bytes count when they are UTF-8,
    /// json when it is a string.
    pub fn of(view: &View<'a>, row: usize) -> Self {
        match view {
            View::Text(column) => column.get(row).map_or(Self::Absent, |text| Self::Text(text.into())),
            View::Bytes(column) => match column.get(row).map(std::str::from_utf8) {
                None => Self::Absent,
                Some(Ok(text)) => Self::Text(text.into()),
                Some(Err(_)) => Self::Other("not UTF-8"),
            },
            View::Json(column) => match column.get(row).map(json::decode) {
                None => Self::Absent,
                Some(Decoded::Text(text)) => Self::Text(text),
                Some(Decoded::Other(_)) => Self::Other("not text"),
            },
            View::Int64(column) => Self::other(column.get(row), "a number"),
            View::Float64(column) => Self::other(column.get(row), "a number"),
            View::Boolean(column) => Self::other(column.get(row), "a boolean"),
            View::Timestamp(column) => Self::other(column.get(row), "a timestamp"),
        }
    }

    fn other<T>(value: Option<T>, what: &'static str) -> Self {
        value.map_or(Self::Absent, |_| Self::Other(what))
    }
}

/// What a record that does not match meets, and what becomes of the source of one that does.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The source field.
    pub field: String,
    /// Whether the source stays in a record that matches.
    pub keep_source: bool,
    /// What becomes of a record that does not match.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record without the source.
    pub on_missing: OnMissing,
    /// The field that tells why a record that goes on did not match.
    pub error_field: Option<String>,
}

/// The rows of one batch, as a filter goes through them under a [`Policy`].
#[derive(Debug)]
pub struct Rows<'p> {
    policy: &'p Policy,
    /// Of the rows that go on, which matched; none while all did.
    matched: Option<BitmapBuilder>,
    going_on: usize,
    errors: Option<TextBuilder>,
}

impl<'p> Rows<'p> {
    /// No rows yet.
    pub fn new(policy: &'p Policy) -> Self {
        Self { policy, matched: None, going_on: 0, errors: None }
    }

    /// The next row matched.
    #[inline]
    pub fn matched(&mut self) {
        if let Some(matched) = &mut self.matched {
            matched.push(true);
        }
        self.going_on += 1;
    }

    /// The next row lacks the source. Whether it goes on.
    #[must_use]
    pub fn missing(&mut self, changes: &mut Changes, row: usize) -> bool {
        match self.policy.on_missing {
            OnMissing::Pass => self.unmatched(),
            OnMissing::Reject => {
                changes.reject(row, format!("the field `{}` is missing", self.policy.field));
                return false;
            }
        }
        true
    }

    /// The next row did not match. Whether it goes on.
    #[must_use]
    pub fn mismatched(&mut self, changes: &mut Changes, row: usize, reason: String) -> bool {
        match self.policy.on_mismatch {
            OnMismatch::Pass => {
                if self.policy.error_field.is_some() {
                    let errors = self.errors.get_or_insert_default();
                    while errors.len() < self.going_on {
                        errors.push_absent();
                    }
                    errors.push(&reason);
                }
                self.unmatched();
                true
            }
            OnMismatch::Reject => {
                changes.reject(row, reason);
                false
            }
        }
    }

    fn unmatched(&mut self) {
        let so_far = self.going_on;
        let matched = self.matched.get_or_insert_with(|| {
            let mut bits = BitmapBuilder::with_capacity(so_far + 1);
            (0..so_far).for_each(|_| bits.push(true));
            bits
        });
        matched.push(false);
        self.going_on += 1;
    }

    /// How many rows go on.
    pub fn going_on(&self) -> usize {
        self.going_on
    }

    /// Removes the source of the rows that matched, if that is the policy, and writes the
    /// errors of those that did not.
    pub fn finish(self, changes: &mut Changes) {
        if !self.policy.keep_source && self.going_on > 0 {
            let field = &self.policy.field;
            match self.matched.map(BitmapBuilder::finish) {
                None => changes.remove(field),
                Some(matched) if matched.iter().any(|byte| *byte != 0) => changes.remove_from(field, matched),
                Some(_) => {}
            }
        }
        if let (Some(mut errors), Some(field)) = (self.errors, &self.policy.error_field) {
            while errors.len() < self.going_on {
                errors.push_absent();
            }
            changes.set(errors.finish(field));
        }
    }
}

/// At most the first 60 characters of a text, quoted, for a reason that an operator reads.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A field's name below a prefix, or by itself when that is empty.
pub fn below(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// Whether `column` has no value for any of its rows.
pub(crate) fn is_all_absent(column: &Column) -> bool {
    column.present.as_ref().is_some_and(|bits| bits.iter().all(|byte| *byte == 0))
}

/// Adds those columns to the changes that have a value.
pub fn set_present(changes: &mut Changes, columns: impl IntoIterator<Item = Column>) {
    changes.set.extend(columns.into_iter().filter(|column| !is_all_absent(column)));
}
