//! flitch: an edge collector for logs, with WebAssembly filters.
//!
//! The modules follow a record through its seven stages: a source takes it in ([`sources`]) and puts it into a
//! [`batch`], [`filters`] change it, the [`router`] picks its outputs, a buffer waits in front of each ([`buffers`]),
//! an output writes it ([`outputs`]), and its [`receipt`] tells the source that it is safe.

// 1
pub mod sources;

// 2
pub mod batch;

// 3
pub mod filters;
pub mod inlet;

// 4
pub mod router;

// 5
pub mod buffers;

// 6
pub mod outputs;

// 7
pub mod receipt;

// All of it on one page.
pub mod pipeline;

// What stands beside the way.
pub mod admin;
pub mod app;
pub mod blocking;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(test)]
mod conformance;
pub mod dead_letter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod kinds;
#[cfg(test)]
mod memory;
pub mod net;
pub mod private;
pub mod tasks;
pub mod telemetry;

// What settings are made of; it needs nothing of all that.
pub mod secret;
pub mod units;
