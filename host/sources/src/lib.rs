//! Stage 1: sources. A source owns its position (file offset, forward chunk, HTTP request, Kafka offset) and moves it only when the
//! receipt of a batch settles. Awaiting the [`Intake`](flitch_core::inlet::Intake) is the only backpressure there is, and it
//! goes from the pipelines of one configuration to those of the next by itself: a source never hears of a reload that
//! does not stop it.

mod bell;
#[cfg(test)]
mod contract;
pub mod event_hubs;
mod fields;
pub mod file;
pub mod forward;
pub mod generator;
pub mod http;
pub mod kafka;
pub mod multiline;
mod packed;
mod push;
mod recode;
mod sample;
pub mod settings;
mod source;
mod thread;

#[doc(hidden)]
pub mod testing;

pub use sample::Sample;
pub use settings::SourceSettings;
use source::{ALL, BESIDE};
pub use source::{ChangedValues, MOST_TAG, Probing, Running, SourceContext, SourceKind, Starting, start};

#[cfg(test)]
#[path = "../../core/src/memory.rs"]
mod memory;
