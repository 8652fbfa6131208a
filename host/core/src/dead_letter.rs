//! Dead letters: records that no stage can take further, kept as NDJSON files under `data_dir` with what is wrong.
//!
//! A line is `{"time":…,"stage":…,"component":…,"reason":…,"record":{…}}`. Bytes that are not UTF-8 are kept as
//! `{"$bytes":"<base64>"}`, and a member that a record has named `$bytes` has one more `$` in front; what never became
//! a record stands under `raw` (text, or bytes in the same way) instead of `record`. Files are called
//! `letters-<number>.ndjson`. [`read`] finds letters again, [`replay`] sends them again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::UInt32Array;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::batch::encode::ndjson_lossless;
use crate::batch::{Records, lossless};
use crate::clock::Clock;
use crate::telemetry::Health;
use crate::units::Bytes;

mod folder;
mod patience;
pub mod read;
pub mod replay;
mod telling;

use folder::Folder;
use patience::Patience;
pub use patience::until_written;
pub use telling::Stall;
use telling::Telling;

/// The folder of the dead letters below `data_dir`.
pub const FOLDER: &str = "dead-letters";

/// What happens when the dead letters have reached their most bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The oldest file is deleted, which the log tells and `flitch_dead_letters_deleted_total` counts: its records are lost.
    #[default]
    KeepNewest,
    /// Nothing is deleted and nothing is lost: the batch of the record waits or is sent again, and its pipeline with
    /// it, until somebody makes room (`flitch dead-letters replay`, or by deleting files).
    Stop,
}

/// How dead letters are kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadLetterSettings {
    /// Most bytes in one file.
    pub max_file_bytes: Bytes,
    /// Most bytes in all files, those that were replayed included.
    pub max_bytes: Bytes,
    /// What happens at `max_bytes`: `keep_newest` or `stop`.
    pub when_full: WhenFull,
}

impl Default for DeadLetterSettings {
    fn default() -> Self {
        DeadLetterSettings {
            max_file_bytes: Bytes(16 << 20),
            max_bytes: Bytes(1 << 30),
            when_full: WhenFull::default(),
        }
    }
}

/// Why a row is dead.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The row's number in its batch.
    pub row: u32,
    /// What is wrong with it; rows may share it.
    pub reason: Arc<str>,
}

/// Where dead letters go. Clones share the files.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    folder: Arc<Mutex<Folder>>,
    clock: Clock,
    patience: Arc<Patience>,
    telling: Arc<Telling>,
}

impl DeadLetters {
    /// Opens the dead letters in `folder`, which is made if it is not there, with the default settings.
    pub fn open(folder: &Path) -> io::Result<DeadLetters> {
        DeadLetters::open_with(folder, &DeadLetterSettings::default(), Clock::system())
    }

    /// The same with these settings, and the time of day from `clock`.
    pub fn open_with(folder: &Path, settings: &DeadLetterSettings, clock: Clock) -> io::Result<DeadLetters> {
        let folder = Arc::new(Mutex::new(Folder::open(folder, settings.clone())?));
        Ok(DeadLetters { folder, clock, patience: Arc::default(), telling: Arc::default() })
    }

    /// Shows in `health` while letters cannot be written.
    #[must_use]
    pub fn heard_by(self, health: &Arc<Health>) -> DeadLetters {
        DeadLetters { telling: Arc::new(Telling::of(health)), ..self }
    }

    /// The same dead letters, but in files of their own, which somebody may take back: [`DeadLetters::begun`].
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn apart(&self) -> io::Result<DeadLetters> {
        let folder = Arc::new(Mutex::new(self.folder.lock().apart()?));
        Ok(DeadLetters { folder, ..self.clone() })
    }

    /// The files of letters that are [apart](DeadLetters::apart).
    pub fn begun(&self) -> Vec<PathBuf> {
        self.folder.lock().begun()
    }

    /// Changes the settings from the next letter on. Those who wait for room try again at once.
    pub fn configure(&self, settings: &DeadLetterSettings) {
        self.folder.lock().configure(settings.clone());
        self.patience.try_again();
    }

    /// Puts rows of a batch among the dead letters, on disk when this returns. `stage` is source, filter or output,
    /// `component` its name in the configuration.
    ///
    /// # Errors
    /// The disk's, and [`io::ErrorKind::StorageFull`] where the settings forbid more letters. Then none of the rows is
    /// among the dead letters.
    pub fn records(
        &self,
        stage: &str,
        component: &str,
        records: &Records,
        causes: &[Cause],
    ) -> io::Result<()> {
        let rows = UInt32Array::from_iter_values(causes.iter().map(|c| c.row));
        let picked = records.take(&rows).map_err(io::Error::other)?;
        let text = ndjson_lossless(&picked);
        let head = self.head(stage, component);
        let mut lines = Vec::with_capacity(text.text.len() + causes.len() * 160);
        for (place, cause) in causes.iter().enumerate() {
            let record = text.row(place);
            lines.extend_from_slice(&head);
            push_text(&mut lines, &cause.reason);
            lines.extend_from_slice(b",\"record\":");
            lines.extend_from_slice(record.strip_suffix(b"\n").unwrap_or(record));
            lines.extend_from_slice(b"}\n");
        }
        let first = causes.first().map_or("", |cause| &*cause.reason);
        self.append(&lines, (stage, component), causes.len(), first)
    }

    /// The same for records of which there is nothing but their lines, as [`ndjson_lossless`] writes them; they share a
    /// reason.
    ///
    /// # Errors
    /// As of [`DeadLetters::records`].
    pub fn lossless(&self, stage: &str, component: &str, reason: &str, records: &[u8]) -> io::Result<()> {
        let mut head = self.head(stage, component);
        push_text(&mut head, reason);
        head.extend_from_slice(b",\"record\":");
        let mut lines = Vec::with_capacity(records.len() * 2);
        let mut letters = 0;
        for record in records.split(|byte| *byte == b'\n').filter(|record| !record.is_empty()) {
            lines.extend_from_slice(&head);
            lines.extend_from_slice(record);
            lines.extend_from_slice(b"}\n");
            letters += 1;
        }
        self.append(&lines, (stage, component), letters, reason)
    }

    /// Puts bytes that never became records among the dead letters, each with what is wrong with it; all of them are
    /// on disk when this returns.
    ///
    /// # Errors
    /// As of [`DeadLetters::records`].
    pub fn raw<'a>(
        &self,
        stage: &str,
        component: &str,
        letters: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> io::Result<()> {
        let head = self.head(stage, component);
        let mut lines = Vec::new();
        let (mut count, mut first) = (0, "");
        for (reason, bytes) in letters {
            if count == 0 {
                first = reason;
            }
            count += 1;
            lines.extend_from_slice(&head);
            push_text(&mut lines, reason);
            lines.extend_from_slice(b",\"raw\":");
            match std::str::from_utf8(bytes) {
                Ok(text) => push_text(&mut lines, text),
                Err(_) => lossless::write_bytes(bytes, &mut lines),
            }
            lines.extend_from_slice(b"}\n");
        }
        self.append(&lines, (stage, component), count, first)
    }

    /// Puts lines on disk, and tells of the letters that they are.
    fn append(
        &self,
        lines: &[u8],
        (stage, component): (&str, &str),
        letters: usize,
        first: &str,
    ) -> io::Result<()> {
        self.folder.lock().append(lines, &self.telling)?;
        self.telling.written(stage, component, letters, first);
        Ok(())
    }

    /// Everything of a line before the reason.
    fn head(&self, stage: &str, component: &str) -> Vec<u8> {
        let now = jiff::Timestamp::from_nanosecond(self.clock.now().into()).unwrap_or_default();
        let mut head = format!("{{\"time\":\"{now}\",\"stage\":").into_bytes();
        push_text(&mut head, stage);
        head.extend_from_slice(b",\"component\":");
        push_text(&mut head, component);
        head.extend_from_slice(b",\"reason\":");
        head
    }
}

fn push_text(line: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(line, text).expect("a text is written to memory");
}

#[cfg(test)]
mod tests;
