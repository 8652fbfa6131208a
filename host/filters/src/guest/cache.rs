//! Compiled code on disk.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::hash::sha256;
use super::shipped::Shipped;
use flitch_core::{hex, machine};

/// The ending of compiled code.
const ENDING: &str = "cwasm";
/// Most bytes of the folder; what was used longest ago goes first.
const MAX_BYTES: u64 = 1 << 30;

/// Compiled code on disk, so that a restart compiles nothing.
///
/// A file is named by the component that it comes from, the engine that compiled it, and its own content, each by its
/// hash. Loading native code is as good as running it: so the folder is ours alone (0700), each file too (0600), and
/// a file whose content is not what its name says is thrown away and compiled again.
#[derive(Debug)]
pub struct Cache {
    folder: Option<PathBuf>,
    shipped: Option<Shipped>,
}

impl Cache {
    /// A cache that keeps nothing.
    pub fn none() -> Cache {
        Cache { folder: None, shipped: None }
    }

    /// The same, and before it what came with the program.
    pub fn with_shipped(self, shipped: Option<Shipped>) -> Cache {
        Cache { shipped, ..self }
    }

    /// The cache in `folder`, which is made where it is missing.
    pub fn open(folder: &Path) -> io::Result<Cache> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let metadata = fs::metadata(folder)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("the folder belongs to another user"));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(Cache { folder: Some(folder.to_owned()), shipped: None })
    }

    /// The code of the component `bytes`, whose SHA-256 is `sha256`, and whether it was here already.
    pub fn component(
        &self,
        engine: &Engine,
        bytes: &[u8],
        sha256: &str,
    ) -> anyhow::Result<(Component, bool)> {
        if let Some(component) = self.shipped.as_ref().and_then(|shipped| shipped.component(engine, sha256)) {
            return Ok((component, true));
        }
        let Some(folder) = &self.folder else { return Ok((compile(engine, bytes)?, false)) };
        let head = format!("{sha256}-{}-", engine_key(engine));
        if let Some(component) = load(folder, &head, engine) {
            return Ok((component, true));
        }
        let compiled = compile(engine, bytes)?;
        let kept = compiled.serialize().map_err(io::Error::other).and_then(|code| keep(folder, &head, &code));
        prune(folder, MAX_BYTES);
        let component = match kept {
            // Memory that is a file's is the kernel's to take back, and that of all who run the code.
            Ok(()) => load(folder, &head, engine).unwrap_or(compiled),
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "cannot keep compiled code; the next start compiles again");
                compiled
            }
        };
        Ok((component, false))
    }
}

fn compile(engine: &Engine, bytes: &[u8]) -> anyhow::Result<Component> {
    Component::from_binary(engine, bytes)
        .map_err(|e| anyhow::Error::from(e).context("it is no component that flitch can compile"))
}

/// Names all that makes compiled code fit an engine: version, target and settings.
fn engine_key(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn load(folder: &Path, head: &str, engine: &Engine) -> Option<Component> {
    let files = fs::read_dir(folder).ok()?.flatten();
    for path in files.map(|file| file.path()) {
        let Some(content) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix(head)?.strip_suffix(ENDING)?.strip_suffix('.'))
        else {
            continue;
        };
        let loaded = check(&path, content).map_err(anyhow::Error::from).and_then(|()| {
            // SAFETY: the file is ours alone, as is the folder, and holds what this program wrote for an engine
            // of the same version and settings: its name says so, and its hash is the one in the name.
            Ok(unsafe { Component::deserialize_file(engine, &path) }?)
        });
        match loaded {
            Ok(component) => {
                let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                return Some(component);
            }
            // Nothing is wrong with the file.
            Err(error) if machine::lacks(&error) => {
                tracing::warn!(path = %path.display(), error = format!("{error:#}"), "compiled code cannot be read");
            }
            Err(error) => discard(&path, &format!("{error:#}")),
        }
    }
    None
}

/// Whether the file is ours alone and holds what its name says.
fn check(path: &Path, content: &str) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other("others may write or own it"));
    }
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    if hex::encode(&hash.finalize()) != content {
        return Err(io::Error::other("its content is not what was written"));
    }
    Ok(())
}

/// Removes what was used longest ago until the folder holds no more than `most` bytes: each version of a plugin that
/// ever ran leaves its code here.
fn prune(folder: &Path, most: u64) {
    let Ok(files) = fs::read_dir(folder) else { return };
    let mut files: Vec<_> = files
        .flatten()
        .filter_map(|file| file.metadata().ok().map(|m| (m.modified().ok(), m.len(), file.path())))
        .collect();
    files.sort_by(|(a, ..), (b, ..)| b.cmp(a));
    let mut sum = 0;
    for (_, bytes, path) in files {
        sum += bytes;
        if sum > most {
            let _ = fs::remove_file(path);
        }
    }
}

fn discard(path: &Path, why: &str) {
    tracing::warn!(path = %path.display(), why, "compiled code is thrown away and compiled again");
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove compiled code");
    }
}

/// Writes the file aside and renames it, so that no reader sees a part of it.
fn keep(folder: &Path, head: &str, code: &[u8]) -> io::Result<()> {
    let name = format!("{head}{}.{ENDING}", sha256(code));
    let aside = folder.join(format!("{name}.{}.tmp", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    let written = file.write_all(code).and_then(|()| file.sync_data());
    drop(file);
    let renamed = written.and_then(|()| fs::rename(&aside, folder.join(name)));
    if renamed.is_err() {
        let _ = fs::remove_file(&aside);
    }
    renamed
}

#[cfg(test)]
mod tests;
