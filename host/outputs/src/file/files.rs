//! Open files: appended to, and closed when they are too many or idle.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::SyncMode;
use super::dirty::{Dirty, complain};
use super::fault::{Fault, Root};
use super::place::Place;
use super::rotate::{Rights, Rotation};
use flitch_core::durable::sync_folder;
use flitch_core::file_stamp::is_same;
use flitch_core::net::descriptors;

/// Most files that an output has open at once.
pub(super) const OPEN: usize = 256;
/// All outputs together have one of so many descriptors that the system allows, and leave the others to all else.
const SHARE: u64 = 8;
/// How many outputs there are.
static OUTPUTS: AtomicUsize = AtomicUsize::new(0);
/// A file that is not written to for so long is closed, so that one that was deleted gives its space back.
const IDLE: Duration = Duration::from_secs(60);

/// What files are like whatever is in them.
#[derive(Debug)]
pub(super) struct Form {
    /// What a file begins with.
    pub header: Option<Bytes>,
    /// Whether each record is a line.
    pub lines: bool,
}

/// The files of one output.
#[derive(Debug)]
pub(super) struct Files {
    root: Root,
    form: Form,
    rotation: Option<Arc<Rotation>>,
    open: HashMap<PathBuf, Open>,
    /// When idle files were last looked for.
    looked: Instant,
    /// Where the file is compressed that was rotated last.
    rotated: Option<Arc<Place>>,
    /// When what was written is forced to the disk.
    sync: SyncMode,
    /// What was closed to make room, and what [`Files::take_dirty`] answered and came back.
    unsynced: Dirty,
}

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    place: Arc<Place>,
    /// A regular file, and no pipe or device.
    regular: bool,
    /// Nothing stands in it yet.
    empty: bool,
    /// It ends in the middle of a line: whoever wrote it was killed.
    half: bool,
    dirty: bool,
    /// Folders whose new entries are not forced to the disk.
    folders: Vec<PathBuf>,
    used: Instant,
}

impl Files {
    /// None is open. With [`SyncMode::Interval`] somebody takes what is to be forced to the disk: [`Files::take_dirty`].
    pub fn new(root: Root, rotation: Option<Rotation>, form: Form, sync: SyncMode) -> Files {
        OUTPUTS.fetch_add(1, Ordering::Relaxed);
        Files {
            root,
            form,
            rotation: rotation.map(Arc::new),
            open: HashMap::new(),
            looked: Instant::now(),
            rotated: None,
            sync,
            unsynced: Dirty::default(),
        }
    }

    /// Appends whole records, and with [`SyncMode::Batch`] waits until they are on the disk. After an error none of them is in
    /// the file, but where it was the disk that did not force them.
    pub fn append(&mut self, path: &Path, lines: &[u8]) -> Result<(), Fault> {
        let place = self.open.get(path).map_or_else(|| Place::of(path), |open| open.place.clone());
        let _turn = place.turn();
        self.ready(path, &place, lines.len() as u64).map_err(|e| self.root.of_path(path, &e))?;
        let open = self.open.get_mut(path).expect("it was just made ready");
        let appended = open.append(lines, &self.form);
        open.dirty |= open.regular && appended.is_ok();
        let safe = appended.and_then(|()| if self.sync == SyncMode::Batch { open.sync() } else { Ok(()) });
        if let Err(error) = safe {
            // What was written to it before stays, and so do the names of what was made for it.
            self.put_aside(path);
            return Err(self.root.of_write(path, &error));
        }
        Ok(())
    }

    /// Takes folders whose new entries are to be forced to the disk with the next records below them. If none come for
    /// too many of them, all are now.
    fn owe(&mut self, folders: Vec<PathBuf>) {
        if self.sync == SyncMode::Never {
            return;
        }
        self.unsynced.folders.extend(folders);
        if self.unsynced.folders.len() > OPEN {
            self.unsynced.sync_folders();
        }
    }

    /// Sees to it that the file is open, is still the one at its path, and has room for `more` bytes.
    fn ready(&mut self, path: &Path, place: &Arc<Place>, more: u64) -> io::Result<()> {
        let now = Instant::now();
        if now.duration_since(self.looked) >= IDLE {
            self.looked = now;
            self.close_where(|_, open| now.duration_since(open.used) >= IDLE);
        }
        let there = fs::metadata(path);
        let same = |open: &Open| match (&there, open.file.metadata()) {
            (Ok(a), Ok(b)) => is_same(a, &b),
            _ => false,
        };
        if self.open.get(path).is_some_and(|open| !same(open)) {
            self.close_where(|other, _| other == path);
        }
        let mut rights = None;
        if let Some(rotation) = self.rotation.clone() {
            let there = there.ok().filter(fs::Metadata::is_file);
            let bytes = there.as_ref().map_or(0, fs::Metadata::len);
            if bytes > 0 && bytes + more > rotation.max_bytes {
                self.close_where(|other, _| other == path);
                if let Some(before) = self.rotated.take() {
                    before.finish();
                }
                self.unsynced.force(path);
                rotation.rotate(path, place)?;
                self.rotated = Some(place.clone());
                rights = there.as_ref().map(Rights::of);
            } else if there.is_none() && !self.open.contains_key(path) {
                // It may be that no other could be made when the last one was moved on.
                rights = rotation.rights(path);
            }
        }
        match self.open.get_mut(path) {
            Some(open) => open.used = now,
            None => {
                let most = most_open(descriptors::most(), OUTPUTS.load(Ordering::Relaxed));
                while self.open.len() >= most && self.close_oldest() {}
                let mut is_first = true;
                let left = self.unsynced.folders.extract_if(|folder| path.starts_with(folder));
                let mut folders: Vec<_> = left.collect();
                let opened = loop {
                    match Open::at(path, place, self.root.many, rights, &mut folders) {
                        // Somebody may have removed its folder at that moment.
                        Err(e) if e.kind() == io::ErrorKind::NotFound && is_first => is_first = false,
                        // Others took what is left to outputs.
                        Err(e) if is_exhausted(&e) && self.close_oldest() => {}
                        done => break done,
                    }
                };
                match opened {
                    Ok(open) => {
                        let dirty = self.unsynced.reopen(path, &open.file);
                        self.open.insert(path.to_owned(), Open { folders, dirty, ..open });
                    }
                    Err(error) => {
                        self.owe(folders);
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Closes the file that was used longest ago. Answers whether there was one. It is forced to the disk with all others, when
    /// somebody takes what is dirty: where there are more files than may be open, each record would else wait for the disk.
    fn close_oldest(&mut self) -> bool {
        let oldest = self.open.iter().min_by_key(|(_, open)| open.used).map(|(path, _)| path.clone());
        oldest.inspect(|path| self.put_aside(path)).is_some()
    }

    /// Closes a file. What is to be forced to the disk of it is remembered, its name and those of its folders too: it is there
    /// already when it is opened again.
    fn put_aside(&mut self, path: &Path) {
        match self.open.remove(path) {
            Some(open) if open.dirty && self.sync != SyncMode::Never => {
                self.unsynced.folders.extend(open.folders);
                self.unsynced.close(path, &open.file);
            }
            Some(open) => self.owe(open.folders),
            None => {}
        }
    }

    fn close_where(&mut self, closes: impl Fn(&Path, &Open) -> bool) {
        for (path, mut open) in self.open.extract_if(|path, open| closes(path, open)) {
            if self.sync == SyncMode::Never {
                continue;
            }
            // There may be no descriptor for them before that of the file is free.
            let folders = std::mem::take(&mut open.folders);
            if let Err(error) = open.sync() {
                complain(&path, &error);
            }
            drop(open);
            for folder in folders {
                if let Err(error) = sync_folder(&folder) {
                    complain(&folder, &error);
                }
            }
        }
    }

    /// What is not forced to the disk; it counts as clean from now on.
    pub fn take_dirty(&mut self) -> Dirty {
        let mut dirty = std::mem::take(&mut self.unsynced);
        for (path, open) in self.open.iter_mut().filter(|(_, open)| open.dirty) {
            open.dirty = false;
            dirty.add(path, &open.file);
            dirty.folders.extend(open.folders.drain(..));
        }
        dirty
    }

    /// Takes back what was not forced to the disk, for the next time.
    pub fn give_back(&mut self, dirty: Dirty) {
        self.unsynced.extend(dirty);
    }

    /// Closes all files.
    pub fn close(&mut self) {
        if let Some(place) = self.rotated.take() {
            place.finish();
        }
        self.open.clear();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        OUTPUTS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many files each of so many outputs may have open, of as many descriptors as the system allows.
fn most_open(descriptors: Option<u64>, outputs: usize) -> usize {
    let share = descriptors.and_then(|most| usize::try_from(most / SHARE).ok()).unwrap_or(usize::MAX);
    (share / outputs.max(1)).clamp(1, OPEN)
}

/// Whether the process, or the system, has no descriptor left.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

impl Open {
    /// Opens a file, which is made with its folders if it is not there, and with these rights if there are some. Where
    /// records choose among `many` paths it must be a regular file: a pipe would hold all of them up. `folders` are told
    /// those that have a new entry, also where it cannot be opened.
    fn at(
        path: &Path,
        place: &Arc<Place>,
        many: bool,
        rights: Option<Rights>,
        folders: &mut Vec<PathBuf>,
    ) -> io::Result<Open> {
        let is_new = !path.exists();
        if is_new && let Some(folder) = path.parent() {
            make_folders(folder, folders)?;
            folders.push(folder.to_owned());
        }
        // Without it a pipe that nobody reads would be waited for here.
        let flags = OFlags::NONBLOCK.bits() as i32;
        let mut options = OpenOptions::new();
        options.append(true).create(true).custom_flags(flags);
        let rights = rights.filter(|_| is_new);
        rights.inspect(|rights| rights.begin(&mut options));
        let file = options.open(path)?;
        rights.inspect(|rights| rights.give(&file));
        let there = file.metadata()?;
        let regular = there.is_file();
        if !regular {
            if many {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "is no regular file"));
            }
            let flags = rustix::fs::fcntl_getfl(&file)?;
            rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
        }
        let empty = !regular || there.len() == 0;
        let half = regular && ends_in_a_line(path, there.len());
        let (file, used) = (Arc::new(file), Instant::now());
        let (place, folders) = (place.clone(), Vec::new());
        Ok(Open { file, place, regular, empty, half, dirty: false, folders, used })
    }

    fn append(&mut self, records: &[u8], form: &Form) -> io::Result<()> {
        if self.half && form.lines && !records.is_empty() {
            append(&self.file, b"\n")?;
            self.half = false;
        }
        if self.empty
            && let Some(header) = &form.header
        {
            append(&self.file, header)?;
        }
        self.empty = false;
        append(&self.file, records)
    }

    /// Forces what was written to the disk, and the names of new files and folders.
    fn sync(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.sync_data()?;
            self.dirty = false;
        }
        while let Some(folder) = self.folders.last() {
            match sync_folder(folder) {
                // Who may write to it need not be allowed to read it, and it would be so each time.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => complain(folder, &error),
                done => done?,
            }
            self.folders.pop();
        }
        Ok(())
    }
}

/// Makes the folders that are missing. `changed` are told those that have a new entry.
fn make_folders(folder: &Path, changed: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing = folder.ancestors().take_while(|folder| !folder.exists());
    let parents: Vec<_> = missing.filter_map(Path::parent).map(Path::to_owned).collect();
    let made = fs::create_dir_all(folder).map_err(|e| match e.kind() {
        // A file has the name of a folder.
        io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
        _ => e,
    });
    changed.extend(parents.into_iter().filter(|parent| parent.is_dir()));
    made
}

/// Whether the last byte of a file of this length is no end of a line. One that may not be read counts as whole.
fn ends_in_a_line(path: &Path, length: u64) -> bool {
    let mut last = [b'\n'];
    let Some(place) = length.checked_sub(1) else { return false };
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut last, place));
    read.is_ok() && last != *b"\n"
}

/// Writes all of `lines`, or takes back the part that was written.
fn append(mut file: &File, lines: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while written < lines.len() {
        match file.write(&lines[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => written += bytes,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                if written > 0 {
                    let length = file.metadata()?.len();
                    file.set_len(length.saturating_sub(written as u64))?;
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
