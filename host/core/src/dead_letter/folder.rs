//! The files of the dead letters: appended, rotated, capped.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::telling::Telling;
use super::{DeadLetterSettings, WhenFull};
use crate::durable::sync_folder;
use crate::file_stamp::is_at;

const PREFIX: &str = "letters-";
const SUFFIX: &str = ".ndjson";
/// Where files go whose letters were sent again.
pub(super) const REPLAYED: &str = "replayed";
/// The end of a file's name while its letters are sent again.
pub(super) const TAKEN: &str = "replaying";
/// Held while a file is appended to, and while a replay takes one away.
const LOCK: &str = ".lock";
/// Held by a replay from its begin to its end.
const REPLAY_LOCK: &str = ".replay";

/// Where letters are written.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    settings: DeadLetterSettings,
    lock: File,
    current: Option<Current>,
    /// The files that it has begun, where somebody may want to take them back.
    begun: Option<Vec<PathBuf>>,
}

/// The file that is appended to.
#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    bytes: u64,
}

/// A file of letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// Grows with age turned round: the highest is the newest.
    pub number: u64,
    pub path: PathBuf,
}

/// The files of letters in a folder, oldest first.
pub(super) fn files(folder: &Path) -> io::Result<Vec<Name>> {
    named(folder, SUFFIX)
}

/// Those that a replay has taken, be it one that is gone.
pub(super) fn taken(folder: &Path) -> io::Result<Vec<Name>> {
    named(folder, &format!(".{TAKEN}"))
}

/// All that hold letters which are not known to be sent again.
pub(super) fn all(folder: &Path) -> io::Result<Vec<Name>> {
    let mut names = taken(folder)?;
    names.extend(files(folder)?);
    names.sort();
    Ok(names)
}

fn named(folder: &Path, suffix: &str) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let number = name.strip_prefix(PREFIX).and_then(|n| n.strip_suffix(suffix));
        if let Some(number) = number.and_then(|n| n.parse().ok()) {
            names.push(Name { number, path });
        }
    }
    names.sort();
    Ok(names)
}

/// The same for those that were sent again.
pub(super) fn replayed(folder: &Path) -> io::Result<Vec<Name>> {
    match files(&folder.join(REPLAYED)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// Waits for the lock of a folder, and holds it while the answer lives.
pub(super) fn lock(folder: &Path) -> io::Result<File> {
    let lock = private().append(true).create(true).open(folder.join(LOCK))?;
    lock.lock()?;
    Ok(lock)
}

/// Makes sure that no other replay runs while the answer lives, and gives back what one took that did not end.
pub(super) fn begin_replay(folder: &Path) -> io::Result<File> {
    let alone = private().append(true).create(true).open(folder.join(REPLAY_LOCK))?;
    if let Err(TryLockError::WouldBlock) = alone.try_lock() {
        return Err(io::Error::other("another replay is under way"));
    }
    let _lock = lock(folder)?;
    for Name { path, .. } in taken(folder)? {
        let back = path.with_extension(&SUFFIX[1..]);
        if back.exists() {
            // Those of its letters that were not meant, and perhaps others since: all that were meant had been sent when
            // they were put there.
            archive(folder, &path, &back)?;
        } else {
            std::fs::rename(&path, &back)?;
        }
    }
    sync_folder(folder)?;
    Ok(alone)
}

/// Puts the file that a replay had taken from `path` among those that were replayed, under a name that is free there.
pub(super) fn archive(folder: &Path, taken: &Path, path: &Path) -> io::Result<()> {
    let archive = folder.join(REPLAYED);
    make(&archive)?;
    let mut to = archive.join(path.file_name().unwrap_or_default());
    let mut number = files(&archive)?.last().map_or(0, |newest| newest.number);
    while to.exists() {
        number += 1;
        to = archive.join(format!("{PREFIX}{number:08}{SUFFIX}"));
    }
    std::fs::rename(taken, to)?;
    sync_folder(&archive)?;
    sync_folder(folder)
}

/// How files are made here: what is in records is for nobody else to read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Makes a folder that nobody else may look into, if it is not there.
fn make(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

impl Folder {
    pub fn open(path: &Path, settings: DeadLetterSettings) -> io::Result<Folder> {
        make(path)?;
        let lock = private().append(true).create(true).open(path.join(LOCK))?;
        let mut folder = Folder { path: path.to_owned(), settings, lock, current: None, begun: None };
        if let Some(newest) = files(path)?.pop() {
            folder.current = Some(Current::resume(newest.path)?);
        }
        Ok(folder)
    }

    /// The same folder, for letters that go to files of their own.
    pub fn apart(&self) -> io::Result<Folder> {
        make(&self.path)?;
        let lock = private().append(true).create(true).open(self.path.join(LOCK))?;
        let (path, settings) = (self.path.clone(), self.settings.clone());
        Ok(Folder { path, settings, lock, current: None, begun: Some(Vec::new()) })
    }

    /// The files that such a one has begun.
    pub fn begun(&self) -> Vec<PathBuf> {
        self.begun.clone().unwrap_or_default()
    }

    pub fn configure(&mut self, settings: DeadLetterSettings) {
        self.settings = settings;
    }

    /// Appends whole lines; they are on disk when this returns, or none of them is in the file.
    pub fn append(&mut self, lines: &[u8], telling: &Telling) -> io::Result<()> {
        self.find()?;
        self.lock.lock()?;
        let result = self.append_locked(lines, telling);
        self.lock.unlock()?;
        result
    }

    /// Makes the folder again where somebody has taken it away.
    fn find(&mut self) -> io::Result<()> {
        let path = self.path.join(LOCK);
        if !is_at(&self.lock, &path) {
            make(&self.path)?;
            self.lock = private().append(true).create(true).open(path)?;
        }
        Ok(())
    }

    fn append_locked(&mut self, lines: &[u8], telling: &Telling) -> io::Result<()> {
        self.make_room(lines.len() as u64, telling)?;
        let most = self.settings.max_file_bytes.0;
        let fits = |c: &Current| c.is_there() && (c.bytes == 0 || c.bytes + lines.len() as u64 <= most);
        let mut current = match self.current.take().filter(fits) {
            Some(current) => current,
            None => self.begin(sync_folder)?,
        };
        let written = current.file.write_all(lines).and_then(|()| current.file.sync_data());
        match &written {
            Ok(()) => current.bytes += lines.len() as u64,
            // Half a line would spoil the next one.
            Err(_) => current.file.set_len(current.bytes)?,
        }
        self.current = Some(current);
        written
    }

    /// Begins the next file, whose name `sync` makes safe. One that is not does not stay: each try would leave one.
    fn begin(&mut self, sync: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Current> {
        let newest = |names: Vec<Name>| names.last().map_or(0, |name| name.number);
        // A file that a replay has taken comes back under its name.
        let number = newest(all(&self.path)?).max(newest(replayed(&self.path)?)) + 1;
        let path = self.path.join(format!("{PREFIX}{number:08}{SUFFIX}"));
        let file = private().append(true).create_new(true).open(&path)?;
        if let Err(error) = sync(&self.path) {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        if let Some(begun) = &mut self.begun {
            begun.push(path.clone());
        }
        Ok(Current { file, path, bytes: 0 })
    }

    /// Sees to it that `more` bytes fit under the cap.
    fn make_room(&mut self, more: u64, telling: &Telling) -> io::Result<()> {
        let most = self.settings.max_bytes.0;
        let (old, new) = (replayed(&self.path)?, files(&self.path)?);
        let size = |name: &Name| std::fs::metadata(&name.path).map_or(0, |m| m.len());
        let mut total: u64 = old.iter().chain(&new).map(size).sum();
        // Letters that were sent again go first; losing them loses nothing.
        for name in &old {
            if total + more <= most {
                return Ok(());
            }
            total -= size(name);
            std::fs::remove_file(&name.path)?;
        }
        if total + more <= most || total == 0 {
            return Ok(());
        }
        if self.settings.when_full == WhenFull::Stop {
            let wrong = format!(
                "the dead letters in {} have reached `max_bytes` ({})",
                self.path.display(),
                self.settings.max_bytes
            );
            return Err(io::Error::new(io::ErrorKind::StorageFull, wrong));
        }
        for name in &new {
            if total + more <= most {
                break;
            }
            let (bytes, letters) = (size(name), count(&name.path)?);
            std::fs::remove_file(&name.path)?;
            telling.deleted(&name.path, letters, bytes);
            total -= bytes;
        }
        Ok(())
    }
}

/// How many letters a file holds.
fn count(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; 64 << 10];
    let mut letters = 0;
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(letters),
            Ok(bytes) => letters += memchr::memchr_iter(b'\n', &chunk[..bytes]).count() as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Current {
    /// Goes on with a file; a line that a crash cut off, which was never reported as safe, is taken back.
    fn resume(path: PathBuf) -> io::Result<Current> {
        let mut file = OpenOptions::new().read(true).append(true).open(&path)?;
        // One that came from elsewhere may be open to others, and another user's cannot be closed to them.
        let _ = file.set_permissions(Permissions::from_mode(0o600));
        let mut end = file.metadata()?.len();
        let mut chunk = [0; 4096];
        'whole: while end > 0 {
            let from = end.saturating_sub(chunk.len() as u64);
            file.seek(SeekFrom::Start(from))?;
            let part = &mut chunk[..(end - from) as usize];
            file.read_exact(part)?;
            if let Some(newline) = memchr::memrchr(b'\n', part) {
                end = from + newline as u64 + 1;
                break 'whole;
            }
            end = from;
        }
        if end < file.metadata()?.len() {
            file.set_len(end)?;
        }
        Ok(Current { file, path, bytes: end })
    }

    /// Whether the path still leads to this file: a replay or a person may have taken it away.
    fn is_there(&self) -> bool {
        is_at(&self.file, &self.path)
    }
}

#[cfg(test)]
mod tests;
