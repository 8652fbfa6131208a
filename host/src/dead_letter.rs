//! Dead letters: records that no stage can take further, kept as NDJSON files under `data_dir` with what is wrong.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::batch::Records;

/// Why a row is dead.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The row's number in its batch.
    pub row: u32,
    /// What is wrong with it.
    pub reason: String,
}

/// Where dead letters go. Clones share the file.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    file: Arc<Mutex<File>>,
}

impl DeadLetters {
    /// Opens the dead letters in `folder`.
    pub fn open(folder: &Path) -> io::Result<DeadLetters> {
        std::fs::create_dir_all(folder)?;
        let file = OpenOptions::new().append(true).create(true).open(folder.join("dead-letters.ndjson"))?;
        Ok(DeadLetters { file: Arc::new(Mutex::new(file)) })
    }

    /// Puts rows of a batch among the dead letters, on disk when this returns. `stage` is source, filter or output,
    /// `component` its name in the configuration.
    pub fn records(
        &self,
        stage: &str,
        component: &str,
        records: &Records,
        causes: &[Cause],
    ) -> io::Result<()> {
        let text = records.ndjson();
        for cause in causes {
            self.raw(stage, component, &cause.reason, text.row(cause.row as usize))?;
        }
        Ok(())
    }

    /// Puts bytes that never became a record among the dead letters, on disk when this returns.
    pub fn raw(&self, stage: &str, component: &str, reason: &str, bytes: &[u8]) -> io::Result<()> {
        let line = serde_json::json!({
            "stage": stage, "component": component, "reason": reason, "record": String::from_utf8_lossy(bytes),
        });
        let mut file = self.file.lock();
        writeln!(file, "{line}")?;
        file.sync_data()
    }
}
