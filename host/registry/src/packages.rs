//! Plugins that the server has sent which manages this flitch (packages of OpAMP), by name: what is there now of each, and what
//! was before, to go back to.
//!
//! Content stands under its digest, and for each package a file says which is its own; that is renamed into its place. What is
//! read is held against its digest, and against its signature, whenever it is loaded.

mod fetch;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::cache::{Aside, read_json};
use crate::digest::Digest;
use crate::reference::{Place, Reference};
use crate::registries::{Plugin, Registries};
use crate::signature::Key;
use flitch_core::units::Bytes;

pub use fetch::{Fetched, Offer};

/// The folder of them, below that of what was pulled.
const FOLDER: &str = "packages";
const RECORD: &str = "json";
const CONTENT: &str = "wasm";

/// What is known of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What `package:NAME` stands for.
    pub now: Version,
    /// What it stood for before.
    pub before: Option<Version>,
    /// One that had to go again, and why.
    pub refused: Option<Refusal>,
}

/// A version of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// As the server calls it.
    pub version: String,
    /// By what the server knows it.
    pub hash: Vec<u8>,
    /// The component.
    pub content: Digest,
    /// Bytes of that.
    pub bytes: u64,
    /// The signature that came with it.
    pub signature: Option<String>,
    /// Whose that was when it came.
    pub signed_by: Option<String>,
}

/// A version that had to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// By what the server knows it.
    pub hash: Vec<u8>,
    /// Why, for people.
    pub reason: String,
}

/// The packages of this machine.
#[derive(Clone, Debug)]
pub struct Packages {
    folder: PathBuf,
    max_bytes: u64,
}

impl Packages {
    /// All of them, by name. What cannot be read is none.
    pub fn all(&self) -> Vec<Package> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = files.filter_map(|file| {
            let path = file.path();
            let is_record = path.extension().is_some_and(|end| end == RECORD);
            is_record.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
        });
        let mut all: Vec<Package> = names.filter_map(|name| self.get(&name)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<Package> {
        read_json(&self.record(name)).filter(|package: &Package| package.name == name)
    }

    /// Puts what was fetched in the place of what is there.
    ///
    /// # Errors
    /// It cannot be kept; what was there stays.
    pub fn put(&self, fetched: &Fetched) -> Result<(), Error> {
        let before = self.get(&fetched.name);
        let others = self.all().into_iter().filter(|other| other.name != fetched.name);
        let others = others.map(|other| other.now.bytes + other.before.map_or(0, |before| before.bytes));
        let before_it = before.as_ref().map_or(0, |before| before.now.bytes);
        let sum = others.sum::<u64>() + before_it + fetched.version.bytes;
        if sum > self.max_bytes {
            return Err(Error::Refused(format!(
                "with it packages would have {}, and there is room for {} (`plugins.cache.max_bytes`)",
                Bytes(sum),
                Bytes(self.max_bytes)
            )));
        }
        let write = || {
            let mut aside = Aside::new(&self.folder)?;
            aside.write_all(&fetched.content)?;
            aside.take(&self.content(&fetched.version.content))?;
            let now = fetched.version.clone();
            let before = before.and_then(|old| match old.now.content == now.content {
                true => old.before,
                false => Some(old.now),
            });
            self.write(&Package { name: fetched.name.clone(), now, before, refused: None })
        };
        write().map_err(|error| Error::Failed(format!("it cannot be kept: {error}")))
    }

    /// What was before is there again; nothing, where nothing was.
    ///
    /// # Errors
    /// The system's.
    pub fn go_back(&self, name: &str, reason: &str) -> io::Result<()> {
        let Some(package) = self.get(name) else { return Ok(()) };
        let refused = Some(Refusal { hash: package.now.hash.clone(), reason: reason.to_owned() });
        match package.before.clone() {
            Some(before) => self.write(&Package { now: before, before: None, refused, ..package }),
            None => self.remove(name),
        }
    }

    /// Forgets a package.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.record(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.sweep();
        Ok(())
    }

    fn write(&self, package: &Package) -> io::Result<()> {
        let mut aside = Aside::new(&self.folder)?;
        serde_json::to_writer(&mut aside, package)?;
        aside.take(&self.record(&package.name))?;
        self.sweep();
        Ok(())
    }

    /// Takes away what no package is any more, and what a crash has left.
    fn sweep(&self) {
        let all = self.all();
        let versions = all.iter().flat_map(|package| std::iter::once(&package.now).chain(&package.before));
        let used: BTreeSet<PathBuf> = versions.map(|version| self.content(&version.content)).collect();
        for file in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = file.path();
            let is_record = path.extension().is_some_and(|end| end == RECORD);
            if !is_record && !used.contains(&path) {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn record(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{RECORD}"))
    }

    fn content(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}.{CONTENT}", digest.hex()))
    }
}

impl Registries {
    /// The packages of this machine; none where nothing is kept.
    pub fn packages(&self) -> Option<Packages> {
        let cache = self.cache.as_ref()?;
        let folder = cache.folder().join(FOLDER);
        Some(Packages { folder, max_bytes: self.settings.cache.max_bytes.0 })
    }

    /// The package of a reference.
    pub(crate) fn package(&self, name: &str) -> Result<Package, Error> {
        let packages =
            self.packages().ok_or_else(|| Error::Failed("no package can be had here".to_owned()))?;
        packages.get(name).ok_or_else(|| {
            let why =
                format!("the package `{name}` has not come to this machine from the server that manages it");
            Error::NotHere(why.into())
        })
    }

    /// What a package is now, checked and believed.
    pub(crate) fn of_package(&self, reference: &Reference, name: &str) -> Result<Plugin, Error> {
        let Package { now, .. } = self.package(name)?;
        let path = self.packages().map(|packages| packages.content(&now.content)).unwrap_or_default();
        let most = self.settings.max_bytes.0;
        if now.bytes > most {
            let (has, most) = (Bytes(now.bytes), Bytes(most));
            return Err(Error::Refused(format!("{reference} has {has}, and a plugin may have {most}")));
        }
        let content = fs::read(&path).map_err(|error| {
            Error::Failed(format!("{reference} cannot be read from {}: {error}", path.display()))
        })?;
        if Digest::of(&content) != now.content {
            return Err(Error::Refused(format!(
                "{reference}: {} is not what came from the server any more",
                path.display()
            )));
        }
        let signed_by = self.believe_file(reference, &content, now.signature.as_deref())?;
        let tag = crate::reference::is_tag(&now.version).then_some(now.version);
        let reference = Reference { tag, digest: Some(now.content), ..reference.clone() };
        Ok(Plugin { reference, component: content, signed_by, manifest: Vec::new() })
    }

    /// Whose signature counts for a file.
    fn believe_file(
        &self,
        reference: &Reference,
        content: &[u8],
        signature: Option<&str>,
    ) -> Result<Option<Key>, Error> {
        let keys = self.keys_of(reference);
        if keys.is_empty() && !self.settings.requires_signature() {
            return Ok(None);
        }
        let why = match signature.map(|signature| crate::signature::of_file(content, signature, &keys)) {
            Some(Ok(key)) => return Ok(Some(key.clone())),
            Some(Err(error)) => error.to_string(),
            None => "it has no signature".to_owned(),
        };
        self.unsigned(reference, &why, keys.is_empty())
    }

    /// The reference by which a filter names a package.
    pub fn named(name: &str) -> Reference {
        Reference { place: Place::Package { name: name.to_owned() }, tag: None, digest: None }
    }
}

#[cfg(test)]
mod tests;
