//! Stage 3: filters. Worker threads run a chain of WebAssembly guests over each batch, and hand it to the router in
//! the order of its stream.

mod chain;
mod sequencer;
mod workers;

pub use chain::{Chain, Program};
pub use workers::{Inlet, Workers};
