//! Joins lines that belong together into one record, for sources whose records come with names or from clients.
//!
//! (A file has its own way, which knows where in the file a record begins.) The last record of each writer is open: it is
//! held until its next line tells that it is complete, or none has come for a while. It carries what its source waits for: a
//! batch is safe when all records with lines of it are. A source with positions waits for what is ahead of an open record by
//! itself ([`Waits`]), so that its position stands where a record begins, and what is read again from there is whole.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use flitch_core::batch::Records;
use flitch_core::setting::wrong;
use flitch_core::units::{Bytes, Span};

mod joiner;
mod out;
mod owed;
mod rows;
mod rule;
mod stream;

pub use joiner::Joiner;
use out::Ready;
pub use owed::{Told, Waits};
pub use rule::{Begun, Pattern, Preset, Rule};
use stream::{Manner, Stream};

/// Longest time for which a record may wait.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Which records, each with a line, are one. One of `start`, `continue` and `preset` says it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JoinSettings {
    /// The field of the line. What has no text there is a record of its own. The joined record has the other fields of
    /// its first line.
    pub field: String,
    /// A regular expression that matches the first line of each record.
    #[schemars(with = "Option<String>")]
    pub start: Option<Pattern>,
    /// A regular expression that matches each line that belongs to the record before it.
    #[schemars(with = "Option<String>")]
    pub r#continue: Option<Pattern>,
    /// What writes the lines: the stack traces of `java`, `python` or `go` belong to the line before them.
    pub preset: Option<Preset>,
    /// Fields by which writers are told apart whose lines come mixed, beside the tag: `[container_id, source]` for Docker.
    pub by: Vec<String>,
    /// How long a record waits for its next line; ten times as long while the pipelines take nothing in. So long may the answer to
    /// a client wait that sends nothing more, and the position of what it is read from.
    pub timeout: Span,
    /// Most lines in a record; the next one begins another.
    #[schemars(range(min = 1))]
    pub max_lines: usize,
    /// Most bytes in a record; the line that would pass it begins another.
    pub max_bytes: Bytes,
}

impl Default for JoinSettings {
    fn default() -> Self {
        JoinSettings {
            field: "message".to_owned(),
            start: None,
            r#continue: None,
            preset: None,
            by: Vec::new(),
            timeout: Span(Duration::from_secs(1)),
            max_lines: 1_000,
            max_bytes: Bytes(1 << 20),
        }
    }
}

impl JoinSettings {
    fn manner(&self) -> anyhow::Result<Manner> {
        let (start, more) = (self.start.as_ref(), self.r#continue.as_ref());
        let rule = Rule::new(start, more, self.preset, self.max_lines)?;
        anyhow::ensure!(
            !self.field.is_empty() && !self.field.starts_with('@'),
            wrong!("multiline.field", ": `{}` is no field of a line, such as `message`", self.field)
        );
        anyhow::ensure!(
            (1..=1 << 28).contains(&self.max_bytes.0),
            wrong!("multiline.max_bytes", " is {}: it must lie between 1 and 256MiB", self.max_bytes)
        );
        anyhow::ensure!(
            self.timeout.0 <= LONGEST,
            wrong!("multiline.timeout", " is {}: it may be 24h at most", self.timeout)
        );
        Ok(Manner {
            rule,
            field: self.field.clone(),
            by: Manner::by(&self.by),
            timeout: self.timeout.0,
            max_bytes: self.max_bytes.0 as usize,
        })
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// What contradicts what, or is missing.
    pub fn check(&self) -> anyhow::Result<()> {
        self.manner().map(drop)
    }

    /// What becomes of records that come in this order and are all that come.
    ///
    /// # Errors
    /// The settings do not [`JoinSettings::check`].
    pub fn joined(&self, batches: Vec<Records>) -> anyhow::Result<Vec<Records>> {
        let (manner, mut stream, now) = (self.manner()?, Stream::default(), Instant::now());
        let mut out = Vec::new();
        for records in batches {
            out.extend(stream.take(Arc::new(records), 0, Waits::all(|_| {}), &manner, now)?.ready);
        }
        out.extend(stream.all(&manner)?);
        let records = |Ready { records, .. }| records.slice(0, records.rows());
        Ok(out.into_iter().map(records).collect())
    }
}

#[cfg(test)]
mod tests;
