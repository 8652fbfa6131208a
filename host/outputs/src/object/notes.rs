//! Notes of writes in parts that have begun: what a crash leaves at the store is ended by the next process.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::staging::{Object, leftovers, session};
use flitch_core::{blocking, private};

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
        blocking::io(move || {
            // One without the store's name for it is there until one with it is: a crash between leaves no write that nobody ends.
            let written = private::folder(&folder)
                .and_then(|()| private::replace(&file, |out| Ok(serde_json::to_writer(out, &note)?)));
            written.map_err(|error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", file.display()))
            })
        })
        .await
    }

    /// The write has ended.
    pub async fn remove(&self, object: &Object) {
        let file = self.file(object);
        // One that stays leads to a write that the store does not know any more.
        let _ = blocking::io(move || std::fs::remove_file(file)).await;
    }

    /// The same for one of a process before this one.
    pub async fn forget(&self, note: &Note) {
        let file = note.file.clone();
        let _ = blocking::io(move || std::fs::remove_file(file)).await;
    }

    /// What processes before this one have begun and not ended. What a note was about that cannot be read is left to the store.
    ///
    /// # Errors
    /// The system's.
    pub async fn left(&self) -> io::Result<Vec<Note>> {
        let folder = self.0.clone();
        blocking::io(move || {
            let mut notes = Vec::new();
            for file in leftovers(&folder)? {
                let is_aside = file.extension().is_some_and(|ending| ending == private::ASIDE);
                match serde_json::from_slice::<Note>(&std::fs::read(&file)?) {
                    Ok(note) if !is_aside => {
                        notes.push(Note { file, ..note });
                        continue;
                    }
                    Err(error) if !is_aside => {
                        tracing::warn!(file = %file.display(), %error, "a note of a write in parts cannot be read; what the store has of that write is left to it");
                    }
                    _ => {}
                }
                std::fs::remove_file(&file)?;
            }
            Ok(notes)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_note_that_a_crash_cut_while_it_was_written_anew_is_the_one_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let before = |name: &str| folder.path().join(format!("before-{name}"));
        std::fs::write(before("a"), r#"{"object":"a"}"#).unwrap();
        std::fs::write(before("a.new"), r#"{"object":"a","uplo"#).unwrap();
        std::fs::write(before("b"), r#"{"object":"b","upload":"7"}"#).unwrap();
        std::fs::write(before("b.new"), r#"{"object":"b","upload":"8"}"#).unwrap();
        std::fs::write(before("c"), "").unwrap();
        let notes = Notes::new(folder.path().to_owned());
        let mut left = notes.left().await.unwrap();
        left.sort_by(|a, b| a.object.cmp(&b.object));
        let said: Vec<_> = left.iter().map(|note| (&*note.object, note.upload.as_deref())).collect();
        assert_eq!(said, [("a", None), ("b", Some("7"))]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
