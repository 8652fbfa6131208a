//! Stage 3: filters. Worker threads run a chain of WebAssembly guests over each batch, and hand it to the router in
//! the order of its stream.
//!
//! A [`Program`] is a chain that is loaded and checked, a [`Chain`] one worker's instances of it. A guest is given only
//! the columns that it asked for, and its answer is checked in full before the host believes it. A guest that traps,
//! takes too long, wants too much memory or answers nonsense costs the record that it did so on: see [`bisect`].

mod alone;
mod answer;
mod bindings;
mod bisect;
mod cache;
mod chain;
mod changes;
mod columns;
mod engine;
mod filter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod host;
mod instance;
mod limits;
mod lower;
mod metrics;
mod plugin;
mod settings;
mod step;
pub mod swap;
mod tables;
mod voice;
mod wasi;
mod workers;

pub use alone::Alone;
pub use chain::{Chain, LoadError, Program};
pub use engine::Engine;
pub use filter::{Filter, FilterContext};
pub use instance::Wanted;
pub use plugin::{Component, Origin, Stock};
pub use settings::{Allow, FilterSettings, LimitSettings, OnError, Refused, Wasi};
pub use step::Rejected;
pub use tables::{TableFormat, TableSettings, Tables};
pub use workers::Workers;

#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
#[path = "../../core/src/memory.rs"]
mod memory;
