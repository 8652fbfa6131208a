//! The WebAssembly engine, and the clock of its deadlines.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use wasmtime::component::Linker;
use wasmtime::{Config, EngineWeak};

use super::cache::Cache;

use super::limits::TICK;
use super::loaded::Loaded;
use super::settings::Wasi;
use super::shipped::Shipped;
use super::state::State;
use flitch_core::tasks;
use flitch_core::telemetry::health::{Health, Part};

/// What all plugins of the process share: the WebAssembly engine, its clock, the cache of compiled code, and the
/// imports that a plugin may find. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasm: wasmtime::Engine,
    cache: Cache,
    loaded: Loaded,
    empty: Linker<State>,
    none: Linker<State>,
}

impl Engine {
    /// An engine that keeps compiled code in `cache`, a folder of its own that is made where it is missing; without
    /// one, each start compiles what did not come with the program. `health` hears where its clock fails.
    pub fn new(cache: Option<&Path>, health: &Arc<Health>) -> anyhow::Result<Engine> {
        let wasm = wasmtime::Engine::new(&config())?;
        let cache = match cache {
            Some(folder) => Cache::open(folder)
                .with_context(|| format!("cannot keep compiled plugins in {}", folder.display()))?,
            None => Cache::none(),
        };
        let cache = cache.with_shipped(Shipped::of_environment());
        let none = linker(&wasm, Wasi::None)?;
        let empty = linker(&wasm, Wasi::Empty)?;
        tick(wasm.weak(), health)?;
        Ok(Engine { inner: Arc::new(Inner { wasm, cache, loaded: Loaded::default(), empty, none }) })
    }

    /// The WebAssembly engine itself.
    pub fn wasm(&self) -> &wasmtime::Engine {
        &self.inner.wasm
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.inner.cache
    }

    pub(super) fn loaded(&self) -> &Loaded {
        &self.inner.loaded
    }

    pub(super) fn linker(&self, wasi: Wasi) -> &Linker<State> {
        match wasi {
            Wasi::Empty => &self.inner.empty,
            Wasi::None => &self.inner.none,
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        // A fifth of compiled code, for what nobody reads: places in the component to each instruction, and tables for
        // unwinders that are not wasmtime's own.
        .generate_address_map(false)
        .native_unwind_info(false)
        .memory_init_cow(true);
    config
}

fn linker(wasm: &wasmtime::Engine, wasi: Wasi) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(wasm);
    super::bindings::Plugin::add_to_linker::<_, wasmtime::component::HasSelf<State>>(&mut linker, |s| s)?;
    if wasi == Wasi::Empty {
        super::wasi::add_to_linker(&mut linker)?;
    }
    Ok(linker)
}

/// Moves the epoch for as long as the engine lives: without it no guest would ever be late.
fn tick(engine: EngineWeak, health: &Arc<Health>) -> std::io::Result<()> {
    let ticks = crossbeam_channel::tick(TICK);
    let clock = Part::new(health, "clock", "wasm");
    tasks::kept_thread(clock, crossbeam_channel::never(), move || {
        for _ in &ticks {
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
        }
    })?;
    Ok(())
}
