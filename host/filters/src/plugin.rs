//! A plugin: where it comes from, its code, and whether it fits the contract.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use wasmtime::component::types::ComponentItem;

use super::bindings::PluginPre;
use super::engine::Engine;
use super::host::State;
use super::settings::Wasi;

/// The interface that a plugin exports.
const FILTER: &str = "flitch:filter/filter@1.0.0";
/// Interfaces of ours begin with this.
const OURS: &str = "flitch:filter/";
/// The WASI packages that `wasi: empty` grants.
const WASI: &[&str] =
    &["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The binary itself.
    Stock,
    /// A file.
    File(PathBuf),
}

/// The compiled code of a plugin.
#[derive(Clone)]
pub struct Component {
    name: String,
    origin: Origin,
    size: usize,
    sha256: String,
    code: wasmtime::component::Component,
    cached: bool,
}

impl Component {
    /// Loads a stock plugin by its bare name, or a file by its path, which is from `folder` where it is relative.
    pub fn load(engine: &Engine, stock: Stock, plugin: &str, folder: &Path) -> anyhow::Result<Component> {
        match origin(plugin, folder) {
            Origin::Stock => {
                let Some(bytes) = stock.component(plugin) else {
                    bail!("no stock plugin is named `{plugin}`{}", stock.hint(plugin));
                };
                Component::compile(engine, plugin, Origin::Stock, bytes)
            }
            Origin::File(path) => {
                let bytes = std::fs::read(&path)
                    .with_context(|| format!("cannot read the plugin {}", path.display()))?;
                let stem = path.file_stem().map(|name| name.to_string_lossy().into_owned());
                let name = stem.as_deref().unwrap_or(plugin);
                Component::compile(engine, name, Origin::File(path), &bytes)
                    .with_context(|| format!("the plugin {plugin}"))
            }
        }
    }

    fn compile(engine: &Engine, name: &str, origin: Origin, bytes: &[u8]) -> anyhow::Result<Component> {
        check_magic(bytes)?;
        let sha256 = hex(&Sha256::digest(bytes));
        let (code, cached) = engine.cache().component(engine.wasm(), bytes, &sha256)?;
        Ok(Component { name: name.to_owned(), origin, size: bytes.len(), sha256, code, cached })
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Bytes of the component.
    pub fn size(&self) -> usize {
        self.size
    }

    /// SHA-256 of the component, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether the file that it comes from holds other code now.
    pub fn is_stale(&self) -> bool {
        match &self.origin {
            Origin::Stock => false,
            Origin::File(path) => {
                std::fs::read(path).is_ok_and(|bytes| hex(&Sha256::digest(bytes)) != self.sha256)
            }
        }
    }

    /// Whether its compiled code was in the cache, so that nothing was compiled.
    pub fn is_from_cache(&self) -> bool {
        self.cached
    }

    /// Names of what it imports.
    pub fn imports(&self) -> Vec<String> {
        let ty = self.code.component_type();
        ty.imports(self.code.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// Names of what it exports.
    pub fn exports(&self) -> Vec<String> {
        let ty = self.code.component_type();
        ty.exports(self.code.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// Links it with what `wasi` grants.
    pub fn link(&self, engine: &Engine, wasi: Wasi) -> anyhow::Result<PluginPre<State>> {
        self.check_exports()?;
        for import in self.imports() {
            check_import(&import, wasi)?;
        }
        let pre = engine.linker(wasi).instantiate_pre(&self.code).map_err(|e| {
            anyhow::Error::from(e).context("it imports something that flitch does not have in this version")
        })?;
        PluginPre::new(pre).map_err(|e| {
            anyhow::Error::from(e).context(format!("its {FILTER} is not the one that flitch knows"))
        })
    }

    fn check_exports(&self) -> anyhow::Result<()> {
        let ty = self.code.component_type();
        let engine = self.code.engine();
        let Some(filter) = ty.get_export(engine, FILTER) else {
            let exports = match self.exports() {
                names if names.is_empty() => "nothing".to_owned(),
                names => names.join(", "),
            };
            bail!("it is no filter: it exports {exports}, but not {FILTER}; build it for the world `plugin`");
        };
        let ComponentItem::ComponentInstance(filter) = filter.ty else {
            bail!("its export {FILTER} is no interface");
        };
        for function in ["configure", "apply"] {
            if filter.get_export(engine, function).is_none() {
                bail!("its {FILTER} lacks the function `{function}`");
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("name", &self.name).field("sha256", &self.sha256).finish()
    }
}

/// Where the plugin of this name or path comes from.
pub fn origin(plugin: &str, folder: &Path) -> Origin {
    if plugin.contains('/') || plugin.ends_with(".wasm") {
        Origin::File(folder.join(plugin))
    } else {
        Origin::Stock
    }
}

/// The plugins that the binary holds, each with its name, its component and its README.
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
    pub fn component(self, name: &str) -> Option<&'static [u8]> {
        self.0.iter().find(|(stock, ..)| *stock == name).map(|(_, bytes, _)| *bytes)
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

fn check_magic(bytes: &[u8]) -> anyhow::Result<()> {
    match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => bail!(
            "it is a core module, not a component: build it for wasm32-wasip2, or wrap it with \
             `wasm-tools component new core.wasm -o plugin.wasm`"
        ),
        [0, b'a', b's', b'm', ..] => bail!("it is WebAssembly of a version that flitch does not know"),
        _ => bail!("it is no WebAssembly component"),
    }
}

fn check_import(import: &str, wasi: Wasi) -> anyhow::Result<()> {
    if import.starts_with(OURS) {
        return Ok(());
    }
    let known = WASI.iter().any(|package| import.starts_with(package));
    match wasi {
        Wasi::Empty if known => Ok(()),
        Wasi::None if known => bail!(
            "it imports {import}, which `wasi: none` does not grant; write `wasi: empty`, or build it without WASI"
        ),
        _ if import.starts_with("wasi:") => {
            bail!("it imports {import}, which no filter is granted; build it without")
        }
        _ => bail!("it imports {import}, which flitch does not have"),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
