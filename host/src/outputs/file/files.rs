//! Open files: appended to, rotated, compressed.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Most files that are open at once.
const OPEN: usize = 256;
/// A file that is not written to for so long is closed, so that one that was deleted gives its space back.
const IDLE: Duration = Duration::from_secs(60);

/// When and how files are rotated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub max_bytes: u64,
    pub keep: u32,
    pub gzip: bool,
}

/// The files of one output.
#[derive(Debug)]
pub(super) struct Files {
    rotation: Option<Rotation>,
    open: HashMap<PathBuf, Open>,
    /// When idle files were last looked for.
    looked: Instant,
    /// Compresses the file that was rotated last.
    compressing: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    bytes: u64,
    dirty: bool,
    used: Instant,
}

impl Files {
    pub fn new(rotation: Option<Rotation>) -> Files {
        Files { rotation, open: HashMap::new(), looked: Instant::now(), compressing: None }
    }

    /// Appends whole lines. After an error none of them is in the file.
    pub fn append(&mut self, path: &Path, lines: &[u8], sync: bool) -> io::Result<()> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        self.ready(path, lines.len() as u64).map_err(named)?;
        let open = self.open.get_mut(path).expect("it was just made ready");
        match append(&open.file, lines) {
            Ok(()) => open.bytes += lines.len() as u64,
            Err(error) => {
                self.open.remove(path);
                return Err(named(error));
            }
        }
        if sync {
            return open.file.sync_data().map_err(named);
        }
        open.dirty = true;
        Ok(())
    }

    /// Sees to it that the file is open, is still the one at its path, and has room for `more` bytes.
    fn ready(&mut self, path: &Path, more: u64) -> io::Result<()> {
        let now = Instant::now();
        if now.duration_since(self.looked) >= IDLE {
            self.looked = now;
            self.close_where(|open| now.duration_since(open.used) >= IDLE);
        }
        let there = fs::metadata(path);
        let same = |open: &Open| match (&there, open.file.metadata()) {
            (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
            _ => false,
        };
        if self.open.get(path).is_some_and(|open| !same(open)) {
            self.open.remove(path);
        }
        if let Some(rotation) = self.rotation {
            let bytes = there.map_or(0, |m| m.len());
            if bytes > 0 && bytes + more > rotation.max_bytes {
                self.rotate(path, rotation)?;
            }
        }
        if !self.open.contains_key(path) {
            self.make_room();
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            let bytes = file.metadata()?.len();
            self.open.insert(path.to_owned(), Open { file: Arc::new(file), bytes, dirty: false, used: now });
        }
        if let Some(open) = self.open.get_mut(path) {
            open.used = now;
        }
        Ok(())
    }

    /// Closes the file that was used longest ago when there are too many.
    fn make_room(&mut self) {
        while self.open.len() >= OPEN {
            let Some(oldest) = self.open.values().map(|open| open.used).min() else { return };
            self.close_where(|open| open.used <= oldest);
        }
    }

    fn close_where(&mut self, closes: impl Fn(&Open) -> bool) {
        for (path, open) in self.open.extract_if(|_, open| closes(open)) {
            if open.dirty
                && let Err(error) = open.file.sync_data()
            {
                tracing::error!(path = %path.display(), "records may not be on the disk: {error}");
            }
        }
    }

    /// Moves `<path>` to `<path>.1`, `<path>.1` to `<path>.2`, and so on.
    fn rotate(&mut self, path: &Path, rotation: Rotation) -> io::Result<()> {
        self.finish_compressing();
        if let Some(open) = self.open.remove(path)
            && open.dirty
        {
            open.file.sync_data()?;
        }
        if rotation.keep == 0 {
            return fs::remove_file(path);
        }
        for suffix in ["", ".gz"] {
            ignore_missing(fs::remove_file(numbered(path, rotation.keep, suffix)))?;
            for number in (1..rotation.keep).rev() {
                let to = numbered(path, number + 1, suffix);
                ignore_missing(fs::rename(numbered(path, number, suffix), to))?;
            }
        }
        let rotated = numbered(path, 1, "");
        fs::rename(path, &rotated)?;
        if rotation.gzip {
            let compressed = numbered(path, 1, ".gz");
            let work = move || {
                if let Err(error) = compress(&rotated, &compressed) {
                    tracing::warn!(path = %rotated.display(), "not compressed: {error}");
                }
            };
            self.compressing = Some(std::thread::Builder::new().name("compress".into()).spawn(work)?);
        }
        Ok(())
    }

    fn finish_compressing(&mut self) {
        if let Some(thread) = self.compressing.take()
            && thread.join().is_err()
        {
            tracing::error!("compressing a rotated file panicked");
        }
    }

    /// The files with data that is not forced to the disk; they count as clean from now on.
    pub fn take_dirty(&mut self) -> Vec<(PathBuf, Arc<File>)> {
        let dirty = self.open.iter_mut().filter(|(_, open)| open.dirty);
        let clean = |(path, open): (&PathBuf, &mut Open)| {
            open.dirty = false;
            (path.clone(), open.file.clone())
        };
        dirty.map(clean).collect()
    }

    /// Closes all files.
    pub fn close(&mut self) {
        self.finish_compressing();
        self.open.clear();
    }
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

fn numbered(path: &Path, number: u32, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}{suffix}"));
    name.into()
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Compresses a file; the plain one goes when the other is whole and on the disk.
fn compress(from: &Path, to: &Path) -> io::Result<()> {
    let unfinished = to.with_extension("gz.part");
    let mut encoder = GzEncoder::new(File::create(&unfinished)?, Compression::default());
    io::copy(&mut File::open(from)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&unfinished, to)?;
    fs::remove_file(from)
}
