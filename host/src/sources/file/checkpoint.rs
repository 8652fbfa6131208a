//! Positions on disk.
//!
//! One JSON file in the source's folder, replaced as a whole: written aside, fsynced, renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::discover::FileId;
use super::fingerprint::Fingerprint;

const NAME: &str = "checkpoints.json";
const VERSION: u32 = 1;

/// How long the position of a file is kept after the file was last seen, in seconds.
pub(super) const KEEP: i64 = 24 * 60 * 60;

/// How far one file is safe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The name it had last.
    pub path: PathBuf,
    pub device: u64,
    pub inode: u64,
    pub fingerprint: Fingerprint,
    /// Bytes from the beginning, decompressed, that are safe.
    pub position: u64,
    /// A compressed file of this many bytes was read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<u64>,
    /// When it was last seen, in seconds since 1970.
    pub seen: i64,
}

impl Checkpoint {
    pub fn id(&self) -> FileId {
        FileId { device: self.device, inode: self.inode }
    }
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    files: Vec<Checkpoint>,
}

/// Where the positions of one source are kept.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens the store in `folder`, which is made where it is missing. Answers the positions; none if there were
    /// none ever.
    pub fn open(folder: &Path) -> anyhow::Result<(Store, Option<Vec<Checkpoint>>)> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder for checkpoints {}", folder.display()))?;
        let path = folder.join(NAME);
        let store = Store { folder: folder.to_owned() };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((store, None)),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let wrong = || {
            format!(
                "{} holds no checkpoints: restore it, or move it away to begin as at a first start",
                path.display()
            )
        };
        let document: Document = serde_json::from_slice(&text).with_context(wrong)?;
        anyhow::ensure!(
            document.version == VERSION,
            "{}: its version is {}, this flitch knows {VERSION}",
            path.display(),
            document.version
        );
        Ok((store, Some(document.files)))
    }

    /// Replaces the positions; they are on disk when this returns.
    pub fn save(&self, files: Vec<Checkpoint>) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&Document { version: VERSION, files })?;
        let aside = self.folder.join(format!("{NAME}.new"));
        let mut file = File::create(&aside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&aside, self.folder.join(NAME))?;
        File::open(&self.folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests;
