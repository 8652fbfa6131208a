//! What the agent keeps on disk: the last configuration that has stood its probation, and that one is on probation now.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use flitch_core::private;

const GOOD: &str = "configuration.json";
const TRIAL: &str = "trial.json";

/// A configuration that a server sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// By what the server knows it.
    pub hash: Vec<u8>,
    /// Its text.
    pub text: String,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets may stand in the text.
        write!(f, "Kept({})", self.text.len())
    }
}

/// The last configuration that has stood its probation, where there is one in the agent's `folder`.
///
/// # Errors
/// There is one, and it cannot be read.
pub fn kept(folder: &Path) -> io::Result<Option<Kept>> {
    match fs::read(folder.join(GOOD)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The agent's folder.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The agent's folder, made where it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path) -> io::Result<Store> {
        private::folder(folder)?;
        Ok(Store { folder: folder.to_owned() })
    }

    /// The configuration that was on probation when the process before ended without a word.
    pub fn crashed(&self) -> Option<Vec<u8>> {
        serde_json::from_slice(&fs::read(self.folder.join(TRIAL)).ok()?).ok()
    }

    /// The configuration of this hash is put into force, and on probation: should the process end without a word it is not
    /// taken up again.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn tries(&self, hash: &[u8]) -> io::Result<()> {
        replace(&self.folder.join(TRIAL), &serde_json::to_vec(hash)?)
    }

    /// None is on probation any more.
    ///
    /// # Errors
    /// That cannot be written down.
    pub fn tries_none(&self) -> io::Result<()> {
        match fs::remove_file(self.folder.join(TRIAL)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// This configuration has stood its probation.
    ///
    /// # Errors
    /// It cannot be kept; the one before it is still there then.
    pub fn keep(&self, good: &Kept) -> io::Result<()> {
        replace(&self.folder.join(GOOD), &serde_json::to_vec(good)?)?;
        self.tries_none()
    }
}

/// Writes a file anew, in one moment.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    private::replace(path, |out| out.write_all(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_its_probation_is_there_after_a_restart_and_what_did_not_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!((kept(folder.path()).unwrap(), store.crashed()), (None, None));
        let good = Kept { hash: vec![1, 2], text: "pipelines: {}".to_owned() };
        store.tries(&good.hash).unwrap();
        assert_eq!(store.crashed(), Some(vec![1, 2]));
        store.keep(&good).unwrap();
        assert_eq!((kept(folder.path()).unwrap(), store.crashed()), (Some(good.clone()), None));
        store.tries(&[3]).unwrap();
        assert_eq!((kept(folder.path()).unwrap(), store.crashed()), (Some(good), Some(vec![3])));
    }

    #[test]
    fn a_file_that_was_written_in_part_is_told_and_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(GOOD), "{\"hash\":[1],\"text\":\"pipe").unwrap();
        assert!(kept(folder.path()).is_err());
    }
}
