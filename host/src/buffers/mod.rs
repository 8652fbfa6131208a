//! Stage 5: buffers. One in front of each output, so that an output that is slow or down holds up no other one
//! before its buffer is full.

mod memory;
mod queue;

pub use memory::{BufferSettings, MemoryBuffer, WhenFull};
pub use queue::{Closed, Queue};
