//! From the core module that a compiler writes to a component that flitch loads.
//!
//! Compilers for C and Go know nothing of components: what they write exports functions by the names of the canonical ABI.
//! The packer adds the contract's types and an adapter for what of WASI 0.1 the module calls. So whoever writes a filter
//! needs no other tool for it than the compiler.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap};

/// The contract, the WIT package `flitch:filter`.
pub const CONTRACT: &str = include_str!("../../../wit/filter.wit");
/// What of the same package a plugin may export besides.
const STATE: &str = include_str!("../../../wit/state.wit");
/// A function that a module exports which keeps state.
const SAVE: &[u8] = b"flitch:filter/state@1.0.0#save";

/// WASI 0.1 for modules that may call nothing of their host while it hands them memory, as Go's do. Its text is `stub.wat`.
const STUB: &[u8] = include_bytes!("stub.wasm");

/// What stands for the functions of WASI 0.1 that a module calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wasi {
    /// WASI 0.2, which the component then imports: clocks, random numbers, what it prints, and what `allow` grants.
    Host,
    /// Nothing outside: what is printed is lost, a clock that counts its calls, numbers that are the same each time, no files.
    Stub,
}

/// Why a module cannot be made a component.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// Makes a component of the world `plugin` of a core module, or of `stateful-plugin` if it exports that. A module that calls
/// nothing of WASI 0.1 gets nothing of it.
///
/// # Errors
/// Says what the module lacks or has too much: an export of the contract, an import that nobody knows.
pub fn pack(core: &[u8], wasi: Wasi) -> Result<Vec<u8>, Error> {
    let error = |why: &dyn std::fmt::Display| Error(format!("{why:#}"));
    let mut core = core.to_vec();
    let mut resolve = Resolve::default();
    let mut contract = SourceMap::default();
    contract.push_str("filter.wit", CONTRACT);
    contract.push_str("state.wit", STATE);
    let contract = contract.parse().map_err(|(_, why)| error(&why))?;
    let package = resolve.push_group(contract).map_err(|why| error(&why))?;
    // The name is nothing that stands in a module by chance.
    let is_stateful = core.windows(SAVE.len()).any(|bytes| bytes == SAVE);
    let world = if is_stateful { "stateful-plugin" } else { "plugin" };
    let world = resolve.select_world(&[package], Some(world)).map_err(|why| error(&why))?;
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false)
        .map_err(|why| error(&why))?;
    let adapter = match wasi {
        Wasi::Host => WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        Wasi::Stub => STUB,
    };
    ComponentEncoder::default()
        .validate(true)
        .module(&core)
        .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter))
        .and_then(|encoder| encoder.encode())
        .map_err(|why| error(&why))
}

#[cfg(test)]
mod tests;
