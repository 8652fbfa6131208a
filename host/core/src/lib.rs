//! What a record is, and what lies between sources, filters and outputs: columns, the door of a pipeline, the router,
//! buffers, receipts and dead letters, and what stands beside all of them.

// The stages of a record that are neither source, filter nor output.
pub mod batch;
pub mod buffers;
pub mod inlet;
pub mod receipt;
pub mod router;

// What stands beside the way.
pub mod backoff;
pub mod blocking;
pub mod children;
pub mod clock;
pub mod dead_letter;
pub mod durable;
pub mod exact;
pub mod file_stamp;
pub mod hex;
pub mod kinds;
pub mod machine;
pub mod named_file;
pub mod net;
pub mod placed;
pub mod private;
pub mod tasks;
pub mod telemetry;

// What settings are made of.
pub use flitch_model::pattern;
pub mod secret;
pub mod setting;
pub mod units;

// What tests and `make fuzz` share.
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod memory;
#[doc(hidden)]
pub mod testing;
