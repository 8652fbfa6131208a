//! Where plugins of a configuration come from: the binary itself, files, and [registries](registry).

pub mod registry;

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use flate2::read::DeflateDecoder;

use super::guest::{Origin, Provenance, sha256};

/// The plugins that the binary holds, each with its name, its component, deflated (RFC 1951), and its README.
#[derive(Clone, Copy, Default)]
pub struct Stock(pub &'static [(&'static str, &'static [u8], &'static str)]);

impl Stock {
    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, ..)| *name)
    }

    /// The README of one.
    pub fn readme(self, name: &str) -> Option<&'static str> {
        self.0.iter().find(|(stock, ..)| *stock == name).map(|(.., readme)| *readme)
    }

    /// The component of one.
    pub fn component(self, name: &str) -> Option<Vec<u8>> {
        let (_, deflated, _) = self.0.iter().find(|(stock, ..)| *stock == name)?;
        inflate(deflated).ok()
    }

    /// Where the plugin of this bare name comes from, or the file of this path, which is from `folder` where it is
    /// relative.
    ///
    /// # Errors
    /// There is no stock plugin of this name.
    pub fn origin(self, plugin: &str, folder: &Path) -> anyhow::Result<Arc<dyn Origin>> {
        if plugin.contains('/') || plugin.ends_with(".wasm") {
            return Ok(Arc::new(OfFile::new(folder.join(plugin), plugin)));
        }
        match self.0.iter().find(|(name, ..)| *name == plugin) {
            Some((name, deflated, _)) => Ok(Arc::new(OfBinary { name, deflated })),
            None => bail!("no stock plugin is named `{plugin}`{}", self.hint(plugin)),
        }
    }

    fn hint(self, plugin: &str) -> String {
        let likeness = |name: &str| strsim::jaro_winkler(name, plugin);
        let near = self.names().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let all = self.names().collect::<Vec<_>>().join(", ");
        match near {
            Some(near) if likeness(near) > 0.7 => format!("; did you mean `{near}`? (There are {all})"),
            _ => format!("; there are {all}. The path of a file has a `/` or ends in `.wasm`"),
        }
    }
}

impl std::fmt::Debug for Stock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn inflate(deflated: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(deflated.len() * 3);
    DeflateDecoder::new(deflated).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A stock plugin.
struct OfBinary {
    name: &'static str,
    deflated: &'static [u8],
}

impl Origin for OfBinary {
    fn name(&self) -> &str {
        self.name
    }

    fn load(&self) -> anyhow::Result<Cow<'static, [u8]>> {
        Ok(inflate(self.deflated)?.into())
    }

    fn is_stale(&self, _: &str) -> bool {
        false
    }
}

impl fmt::Display for OfBinary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the flitch binary")
    }
}

impl fmt::Debug for OfBinary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfBinary({})", self.name)
    }
}

/// A plugin in a file.
#[derive(Debug)]
struct OfFile {
    name: String,
    path: PathBuf,
}

impl OfFile {
    fn new(path: PathBuf, written: &str) -> OfFile {
        let stem = path.file_stem().map(|name| name.to_string_lossy().into_owned());
        OfFile { name: stem.unwrap_or_else(|| written.to_owned()), path }
    }
}

impl Origin for OfFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn load(&self) -> anyhow::Result<Cow<'static, [u8]>> {
        let bytes = std::fs::read(&self.path);
        Ok(bytes.with_context(|| format!("cannot read the plugin {}", self.path.display()))?.into())
    }

    fn is_stale(&self, now: &str) -> bool {
        std::fs::read(&self.path).is_ok_and(|bytes| sha256(&bytes) != now)
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

impl fmt::Display for OfFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}
