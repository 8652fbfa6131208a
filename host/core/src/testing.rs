//! What the tests of all crates share.

use std::sync::Arc;

use serde_json::Value;

use crate::buffers::Buffer;
use crate::inlet::Inlet;
use crate::router::{Route, Router};
use crate::telemetry::Tally;

/// The inlet of a pipeline without filters, and the buffer of `bytes` bytes in front of its output.
pub fn pipeline(bytes: u64) -> (Inlet, Buffer) {
    let buffer = Buffer::with_room(bytes);
    let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
    (Inlet::new(0, router), buffer)
}

/// A JSON value as MessagePack.
pub fn pack(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    use rmp::encode::*;
    match value {
        Value::Null => write_nil(out).unwrap(),
        Value::Bool(truth) => write_bool(out, *truth).unwrap(),
        Value::Number(n) if n.is_u64() => _ = write_uint(out, n.as_u64().unwrap()).unwrap(),
        Value::Number(n) if n.is_i64() => _ = write_sint(out, n.as_i64().unwrap()).unwrap(),
        Value::Number(n) => write_f64(out, n.as_f64().unwrap()).unwrap(),
        Value::String(text) => write_str(out, text).unwrap(),
        Value::Array(values) => {
            write_array_len(out, values.len() as u32).unwrap();
            values.iter().for_each(|value| write(value, out));
        }
        Value::Object(members) => {
            write_map_len(out, members.len() as u32).unwrap();
            for (name, value) in members {
                write_str(out, name).unwrap();
                write(value, out);
            }
        }
    }
}
