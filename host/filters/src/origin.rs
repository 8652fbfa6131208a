//! Where plugins of a configuration come from: the binary itself, files, and [registries](registry).

pub mod registry;

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use zstd::stream::read::Decoder;

use super::guest::{Origin, Provenance, sha256};
use flitch_core::named_file;

/// Filters of other collectors, and the plugin that does the same.
pub(crate) const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["remap"], "vrl"),
    (&["grep", "filter"], "match"),
    (&["mutate", "modify", "record_modifier", "record_transformer", "attributes", "transform"], "set"),
    (&["kv", "key_value"], "logfmt"),
    (&["date"], "timestamp"),
    (&["json_parser", "decode_json_fields", "parse_json"], "json"),
    (&["regex_parser", "parse_regex"], "regex"),
    (&["useragent"], "user_agent"),
    (&["translate", "lookup"], "enrich"),
    (&["explode"], "split"),
    (&["rate_limit"], "throttle"),
    (&["probabilistic_sampler"], "sample"),
];

/// Those that join lines.
const JOIN_LINES: &[&str] = &["multiline", "reduce", "concat", "detect_exceptions", "aggregate", "recombine"];

/// The plugins that the binary holds.
#[derive(Clone, Copy, Default)]
pub struct Stock {
    /// Each with its name, its component, packed (zstd with the dictionary), and its README.
    pub plugins: &'static [(&'static str, &'static [u8], &'static str)],
    /// What the components have in common, packed by itself.
    pub dictionary: &'static [u8],
}

impl Stock {
    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.plugins.iter().map(|(name, ..)| *name)
    }

    /// The README of one.
    pub fn readme(self, name: &str) -> Option<&'static str> {
        self.plugins.iter().find(|(stock, ..)| *stock == name).map(|(.., readme)| *readme)
    }

    /// The component of one.
    pub fn component(self, name: &str) -> Option<Vec<u8>> {
        let (_, packed, _) = self.plugins.iter().find(|(stock, ..)| *stock == name)?;
        unpack(packed, self.dictionary).ok()
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
        match self.plugins.iter().find(|(name, ..)| *name == plugin) {
            Some((name, packed, _)) => Ok(Arc::new(OfBinary { name, packed, dictionary: self.dictionary })),
            None => bail!("no stock plugin is named `{plugin}`{}", self.hint(plugin)),
        }
    }

    fn hint(self, plugin: &str) -> String {
        let likeness = |name: &str| strsim::jaro_winkler(name, plugin);
        let near = self.names().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let all = self.names().collect::<Vec<_>>().join(", ");
        if JOIN_LINES.contains(&plugin) {
            return format!(
                "; lines are joined by their source: `multiline: {{ preset: java }}`. (There are {all})"
            );
        }
        if let Some((_, same)) = ELSEWHERE.iter().find(|(theirs, _)| theirs.contains(&plugin)) {
            return format!("; `{same}` does that here. (There are {all})");
        }
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

/// A component as it was before it was packed. The dictionary is unpacked each time, which takes a few milliseconds: to keep it
/// would cost each daemon megabytes for what it does at its start.
fn unpack(packed: &[u8], dictionary: &[u8]) -> std::io::Result<Vec<u8>> {
    let dictionary = zstd::stream::decode_all(dictionary)?;
    let mut bytes = Vec::new();
    Decoder::with_dictionary(packed, &dictionary)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A stock plugin.
struct OfBinary {
    name: &'static str,
    packed: &'static [u8],
    dictionary: &'static [u8],
}

impl Origin for OfBinary {
    fn name(&self) -> &str {
        self.name
    }

    fn load(&self) -> anyhow::Result<Cow<'static, [u8]>> {
        Ok(unpack(self.packed, self.dictionary)?.into())
    }

    fn constant(&self) -> Option<&'static [u8]> {
        Some(self.packed)
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
        let bytes = named_file::read(&self.path);
        Ok(bytes.with_context(|| format!("cannot read the plugin {}", self.path.display()))?.into())
    }

    fn is_stale(&self, now: &str) -> bool {
        match named_file::read(&self.path) {
            Ok(bytes) => sha256(&bytes) != now,
            // Something else stands there, or it may not be read: whoever loads it says so. What is gone may be on its way.
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
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
