//! Messages as a client writes them, and the answers to them.
//!
//! They are in the mode Forward, `[tag, [[time, record], ...], {"chunk": id}]`; each is answered by `{"ack": id}`.

use std::sync::Arc;

use rmp::encode::{self, ValueWriteError};

use super::GROUP_END;

/// Nanoseconds of a second.
const NANOS: i64 = 1_000_000_000;

/// The outcome of writing into a vector.
pub(super) fn infallible<T>(written: Result<T, ValueWriteError>) {
    written.map(drop).expect("a vector takes every byte");
}

/// Appends a text.
pub fn text(text: &str, out: &mut Vec<u8>) {
    infallible(encode::write_str(out, text));
}

/// Begins a message of so many entries, which follow.
pub fn begin(tag: &str, entries: u32, out: &mut Vec<u8>) {
    infallible(encode::write_array_len(out, 3));
    text(tag, out);
    infallible(encode::write_array_len(out, entries));
}

/// Begins an entry, whose record, a map, follows. `ns` is its time since 1970-01-01T00:00:00Z; one that an EventTime
/// cannot hold (before the first second, or past 2106) is sent as "now".
pub fn begin_entry(ns: i64, out: &mut Vec<u8>) {
    let seconds = u32::try_from(ns.div_euclid(NANOS)).ok().filter(|seconds| (1..GROUP_END).contains(seconds));
    let nanos = seconds.map_or(0, |_| ns.rem_euclid(NANOS) as u32);
    infallible(encode::write_array_len(out, 2));
    infallible(encode::write_ext_meta(out, 8, 0));
    out.extend_from_slice(&seconds.unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&nanos.to_be_bytes());
}

/// Ends a message; `chunk` is the id that its answer has.
pub fn end(chunk: &str, out: &mut Vec<u8>) {
    infallible(encode::write_map_len(out, 1));
    text("chunk", out);
    text(chunk, out);
}

/// The bytes that answer a chunk whose id is this text.
pub fn ack(chunk: &str) -> Vec<u8> {
    let mut id = Vec::new();
    text(chunk, &mut id);
    answer(&id).to_vec()
}

/// The answer to a chunk id: `{"ack": <the id as it came>}`. `chunk` is the MessagePack value.
pub fn answer(chunk: &[u8]) -> Arc<[u8]> {
    [b"\x81\xa3ack", chunk].concat().into()
}
