//! flitch: an edge collector for logs, with WebAssembly filters.
//!
//! The modules follow a record through its seven stages: a source takes it in and puts it into a [`batch`], filters
//! change it, the router picks its outputs, a buffer waits in front of each, an output writes it, and its
//! [`receipt`] tells the source that it is safe.

pub mod batch;
pub mod receipt;
