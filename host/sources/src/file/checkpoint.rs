//! Positions on disk.
//!
//! One file in the source's folder, of JSON lines: the version, then an entry for each change of a file's position, of
//! which the last one counts. What changed is appended and fsynced; now and then the file is replaced as a whole:
//! written aside, fsynced, renamed. A line that a crash cut short is the last one, and was never counted on.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use flitch_core::batch::origin::Root;
use flitch_core::durable::sync_folder;
use flitch_core::private;

use super::container::{PARTS, Position};
use super::discover::FileId;
use super::fingerprint::{Fingerprint, HEAD};

pub(super) const NAME: &str = "checkpoints.ndjson";
const VERSION: u32 = 2;
/// One JSON document with a list of `files`, as the first version wrote it.
const OLD_NAME: &str = "checkpoints.json";
const OLD_VERSION: u32 = 1;

/// How long the position of a file is kept after the file was last seen, in seconds.
pub(super) const KEEP: i64 = 24 * 60 * 60;
/// Lines for files that are followed, after which the file is replaced by one with a line for each.
const SPARE: usize = 1000;

/// How far one file is safe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The name under which the globs found it.
    #[serde(with = "bytes")]
    pub path: PathBuf,
    /// Where it lay last, if not under that name: where a link led, or what it was renamed to.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe_bytes")]
    pub place: Option<PathBuf>,
    /// The folder where it lay really, if a link led there.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe_bytes")]
    pub folder: Option<PathBuf>,
    #[serde(flatten)]
    pub id: FileId,
    /// None while it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Bytes from the beginning, decompressed, that are safe.
    pub position: u64,
    /// Where each stream of a container's file goes on, if not all do at the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<[u64; PARTS]>,
    /// The bytes just before the position; none at the beginning and where they could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Fingerprint>,
    /// A compressed file of this many bytes was read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<u64>,
    /// What its records are numbered in, for as long as it is followed; none before its first record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// When it was last seen, in seconds since 1970.
    pub seen: i64,
}

impl Checkpoint {
    /// Where it lay last.
    pub fn place(&self) -> &PathBuf {
        self.place.as_ref().unwrap_or(&self.path)
    }

    /// Whether a plain file that begins with `head` can be this one. Of a short one all is known that was taken of it; a line
    /// without an end behind that may have become another.
    pub fn begins(&self, head: &[u8]) -> bool {
        let taken = self.before.filter(|_| (1..=HEAD as u64).contains(&self.position));
        taken.or(self.fingerprint).is_none_or(|known| known.fits(head))
    }

    /// Where reading goes on.
    pub fn start(&self) -> Position {
        Position { offset: self.position, streams: self.streams.unwrap_or([self.position; PARTS]) }
    }
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line<'a> {
    Version { version: u32 },
    Forget { forget: FileId },
    Set(std::borrow::Cow<'a, Checkpoint>),
}

#[derive(Deserialize)]
struct OldDocument {
    version: u32,
    files: Vec<Checkpoint>,
}

/// Where the positions of one source are kept.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    /// Open to append to; none where the next save is to replace the whole.
    file: Option<File>,
    lines: usize,
}

impl Store {
    /// Opens the store in `folder`, which is made where it is missing. Answers the positions that can be read; none if
    /// there were none ever.
    pub fn open(folder: &Path) -> anyhow::Result<(Store, Option<Vec<Checkpoint>>)> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder for checkpoints {}", folder.display()))?;
        let store = Store { folder: folder.to_owned(), file: None, lines: 0 };
        for (name, parse) in [(NAME, parse as fn(&[u8]) -> anyhow::Result<Parsed>), (OLD_NAME, parse_old)] {
            let path = folder.join(name);
            let text = match fs::read(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
            };
            let parsed = parse(&text).with_context(|| {
                format!(
                    "{} is not for this flitch: restore it, or move it away to begin as at a first start",
                    path.display()
                )
            })?;
            if let Some(damage) = parsed.damage {
                damage.tell(&path);
            }
            return Ok((store, Some(parsed.files)));
        }
        Ok((store, None))
    }

    /// Whether the next save is to be a whole one, of `files` files.
    pub fn wants_whole(&self, files: usize) -> bool {
        self.file.is_none() || self.lines > 2 * files + SPARE
    }

    /// Replaces all positions; they are on disk when this returns.
    pub fn replace<'a>(&mut self, files: impl Iterator<Item = &'a Checkpoint>) -> io::Result<()> {
        self.file = None;
        // Somebody may have removed it.
        private::folder(&self.folder)?;
        let aside = self.folder.join(format!("{NAME}.new"));
        let file = private::open(File::options().write(true).create(true).truncate(true), &aside)?;
        let mut out = BufWriter::with_capacity(64 << 10, file);
        let mut lines = 0;
        write(&mut out, &Line::Version { version: VERSION })?;
        for checkpoint in files {
            write(&mut out, &Line::Set(std::borrow::Cow::Borrowed(checkpoint)))?;
            lines += 1;
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&aside, self.folder.join(NAME))?;
        sync_folder(&self.folder)?;
        fs::remove_file(self.folder.join(OLD_NAME)).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        (self.file, self.lines) = (Some(file), lines);
        Ok(())
    }

    /// Adds what has changed; it is on disk when this returns. After an error the next save is a whole one.
    pub fn append(&mut self, changed: &[&Checkpoint], forgotten: &[FileId]) -> io::Result<()> {
        let file = self.file.take().filter(|file| file.metadata().is_ok_and(|meta| meta.nlink() > 0));
        // Somebody has removed it: what is appended would go with it.
        let Some(mut file) = file else { return Err(io::ErrorKind::NotFound.into()) };
        let mut text = Vec::new();
        for forget in forgotten {
            write(&mut text, &Line::Forget { forget: *forget })?;
        }
        for checkpoint in changed {
            write(&mut text, &Line::Set(std::borrow::Cow::Borrowed(checkpoint)))?;
        }
        file.write_all(&text)?;
        file.sync_data()?;
        self.lines += changed.len() + forgotten.len();
        self.file = Some(file);
        Ok(())
    }
}

fn write(out: &mut impl Write, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// What could be read of a file.
struct Parsed {
    files: Vec<Checkpoint>,
    damage: Option<Damage>,
}

/// Lines that could not be read. Without one a file is read again from an earlier position, or from its beginning.
struct Damage {
    lines: usize,
    /// Which was the first, and what is wrong with it.
    first: (usize, String),
}

impl Damage {
    /// Tells of it, and keeps what is there: the next save replaces it.
    fn tell(self, path: &Path) {
        let aside = path.with_extension("damaged");
        let kept = match fs::copy(path, &aside) {
            Ok(_) => aside.display().to_string(),
            Err(error) => format!("not kept: {error}"),
        };
        tracing::error!(
            path = %path.display(), lines = self.lines, first = self.first.0, reason = self.first.1, kept,
            "positions of files are damaged, as a power failure leaves them; files without one are read from their \
             beginning, and records may come twice"
        );
    }
}

/// Reads the lines of a file. What stands behind the last line's end was not written to its end.
fn parse(text: &[u8]) -> anyhow::Result<Parsed> {
    let whole = memchr::memrchr(b'\n', text).map_or(&[][..], |end| &text[..end]);
    let mut files: HashMap<FileId, Checkpoint> = HashMap::new();
    let mut damage: Option<Damage> = None;
    for (number, line) in (1..).zip(whole.split(|byte| *byte == b'\n')) {
        let reason = match (number, serde_json::from_slice::<Line>(line)) {
            (1, Ok(Line::Version { version: VERSION })) => continue,
            (1, Ok(Line::Version { version })) => {
                anyhow::bail!("its version is {version}, this flitch knows {VERSION}")
            }
            (_, Ok(Line::Forget { forget })) => {
                files.remove(&forget);
                continue;
            }
            (2.., Ok(Line::Set(checkpoint))) => {
                files.insert(checkpoint.id, checkpoint.into_owned());
                continue;
            }
            (1, _) => "it names no version".to_owned(),
            (_, Ok(_)) => "a second version".to_owned(),
            (_, Err(error)) => error.to_string(),
        };
        damage.get_or_insert(Damage { lines: 0, first: (number, reason) }).lines += 1;
    }
    Ok(Parsed { files: files.into_values().collect(), damage })
}

fn parse_old(text: &[u8]) -> anyhow::Result<Parsed> {
    let document: OldDocument = match serde_json::from_slice(text) {
        Ok(document) => document,
        Err(error) => {
            let damage = Some(Damage { lines: 1, first: (error.line(), error.to_string()) });
            return Ok(Parsed { files: Vec::new(), damage });
        }
    };
    anyhow::ensure!(
        document.version == OLD_VERSION,
        "its version is {}, this flitch knows {OLD_VERSION}",
        document.version
    );
    Ok(Parsed { files: document.files, damage: None })
}

/// A path as text, or as its bytes where they are no UTF-8.
mod bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Name {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => text.serialize(serializer),
            None => path.as_os_str().as_bytes().serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Ok(match Name::deserialize(deserializer)? {
            Name::Text(text) => text.into(),
            Name::Bytes(bytes) => OsString::from_vec(bytes).into(),
        })
    }
}

/// [`bytes`], for what may be missing.
mod maybe_bytes {
    use std::path::PathBuf;

    use serde::{Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "serde hands over a reference to the field")]
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        match path {
            Some(path) => super::bytes::serialize(path, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        super::bytes::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests;
