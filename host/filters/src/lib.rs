//! Stage 3: filters. Worker threads run a chain of WebAssembly guests over each batch, and hand it to the router in
//! the order of its stream.
//!
//! A [`Program`] is a chain that is loaded and checked, a [`Chain`] one worker's instances of it. A guest is given only
//! the columns that it asked for, and its answer is checked in full before the host believes it. A guest that traps,
//! takes too long, wants too much memory or answers nonsense costs the record that it did so on: see [`bisect`].

mod alone;
mod bisect;
pub mod cases;
mod chain;
mod changes;
mod columns;
mod filter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod guest;
mod judge;
mod judgement;
mod metrics;
mod origin;
mod probation;
mod recent;
pub mod record;
mod saved;
mod settings;
mod settle;
pub mod shadow;
mod step;
pub mod swap;
mod tables;
mod timer;
mod workers;

pub use alone::Alone;
pub use chain::{Chain, LoadError, Program};
pub use filter::{Filter, FilterContext};
pub use guest::{
    Allow, Component, Engine, FaultKind, LimitSettings, Origin, Provenance, Wanted, Wasi, precompile,
};
pub use judgement::{Judgement, Part, Traffic};
pub use origin::Stock;
pub use probation::{ProbationStatus, settings::ProbationSettings};
pub use saved::{FOLDER as STATE_FOLDER, StateSettings, StateStatus, States};
pub use settings::{FilterSettings, OnError, Refused};
pub use settle::Rejected;
pub use shadow::{Shadow, ShadowError, ShadowSettings};
pub use tables::{TableFormat, TablePlaces, TableSettings, Tables};
pub use workers::{Generations, RolledBack, Workers};

#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
#[path = "../../core/src/memory.rs"]
mod memory;
