//! Messages as a client writes them, and the answers to them.
//!
//! They are in the mode Forward, `[tag, [[time, record], ...], {"chunk": id}]`, or PackedForward, `[tag, <the entries one
//! behind the other>, {"size": entries, "compressed": "gzip", "chunk": id}]`; each is answered by `{"ack": id}`.

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
    // An array of two, and the head of an ext of type 0 with eight bytes.
    out.extend_from_slice(&[0x92, 0xd7, 0]);
    out.extend_from_slice(&event_time(ns).unwrap_or_default());
}

/// An EventTime, if it can hold this time.
pub fn event_time(ns: i64) -> Option<[u8; 8]> {
    let seconds =
        u32::try_from(ns.div_euclid(NANOS)).ok().filter(|seconds| (1..GROUP_END).contains(seconds))?;
    let nanos = ns.rem_euclid(NANOS) as u32;
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    bytes[4..].copy_from_slice(&nanos.to_be_bytes());
    Some(bytes)
}

/// Begins a message in the mode PackedForward, whose entries follow, perhaps compressed. Answers where they begin.
pub fn begin_packed(tag: &str, out: &mut Vec<u8>) -> usize {
    infallible(encode::write_array_len(out, 3));
    text(tag, out);
    // How long they are is said when they are there.
    out.extend_from_slice(&[0xc6, 0, 0, 0, 0]);
    out.len()
}

/// Ends a message in the mode PackedForward whose `size` entries began at `from`; `compressed` is how they are, and
/// `chunk` the id that its answer has, where one is wanted.
pub fn end_packed(from: usize, size: u32, compressed: Option<&str>, chunk: Option<&str>, out: &mut Vec<u8>) {
    let length = u32::try_from(out.len() - from).expect("a message is below 4 GiB");
    out[from - 4..from].copy_from_slice(&length.to_be_bytes());
    infallible(encode::write_map_len(out, 1 + u32::from(compressed.is_some()) + u32::from(chunk.is_some())));
    text("size", out);
    infallible(encode::write_uint(out, u64::from(size)));
    for (name, value) in [("compressed", compressed), ("chunk", chunk)] {
        if let Some(value) = value {
            text(name, out);
            text(value, out);
        }
    }
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
