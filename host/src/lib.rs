//! flitch: an edge collector for logs, with WebAssembly filters.
//!
//! A record goes through seven stages, which [`pipeline`] wires: a source takes it in ([`flitch_sources`]) and puts it
//! into a batch ([`flitch_core::batch`]), filters change it ([`flitch_filters`]), the router picks its outputs
//! ([`flitch_core::router`]), a buffer waits in front of each ([`flitch_core::buffers`]), an output writes it
//! ([`flitch_outputs`]), and its receipt tells the source that it is safe ([`flitch_core::receipt`]).

// All of it on one page.
pub mod pipeline;

/// The plugins that this binary has in it.
pub const STOCK: flitch_filters::Stock =
    flitch_filters::Stock { plugins: flitch_stock::STOCK, dictionary: &flitch_stock::DICTIONARY };

// What stands beside the way.
pub mod admin;
pub mod allocator;
pub mod app;
pub mod cli;
pub mod config;
#[cfg(test)]
mod conformance;
pub mod fleet;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(test)]
#[path = "../core/src/memory.rs"]
mod memory;
