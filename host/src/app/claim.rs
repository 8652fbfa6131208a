//! One process has a data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};

use flitch_core::private;

/// Held while a flitch runs; it says which.
const LOCK: &str = "lock";

/// Takes the data folder, which is made if it is not there, for as long as the answer lives. Nobody but its owner can
/// enter it then, unless it holds more than flitch's files.
///
/// # Errors
/// The folder cannot be made or written to, and another flitch has it: both would overwrite the positions of each
/// other.
pub fn claim(data_dir: &Path) -> anyhow::Result<File> {
    let shown = data_dir.display();
    let help = "give `data_dir` a folder that this user may write to";
    private::folder(data_dir).with_context(|| format!("cannot make the folder {shown}: {help}"))?;
    if let Err(why) = private::close_folder(data_dir, LOCK) {
        tracing::warn!(folder = ?data_dir, why, "users of this machine beside the owner may enter `data_dir`: chmod 0700");
    }
    let path = data_dir.join(LOCK);
    let mut options = OpenOptions::new();
    let open = private::open(options.read(true).write(true).create(true).truncate(false), &path);
    let mut lock = open.with_context(|| format!("cannot write to {}: {help}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => {
            lock.set_len(0)?;
            writeln!(lock, "{}", std::process::id())?;
            Ok(lock)
        }
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            lock.read_to_string(&mut process)?;
            bail!(
                "another flitch (process {}) has the folder {}: give each of them a `data_dir` of its own",
                process.trim(),
                data_dir.display()
            )
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_has_one_flitch_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = claim(&path).unwrap();
        let error = claim(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        drop(first);
        claim(&path).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join(LOCK))), (0o700, 0o600));
    }
}
