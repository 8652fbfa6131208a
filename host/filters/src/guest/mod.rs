//! One plugin: where its code comes from, how it is compiled and linked, what it finds around it, and how it is asked
//! about a batch. Nothing here knows of chains, of configurations or of what becomes of records.

pub mod answer;
pub mod bindings;
mod cache;
mod component;
mod deadline;
mod engine;
mod fault;
mod hash;
mod instance;
pub mod limits;
mod loaded;
mod lookup;
pub mod lower;
mod metrics;
mod origin;
mod settings;
mod shipped;
mod state;
pub mod voice;
mod wasi;

pub use component::Component;
pub use deadline::time_of_thread;
pub use engine::Engine;
pub use fault::{Fault, FaultKind};
pub use hash::sha256;
pub use instance::{Guest, Instance};
pub use lookup::{Lookup, LookupError};
pub use lower::Wanted;
pub use origin::{Origin, Provenance};
pub use settings::{Allow, LimitSettings, Wasi};
pub use shipped::precompile;
pub use state::Environment;
