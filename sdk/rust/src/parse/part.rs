//! The parts of a text, and what becomes of them.

use super::{Kind, below, check_name, excerpt};
use crate::Result;
use serde::Deserialize;

/// Where a part lies in its text: from, to.
pub type Span = (usize, usize);

/// A part that lies nowhere: the record lacks its field.
pub const NOWHERE: Span = (usize::MAX, usize::MAX);

/// What a part of a text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    /// Nothing: it is skipped.
    Nothing,
    /// A field of this type.
    Field(Kind),
    /// The parts of an HTTP request line, `method`, `path` and `protocol`; or, if it is none, a
    /// field of the part's own name.
    Request,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The field's name; empty for a part that is skipped.
    pub name: String,
    /// What it becomes.
    pub becomes: Becomes,
}

impl Part {
    /// The names that it may write.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let request = (self.becomes == Becomes::Request).then_some(["method", "path", "protocol"]);
        let own = (self.becomes != Becomes::Nothing).then_some(self.name.as_str());
        own.into_iter().chain(request.into_iter().flatten())
    }

    /// Checks that the fields of these parts may have their names, below `prefix`.
    ///
    /// # Errors
    /// As [`check_name`].
    pub fn check_names(parts: &[Part], prefix: &str) -> Result<()> {
        let is_text = |part: &Part| !matches!(part.becomes, Becomes::Field(kind) if kind != Kind::Text);
        let mut names = parts.iter().flat_map(|part| part.names().map(|name| (name, is_text(part))));
        names.try_for_each(|(name, is_text)| check_name(&below(prefix, name), is_text))
    }
}

/// What becomes of a part that is only `-`, as servers write what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dash {
    /// The record lacks the field.
    Absent,
    /// It stays as it is.
    Keep,
}

/// A part that is of another type: its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongType(pub usize);

impl WrongType {
    /// The same in words.
    #[cold]
    pub fn describe(self, parts: &[Part], data: &str, spans: &[Span]) -> String {
        let (part, (from, to)) = (&parts[self.0], spans[self.0]);
        let what = match part.becomes {
            Becomes::Field(kind) => kind.name(),
            Becomes::Nothing | Becomes::Request => Kind::Text.name(),
        };
        format!("`{}` is {}, which is no {what}", part.name, excerpt(&data[from..to]))
    }
}
