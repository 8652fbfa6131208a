//! One process has a data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use parking_lot::Mutex;

use flitch_core::file_stamp::is_at;
use flitch_core::private;
use flitch_core::telemetry::{Health, Part};

/// Held while a flitch runs; it says which.
const LOCK: &str = "lock";
const HELP: &str = "give `data_dir` a folder that this user may write to";

/// A data folder that is this process's for as long as this lives.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    /// Whether nobody but its owner could enter it when it was taken.
    is_closed: bool,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    lock: File,
    /// There while somebody has taken the folder away, and it cannot be taken again.
    lost: Option<Part>,
}

/// Takes the data folder, which is made if it is not there, for as long as the answer lives. Nobody but its owner can
/// enter it then, unless it holds more than flitch's files.
///
/// # Errors
/// The folder cannot be made or written to, and another flitch has it: both would overwrite the positions of each
/// other.
pub fn claim(data_dir: &Path) -> anyhow::Result<Claim> {
    make(data_dir)?;
    let closed = private::close_folder(data_dir, LOCK);
    if let Err(why) = &closed {
        tracing::warn!(folder = ?data_dir, why, "users of this machine beside the owner may enter `data_dir`: chmod 0700");
    }
    let held = Mutex::new(Held { lock: lock(data_dir)?, lost: None });
    Ok(Claim { folder: data_dir.to_owned(), is_closed: closed.is_ok(), held })
}

impl Claim {
    /// Takes the folder once more where it, or what it is held by, was taken away: parts make what they need there again, and
    /// another flitch would find it free. While that cannot be done it shows in `health`. To be called often.
    pub fn hold(&self, health: &Arc<Health>) {
        let mut held = self.held.lock();
        let found =
            if is_at(&held.lock, &self.folder.join(LOCK)) { Ok(None) } else { self.again().map(Some) };
        match found {
            Ok(None) => held.lost = None,
            Ok(Some(lock)) => {
                tracing::warn!(folder = ?self.folder, "`data_dir`, or its file `lock`, was taken away while flitch runs; it is made anew");
                *held = Held { lock, lost: None };
            }
            Err(error) if held.lost.is_none() => {
                let reason = format!("`data_dir` was taken away while flitch runs: {error:#}");
                tracing::error!("{reason}");
                let part = Part::new(health, "folder", "data_dir");
                part.stalls(&reason);
                held.lost = Some(part);
            }
            Err(_) => {}
        }
    }

    fn again(&self) -> anyhow::Result<File> {
        make(&self.folder)?;
        let lock = lock(&self.folder)?;
        // What parts have made there meanwhile is flitch's own.
        if self.is_closed {
            private::close_folder(&self.folder, LOCK).map_err(anyhow::Error::msg)?;
        }
        Ok(lock)
    }
}

fn make(data_dir: &Path) -> anyhow::Result<()> {
    private::folder(data_dir)
        .with_context(|| format!("cannot make the folder {}: {HELP}", data_dir.display()))
}

fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join(LOCK);
    let mut options = OpenOptions::new();
    let open = private::open(options.read(true).write(true).create(true).truncate(false), &path);
    let mut lock = open.with_context(|| format!("cannot write to {}: {HELP}", path.display()))?;
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
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_has_one_flitch_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = claim(&path).unwrap();
        let error = claim(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        drop(first);
        claim(&path).unwrap();
        assert_eq!((mode(&path), mode(&path.join(LOCK))), (0o700, 0o600));
    }

    #[test]
    fn a_folder_that_somebody_takes_away_is_taken_again_and_closed() {
        let (folder, health) = (tempfile::tempdir().unwrap(), Arc::<Health>::default());
        let path = folder.path().join("data");
        let held = claim(&path).unwrap();
        // What a part makes that needs a folder of its own there, with the rights that are usual.
        let made_by_a_part = || {
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
            fs::create_dir(path.join("sources")).unwrap();
        };
        let lose_all = || fs::remove_dir_all(&path).unwrap();
        let lose_the_lock = || fs::remove_file(path.join(LOCK)).unwrap();
        for lose in [&lose_all as &dyn Fn(), &|| (lose_all(), made_by_a_part()).1, &lose_the_lock] {
            lose();
            held.hold(&health);
            assert_eq!((mode(&path), mode(&path.join(LOCK))), (0o700, 0o600));
            assert!(claim(&path).unwrap_err().to_string().contains("another flitch"));
            assert!(health.down().is_empty());
        }
    }

    #[test]
    fn a_folder_that_another_flitch_took_meanwhile_shows_until_that_has_gone() {
        let (folder, health) = (tempfile::tempdir().unwrap(), Arc::<Health>::default());
        let path = folder.path().join("data");
        let held = claim(&path).unwrap();
        fs::remove_dir_all(&path).unwrap();
        let other = claim(&path).unwrap();
        for _ in 0..3 {
            held.hold(&health);
            let down = health.down();
            assert!(down.len() == 1 && down[0].contains("another flitch (process "), "{down:?}");
        }
        drop(other);
        held.hold(&health);
        assert!(health.down().is_empty());
    }

    #[test]
    fn a_folder_of_more_than_flitch_stays_as_open_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        fs::write(path.join("photo"), "").unwrap();
        let held = claim(&path).unwrap();
        fs::remove_file(path.join(LOCK)).unwrap();
        held.hold(&Arc::default());
        assert_eq!(mode(&path), 0o755);
        assert!(claim(&path).unwrap_err().to_string().contains("another flitch"));
    }
}
