//! A plugin's code, and whether it fits the contract.

use std::sync::Arc;

use anyhow::{Context, bail};
use wasmtime::component::types::ComponentItem;

use super::bindings::{PluginPre, StatefulPre};
use super::engine::Engine;
use super::hash::sha256;
use super::origin::Origin;
use super::settings::Wasi;
use super::state::State;

/// The interface that a plugin exports.
pub(super) const FILTER: &str = "flitch:filter/filter@1.0.0";
/// The interface that a plugin exports which keeps state.
const STATE: &str = "flitch:filter/state@1.0.0";
/// Interfaces of ours begin with this.
const OURS: &str = "flitch:filter/";
/// The WASI packages that `wasi: empty` grants.
const WASI: &[&str] =
    &["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// A plugin that is linked, and what it exports to keep state, if it does.
pub type Linked = (PluginPre<State>, Option<StatefulPre<State>>);

/// The compiled code of a plugin.
#[derive(Clone)]
pub struct Component {
    origin: Arc<dyn Origin>,
    code: Arc<Code>,
    cached: bool,
}

/// Compiled code, which all filters of one plugin share.
pub(super) struct Code {
    /// Bytes of the component.
    size: usize,
    pub(super) sha256: String,
    code: wasmtime::component::Component,
}

impl Component {
    /// Loads a plugin from where it comes from. Compiles what is not in the cache, and blocks.
    ///
    /// # Errors
    /// Why it cannot be read, or why it is no component.
    pub fn load(engine: &Engine, origin: Arc<dyn Origin>) -> anyhow::Result<Component> {
        let constant = origin.constant();
        if let Some(code) = constant.and_then(|packed| engine.loaded().of_constant(packed)) {
            return Ok(Component { origin, code, cached: true });
        }
        let bytes = origin.load()?;
        let (code, cached) = compile(engine, &bytes).with_context(|| format!("the plugin from {origin}"))?;
        engine.loaded().add(&code, constant);
        Ok(Component { origin, code, cached })
    }

    /// Compiles a component that is in no place yet, and looks whether it exports what a plugin does. It is in the cache then.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn look_at(engine: &Engine, bytes: &[u8]) -> anyhow::Result<()> {
        check_magic(bytes)?;
        let (code, _) = engine.cache().component(engine.wasm(), bytes, &sha256(bytes))?;
        check_exports(&code)
    }

    /// The code itself, for a test that stands in for the host.
    #[cfg(test)]
    pub(crate) fn code(&self) -> &wasmtime::component::Component {
        &self.code.code
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        self.origin.name()
    }

    /// Where it comes from.
    pub fn origin(&self) -> &dyn Origin {
        &*self.origin
    }

    /// Bytes of the component.
    pub fn size(&self) -> usize {
        self.code.size
    }

    /// SHA-256 of the component, in hex.
    pub fn sha256(&self) -> &str {
        &self.code.sha256
    }

    /// Whether other code is now where it comes from. Blocks.
    pub fn is_stale(&self) -> bool {
        self.origin.is_stale(&self.code.sha256)
    }

    /// Whether its compiled code was in the cache, so that nothing was compiled.
    pub fn is_from_cache(&self) -> bool {
        self.cached
    }

    /// Names of what it imports.
    pub fn imports(&self) -> Vec<String> {
        let code = &self.code.code;
        code.component_type().imports(code.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// Names of what it exports.
    pub fn exports(&self) -> Vec<String> {
        exports(&self.code.code)
    }

    /// Links it with what `wasi` grants. The second part is there where it keeps state.
    pub fn link(&self, engine: &Engine, wasi: Wasi) -> anyhow::Result<Linked> {
        check_exports(&self.code.code)?;
        for import in self.imports() {
            check_import(&import, wasi)?;
        }
        let pre = engine.linker(wasi).instantiate_pre(&self.code.code).map_err(|e| {
            anyhow::Error::from(e).context("it imports something that flitch does not have in this version")
        })?;
        let other = |interface: &'static str| {
            move |e| {
                anyhow::Error::from(e).context(format!("its {interface} is not the one that flitch knows"))
            }
        };
        let stateful = match self.exports().iter().any(|name| name == STATE) {
            true => Some(StatefulPre::new(pre.clone()).map_err(other(STATE))?),
            false => None,
        };
        Ok((PluginPre::new(pre).map_err(other(FILTER))?, stateful))
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("name", &self.name()).field("sha256", &self.sha256()).finish()
    }
}

/// The code of a component: what is loaded already, or what the cache has, or compiled. With whether nothing was compiled.
fn compile(engine: &Engine, bytes: &[u8]) -> anyhow::Result<(Arc<Code>, bool)> {
    check_magic(bytes)?;
    let sha256 = sha256(bytes);
    if let Some(code) = engine.loaded().of_hash(&sha256) {
        return Ok((code, true));
    }
    let (code, cached) = engine.cache().component(engine.wasm(), bytes, &sha256)?;
    Ok((Arc::new(Code { size: bytes.len(), sha256, code }), cached))
}

/// Whether it begins as a component does; the error says what it is instead.
pub(super) fn check_magic(bytes: &[u8]) -> anyhow::Result<()> {
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

fn exports(code: &wasmtime::component::Component) -> Vec<String> {
    code.component_type().exports(code.engine()).map(|(name, _)| name.to_owned()).collect()
}

fn check_exports(code: &wasmtime::component::Component) -> anyhow::Result<()> {
    let (ty, engine) = (code.component_type(), code.engine());
    let Some(filter) = ty.get_export(engine, FILTER) else {
        let exports = match exports(code) {
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
