//! Files that have reached their size: moved on, and compressed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::place::Place;
use flitch_core::telemetry::{Health, Part};

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

impl Rotation {
    /// Moves `<path>` to `<path>.1`, `<path>.1` to `<path>.2`, and so on. It is this caller's turn at `place`.
    pub fn rotate(&self, path: &Path, place: &Arc<Place>) -> io::Result<()> {
        place.finish();
        if self.keep == 0 {
            return ignore_missing(fs::remove_file(path));
        }
        for suffix in ["", ".gz"] {
            ignore_missing(fs::remove_file(numbered(path, self.keep, suffix)))?;
            for number in (1..self.keep).rev() {
                let to = numbered(path, number + 1, suffix);
                ignore_missing(fs::rename(numbered(path, number, suffix), to))?;
            }
        }
        let rotated = numbered(path, 1, "");
        fs::rename(path, &rotated)?;
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

/// Makes a change of a folder's entries safe; where the file system knows no such thing there is nothing to do.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

/// Compresses a file; the plain one goes when the other is whole and on the disk.
fn compress(from: &Path, to: &Path) -> io::Result<()> {
    let unfinished = to.with_extension("gz.part");
    let work = || {
        let mut encoder = GzEncoder::new(File::create(&unfinished)?, Compression::default());
        io::copy(&mut File::open(from)?, &mut encoder)?;
        encoder.finish()?.sync_all()?;
        fs::rename(&unfinished, to)
    };
    work().inspect_err(|_| {
        // A disk that is full gets its space back.
        let _ = fs::remove_file(&unfinished);
    })?;
    sync_folder(to.parent().unwrap_or(Path::new("/")))?;
    fs::remove_file(from)
}
