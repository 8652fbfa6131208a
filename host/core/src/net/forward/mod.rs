//! The Fluent forward protocol, v1, as both of its sides need it: the source, and who sends to one.
//!
//! Source: Fluent Forward Protocol Specification v1 and v1.5,
//! <https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1>.

pub mod client;
pub mod handshake;
pub mod pack;
pub mod wire;
pub mod write;

use std::io;

/// Maps and arrays inside each other that a record may have.
pub const RECORD_DEPTH: usize = crate::batch::encode::msgpack::DEPTH;

/// The time of the mark at the start of a group, in seconds: -1, in the 32 bits that an EventTime has for them. Source:
/// Fluent Bit's `include/fluent-bit/flb_log_event.h`.
pub const GROUP_START: u32 = -1_i32 as u32;
/// The same at its end.
pub const GROUP_END: u32 = -2_i32 as u32;

/// The other side says what the protocol does not have.
fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
