//! What was pulled, on disk: content under its digest, what tags stood for when they were asked last, and signatures.
//!
//! A file is written aside and renamed. Content is held against its digest whenever it is read, so that what somebody else
//! puts there is none.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::digest::Digest;
use crate::reference::Reference;
use crate::signature::{self, Signature};
use flitch_core::durable::sync_folder_of;
use flitch_core::private;

/// Longest time that a file is written to.
const WRITING: Duration = Duration::from_secs(3600);
const BLOBS: &str = "blobs/sha256";
const TAGS: &str = "tags";
const SIGNATURES: &str = "signatures";

/// A folder of what was pulled.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    max_bytes: u64,
    /// What this process has read or written: it may run, and stays.
    used: Mutex<BTreeSet<Digest>>,
}

/// What a tag stands for.
#[derive(Debug, Serialize, Deserialize)]
struct Tag {
    reference: String,
    digest: Digest,
}

impl Cache {
    /// The one in `folder`, which is made when something is written.
    pub fn new(folder: PathBuf, max_bytes: u64) -> Cache {
        Cache { folder, max_bytes, used: Mutex::default() }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it is another user's, and this one may not look into it.
    pub fn is_closed(&self) -> bool {
        let looked = fs::read_dir(self.folder.join(BLOBS));
        looked.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// That what was pulled cannot be kept or read.
    pub fn failed(&self, error: &io::Error) -> Error {
        let folder = self.folder.display();
        if error.kind() == io::ErrorKind::PermissionDenied {
            let user = "`chown -R` it to the user that flitch runs as, or run this as that user";
            return Error::Failed(format!(
                "{folder} is for another user, so nothing can be kept or read there: {user} ({error})"
            ));
        }
        Error::Failed(format!("what is pulled cannot be kept in {folder}: {error}"))
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join(BLOBS).join(digest.hex())
    }

    /// Content of at most `most` bytes; none where it is not here, is larger, or what is here is something else, which goes.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, digest: &Digest, most: u64) -> io::Result<Option<Vec<u8>>> {
        let path = self.blob(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // What somebody says of its size is no word against it.
        if file.metadata()?.len() > most {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        (&file).take(most).read_to_end(&mut bytes)?;
        if Digest::of(&bytes) != *digest {
            tracing::warn!(path = %path.display(), "what was pulled is not what it was, and is pulled again");
            drop(fs::remove_file(&path));
            return Ok(None);
        }
        // When it was used last; a folder that cannot be written to is only read.
        let _ = file.set_modified(SystemTime::now());
        self.used.lock().insert(digest.clone());
        Ok(Some(bytes))
    }

    /// A file beside the content, to be written.
    ///
    /// # Errors
    /// The system's.
    pub fn aside(&self) -> io::Result<Aside> {
        private::folder(&self.folder)?;
        Aside::new(&self.folder.join(BLOBS))
    }

    /// Keeps what was written aside. What was used longest ago goes where there is no room.
    ///
    /// # Errors
    /// The system's.
    pub fn keep(&self, aside: Aside) -> io::Result<Digest> {
        let digest = aside.digest();
        self.used.lock().insert(digest.clone());
        let path = self.blob(&digest);
        aside.take(&path)?;
        self.prune();
        Ok(digest)
    }

    /// Keeps some content.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, bytes: &[u8]) -> io::Result<Digest> {
        let mut aside = self.aside()?;
        aside.write_all(bytes)?;
        self.keep(aside)
    }

    /// The file in which it stands what the tag of a reference stands for.
    pub fn tag_file(&self, reference: &Reference) -> PathBuf {
        let name = Digest::of(reference.to_string().as_bytes());
        self.folder.join(TAGS).join(format!("{}.json", name.hex()))
    }

    /// The manifest that the tag of a reference stood for when it was asked last.
    pub fn tag(&self, reference: &Reference) -> Option<Digest> {
        let tag: Tag = read_json(&self.tag_file(reference))?;
        (tag.reference == reference.to_string()).then_some(tag.digest)
    }

    /// Notes what it stands for.
    ///
    /// # Errors
    /// The system's.
    pub fn set_tag(&self, reference: &Reference, digest: &Digest) -> io::Result<()> {
        let tag = Tag { reference: reference.to_string(), digest: digest.clone() };
        self.write_json(&self.tag_file(reference), &tag)
    }

    /// The signatures of a manifest; none where nobody has asked for them.
    pub fn signatures(&self, manifest: &Digest) -> Option<Vec<Signature>> {
        read_json(&self.folder.join(SIGNATURES).join(format!("{}.json", manifest.hex())))
    }

    /// Keeps them.
    ///
    /// # Errors
    /// The system's.
    pub fn set_signatures(&self, manifest: &Digest, signatures: &[Signature]) -> io::Result<()> {
        self.write_json(&self.folder.join(SIGNATURES).join(format!("{}.json", manifest.hex())), &signatures)
    }

    fn write_json(&self, path: &Path, what: &impl Serialize) -> io::Result<()> {
        private::folder(&self.folder)?;
        let mut aside = Aside::new(path.parent().unwrap_or(Path::new("")))?;
        serde_json::to_writer(&mut aside, what)?;
        aside.take(path)
    }

    fn prune(&self) {
        let Ok(files) = fs::read_dir(self.folder.join(BLOBS)) else { return };
        let entry = |file: fs::DirEntry| {
            let there = file.metadata().ok()?;
            let digest: Option<Digest> =
                format!("sha256:{}", file.file_name().to_string_lossy()).parse().ok();
            Some((there.modified().ok()?, there.len(), file.path(), digest))
        };
        let mut files: Vec<_> = files.flatten().filter_map(entry).collect();
        files.sort_by_key(|(used, ..)| *used);
        let mut sum: u64 = files.iter().map(|(_, bytes, ..)| bytes).sum();
        let used = self.used.lock();
        for (modified, bytes, path, digest) in files {
            if sum <= self.max_bytes {
                return;
            }
            // What has no digest for a name is written now, by this process or another, or was left by a crash.
            let may_go = match &digest {
                Some(digest) => !used.contains(digest),
                None => modified.elapsed().is_ok_and(|ago| ago > WRITING),
            };
            if may_go && fs::remove_file(&path).is_ok() {
                sum -= bytes;
                tracing::info!(path = %path.display(), "a plugin that was not used for long makes room");
            }
        }
    }
}

/// At most so many bytes of JSON are read.
const MOST_JSON: u64 = signature::MOST * signature::MANY as u64 * 2;

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(MOST_JSON).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// A file that nobody sees before it is whole.
#[derive(Debug)]
pub struct Aside {
    path: PathBuf,
    file: File,
    hash: Sha256,
    is_taken: bool,
}

impl Aside {
    /// One in `folder`, which is made where it is missing. Only its owner can read it.
    ///
    /// # Errors
    /// The system's.
    pub fn new(folder: &Path) -> io::Result<Aside> {
        private::folder(folder)?;
        Aside::open(folder, private::open)
    }

    /// The same, with the rights that files have which this user makes.
    ///
    /// # Errors
    /// The system's.
    pub fn for_all(folder: &Path) -> io::Result<Aside> {
        fs::create_dir_all(folder)?;
        Aside::open(folder, |options, path| options.open(path))
    }

    fn open(
        folder: &Path,
        open: impl FnOnce(&mut OpenOptions, &Path) -> io::Result<File>,
    ) -> io::Result<Aside> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".{}.{number}.new", std::process::id()));
        let file = open(OpenOptions::new().write(true).create(true).truncate(true), &path)?;
        Ok(Aside { path, file, hash: Sha256::new(), is_taken: false })
    }

    /// The digest of what was written.
    pub fn digest(&self) -> Digest {
        Digest::finish(self.hash.clone())
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// The system's.
    pub fn take(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, path)?;
        self.is_taken = true;
        sync_folder_of(path)
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_taken {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
