//! Files that have reached their size: moved on, and compressed.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::place::Place;
use flitch_core::durable::sync_folder_of;
use flitch_core::telemetry::{Health, Part};

/// What rotated files end in behind their number.
const SUFFIXES: [&str; 2] = ["", ".gz"];

/// When and how files are rotated.
#[derive(Debug)]
pub(super) struct Rotation {
    pub max_bytes: u64,
    pub keep: u32,
    /// Set where rotated files are compressed.
    pub compresses: Option<Compresses>,
}

/// Compresses the rotated files of an output.
#[derive(Debug)]
pub(super) struct Compresses {
    output: String,
    health: Arc<Health>,
}

impl Compresses {
    /// For the output of this name; `health` hears where it fails.
    pub fn new(output: &str, health: &Arc<Health>) -> Compresses {
        Compresses { output: output.to_owned(), health: health.clone() }
    }
}

/// Whose a file is, and who may read and write it. What is made in its place, or of its content, is for the same people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    mode: u32,
    owner: u32,
    group: u32,
}

impl Rights {
    pub fn of(meta: &Metadata) -> Rights {
        Rights { mode: meta.mode() & 0o777, owner: meta.uid(), group: meta.gid() }
    }

    /// Has a file that is to be made be for no more people than may have it.
    pub fn begin(self, options: &mut OpenOptions) {
        options.mode(self.mode);
    }

    /// Gives them to a file that was just made, as far as this user may and the file system knows them.
    pub fn give(self, file: &File) {
        let made = file.metadata().map(|meta| Rights::of(&meta));
        if made.as_ref().is_ok_and(|made| (made.owner, made.group) != (self.owner, self.group)) {
            // Only root may give a file away; its group may be any of this user's.
            let _ = fchown(file, Some(self.owner), Some(self.group))
                .or_else(|_| fchown(file, None, Some(self.group)));
        }
        if made.is_ok_and(|made| made.mode != self.mode) {
            let _ = file.set_permissions(Permissions::from_mode(self.mode));
        }
    }
}

impl Rotation {
    /// The rights of the file that was moved on last from `path`.
    pub fn rights(&self, path: &Path) -> Option<Rights> {
        let path = &behind_links(path);
        let last = |suffix| fs::symlink_metadata(numbered(path, 1, suffix)).ok().filter(Metadata::is_file);
        last("").or_else(|| last(".gz")).map(|meta| Rights::of(&meta))
    }

    /// Moves `<path>` to `<path>.1`, `<path>.1` to `<path>.2`, and so on; behind a link the file to which it leads. It is
    /// this caller's turn at `place`.
    pub fn rotate(&self, path: &Path, place: &Arc<Place>) -> io::Result<()> {
        place.finish();
        let path = &behind_links(path);
        if self.keep == 0 {
            return remove(path);
        }
        // Those behind a gap stay: as many may be kept as nobody could ask for one by one.
        let is_there = |number: u32, suffix| fs::symlink_metadata(numbered(path, number, suffix)).is_ok();
        let is_free = |number: &u32| !SUFFIXES.iter().any(|suffix| is_there(*number, suffix));
        let free = (1..self.keep).find(is_free).unwrap_or(self.keep);
        for suffix in SUFFIXES {
            remove(&numbered(path, free, suffix))?;
            for number in (1..free).rev() {
                let (from, to) = (numbered(path, number, suffix), numbered(path, number + 1, suffix));
                ignore_missing(fs::rename(from, &to)).map_err(|error| Stuck::at(&to, error))?;
            }
        }
        let rotated = numbered(path, 1, "");
        fs::rename(path, &rotated).map_err(|error| Stuck::at(&rotated, error))?;
        if let Some(Compresses { output, health }) = &self.compresses {
            let compressed = numbered(path, 1, ".gz");
            let part = Part::new(health, "compress", output);
            place.compress(part, move || {
                if let Err(error) = compress(&rotated, &compressed) {
                    tracing::warn!(path = %rotated.display(), "not compressed: {error}");
                }
            })?;
        }
        Ok(())
    }
}

/// A file cannot be moved on for what is at another path.
#[derive(Debug, thiserror::Error)]
#[error("it cannot be rotated: {}: {error}", path.display())]
pub(super) struct Stuck {
    path: PathBuf,
    error: io::Error,
}

impl Stuck {
    fn at(path: &Path, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), Stuck { path: path.to_owned(), error })
    }

    /// What the system says, of an error that may be one of these.
    pub fn cause(error: &io::Error) -> &io::Error {
        let stuck = error.get_ref().and_then(|inside| inside.downcast_ref::<Stuck>());
        stuck.map_or(error, |stuck| &stuck.error)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    ignore_missing(fs::remove_file(path)).map_err(|error| Stuck::at(path, error))
}

fn numbered(path: &Path, number: u32, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}{suffix}"));
    name.into()
}

/// The file to which a link leads that somebody has put at a path, on another disk perhaps: it is the file that is rotated,
/// where it lies, and the link stays. Where there is none yet it is the one that would be made.
fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // The kernel goes over 40 links at most (path_resolution(7)).
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&path) else { break };
        // A relative target starts where the link lies.
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
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
    let mut plain = File::open(from)?;
    let rights = Rights::of(&plain.metadata()?);
    // One that a crash left there may be for others.
    ignore_missing(fs::remove_file(&unfinished))?;
    let mut work = || {
        let mut options = OpenOptions::new();
        rights.begin(options.write(true).create_new(true));
        let file = options.open(&unfinished)?;
        rights.give(&file);
        let mut encoder = GzEncoder::new(file, Compression::default());
        io::copy(&mut plain, &mut encoder)?;
        encoder.finish()?.sync_all()?;
        fs::rename(&unfinished, to)
    };
    work().inspect_err(|_| {
        // A disk that is full gets its space back.
        let _ = fs::remove_file(&unfinished);
    })?;
    sync_folder_of(to)?;
    fs::remove_file(from)
}
