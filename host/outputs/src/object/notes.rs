//! Notes of writes in parts that have begun: what a crash leaves at the store is ended by the next process.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::staging::{Object, leftovers, session};
use flitch_core::private;

/// A folder of notes, one for each write.
#[derive(Debug)]
pub(crate) struct Notes(PathBuf);

/// A write in parts that a process before this one has begun.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Where it goes.
    pub object: String,
    /// The store's name for it; none where it was about to begin.
    #[serde(default)]
    pub upload: Option<String>,
    #[serde(skip)]
    file: PathBuf,
}

impl Notes {
    pub fn new(folder: PathBuf) -> Notes {
        Notes(folder)
    }

    fn file(&self, object: &Object) -> PathBuf {
        let name =
            object.path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("-");
        self.0.join(format!("{}-{name}", session()))
    }

    /// Writes down that a write has begun, or, without the store's name for it, that it is about to.
    ///
    /// # Errors
    /// The system's, with the path.
    pub async fn write(&self, object: &Object, path: &str, upload: Option<&str>) -> io::Result<()> {
        let (folder, file) = (self.0.clone(), self.file(object));
        let note = Note { object: path.to_owned(), upload: upload.map(str::to_owned), file: PathBuf::new() };
        blocking(move || {
            let write = || {
                private::folder(&folder)?;
                let mut options = std::fs::OpenOptions::new();
                let to = private::open(options.write(true).create(true).truncate(true), &file)?;
                serde_json::to_writer(&to, &note)?;
                to.sync_data()
            };
            write().map_err(|error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", file.display()))
            })
        })
        .await
    }

    /// The write has ended.
    pub async fn remove(&self, object: &Object) {
        let file = self.file(object);
        // One that stays leads to a write that the store does not know any more.
        let _ = blocking(move || std::fs::remove_file(file)).await;
    }

    /// The same for one of a process before this one.
    pub async fn forget(&self, note: &Note) {
        let file = note.file.clone();
        let _ = blocking(move || std::fs::remove_file(file)).await;
    }

    /// What processes before this one have begun and not ended. Notes that a crash cut are none: what they were about is
    /// left to the store.
    ///
    /// # Errors
    /// The system's.
    pub async fn left(&self) -> io::Result<Vec<Note>> {
        let folder = self.0.clone();
        blocking(move || {
            let mut notes = Vec::new();
            for file in leftovers(&folder)? {
                match serde_json::from_slice::<Note>(&std::fs::read(&file)?) {
                    Ok(note) => notes.push(Note { file, ..note }),
                    Err(_) => std::fs::remove_file(&file)?,
                }
            }
            Ok(notes)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
