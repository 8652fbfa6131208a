//! Objects that are put behind others, in one file.
//!
//! How long the file was before is remembered, and written down as long as a write is under way: when an answer is lost it
//! tells what became of the write, and what was written in part is cut off, be it by a process that has ended since. Behind
//! half a line, or half a piece of what is compressed, nobody could read what comes.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::WebhdfsOutput;
use super::fault::Fault;
use crate::staging::Object;
use flitch_core::durable::sync_folder;
use flitch_core::{blocking, private};

impl WebhdfsOutput {
    /// Puts an object behind what is in its file.
    pub(super) async fn append(&self, object: &Object) -> Result<(), Fault> {
        let path = self.path(object);
        let _turn = self.begun.turn.lock().await;
        let appended = self.append_to(&path, object).await;
        // Where the write has no end, or cannot begin, there is nothing to be cut off. While its note stays it has not
        // arrived: what is behind it later would be cut off too.
        if matches!(appended, Ok(()) | Err(Fault::Path(_))) {
            self.begun.over(&path).await.map_err(Fault::disk)?;
        }
        appended
    }

    async fn append_to(&self, path: &str, object: &Object) -> Result<(), Fault> {
        let length = self.client.length(path).await?;
        let own = object.progress.lock().upload.as_ref().and_then(|before| before.parse::<u64>().ok());
        let now = length.unwrap_or(0);
        if let (Some(before), Some(_)) = (own, length) {
            if now == before + object.length {
                return Ok(());
            }
            if now < before {
                return Err(Fault::Barred(format!("{path} has become shorter: somebody else writes to it")));
            }
        }
        let begun = match own {
            None => self.begun.at(path).await.map_err(Fault::disk)?,
            own => own,
        };
        let before = now.min(begun.unwrap_or(now));
        if now > before {
            self.cut(path, before).await?;
        }
        self.begun.write(path, before).await.map_err(Fault::disk)?;
        object.progress.lock().upload = Some(before.to_string());
        match length {
            None => match self.client.create(path, object, &self.wishes, false).await {
                // Made since it was looked for, perhaps by a write of ours that was given up.
                Err(Fault::Path(said)) if said.contains("FileAlreadyExistsException") => {
                    Err(Fault::Barred(said))
                }
                created => created,
            },
            Some(_) => self.client.append(path, object).await,
        }
    }

    /// Cuts a file to what it was before a write that did not come to its end.
    async fn cut(&self, path: &str, before: u64) -> Result<(), Fault> {
        match self.client.truncate(path, before).await? {
            true => Ok(()),
            false => Err(Fault::Busy { after: None, reason: format!("{path} is being cut to what it was") }),
        }
    }

    /// Cuts off what was written in part by who had the output before.
    pub(super) async fn cut_leftovers(&self) -> Result<(), Fault> {
        let mut failed = None;
        for path in self.begun.all().await.map_err(Fault::disk)? {
            let _turn = self.begun.turn.lock().await;
            // One that is refused keeps no other from its end.
            if let Err(fault) = self.cut_leftover(&path).await {
                failed = Some(fault);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn cut_leftover(&self, path: &str) -> Result<(), Fault> {
        // What was appended to meanwhile has been cut already.
        let Some(before) = self.begun.at(path).await.map_err(Fault::disk)? else { return Ok(()) };
        if self.client.length(path).await?.is_some_and(|now| now > before) {
            self.cut(path, before).await?;
            tracing::info!(output = %self.plan.output, file = path, length = before, "what was appended in part is cut off");
        }
        self.begun.over(path).await.map_err(Fault::disk)
    }
}

/// Notes of the files to which a write is under way, one for each: how long the file was before. The next one that appends to
/// it finds its note, whichever process has left it.
#[derive(Debug)]
pub(super) struct Begun {
    folder: PathBuf,
    /// Held from the look at a file to the end of what is done about it.
    turn: Mutex<()>,
}

/// What is written down of a file.
#[derive(Serialize, Deserialize)]
struct Note {
    path: String,
    length: u64,
}

impl Begun {
    pub fn new(folder: PathBuf) -> Begun {
        Begun { folder, turn: Mutex::new(()) }
    }

    fn file(&self, path: &str) -> PathBuf {
        self.folder.join(&*blake3::hash(path.as_bytes()).to_hex())
    }

    /// How long a file was before a write that is not known to have come to its end.
    async fn at(&self, path: &str) -> io::Result<Option<u64>> {
        let file = self.file(path);
        blocking::io(move || Ok(read(&file)?.map(|note| note.length))).await
    }

    /// Writes down how long a file is, before it is appended to.
    async fn write(&self, path: &str, length: u64) -> io::Result<()> {
        let (folder, file) = (self.folder.clone(), self.file(path));
        let note = Note { path: path.to_owned(), length };
        blocking::io(move || {
            private::folder(&folder)?;
            private::replace(&file, |out| Ok(serde_json::to_writer(out, &note)?))
        })
        .await
    }

    /// There is nothing to be cut off, also after a crash of the machine.
    async fn over(&self, path: &str) -> io::Result<()> {
        let (folder, file) = (self.folder.clone(), self.file(path));
        blocking::io(move || match std::fs::remove_file(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync_folder(&folder)),
        })
        .await
    }

    /// The files of which there are notes.
    async fn all(&self) -> io::Result<Vec<String>> {
        let folder = self.folder.clone();
        blocking::io(move || {
            let entries = match std::fs::read_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let notes = entries.map(|entry| Ok(read(&entry?.path())?.map(|note| note.path)));
            notes.filter_map(io::Result::transpose).collect()
        })
        .await
    }
}

/// A note; none where there is none, or only one that was not written to its end, before which nothing was appended.
fn read(file: &Path) -> io::Result<Option<Note>> {
    if file.extension().is_some_and(|ending| ending == private::ASIDE) {
        return Ok(None);
    }
    match std::fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => Ok(serde_json::from_slice(&text?).ok()),
    }
}
