//! What the tests of all crates share.

use std::sync::Arc;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};

use crate::buffers::Buffer;
use crate::inlet::Inlet;
use crate::net::address::Endpoint;
use crate::net::forward::wire::{Cursor, Token};
use crate::net::listen::Stream;
use crate::router::{Route, Router};
use crate::telemetry::Tally;

/// The inlet of a pipeline without filters, and the buffer of `bytes` bytes in front of its output.
pub fn pipeline(bytes: u64) -> (Inlet, Buffer) {
    let buffer = Buffer::with_room(bytes);
    let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
    (Inlet::new(0, router), buffer)
}

/// So many clients that connect and say nothing.
pub async fn silent_clients(to: &Endpoint, count: usize) -> Vec<Stream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(match to {
            Endpoint::Tcp(address) => {
                Stream::Left(TcpStream::connect(address.to_string()).await.expect("somebody who listens"))
            }
            Endpoint::Unix(path) => {
                Stream::Right(UnixStream::connect(path).await.expect("somebody who listens"))
            }
        });
    }
    clients
}

/// Waits until the other end of a connection has closed it, without an answer.
pub async fn closed(mut client: Stream) {
    // It may be closed with a reset.
    let said = client.read(&mut [0; 64]).await.unwrap_or(0);
    assert_eq!(said, 0, "it is answered though it has said nothing");
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

/// A value of MessagePack as JSON, bytes as text with U+FFFD for what is not UTF-8.
///
/// # Panics
/// It is none, or has what JSON has not.
pub fn json_of_msgpack(bytes: &[u8]) -> Value {
    let mut cursor = Cursor::new(bytes, 0);
    let value = next_json(&mut cursor);
    assert_eq!(cursor.at(), bytes.len(), "more than one value");
    value
}

fn next_json(cursor: &mut Cursor<'_>) -> Value {
    match cursor.token().expect("MessagePack") {
        Token::Nil => Value::Null,
        Token::Boolean(truth) => truth.into(),
        Token::Int(number) => number.into(),
        Token::Unsigned(number) => number.into(),
        Token::Float(number) => number.into(),
        Token::Text(text) => std::str::from_utf8(text).expect("UTF-8").into(),
        Token::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        Token::Array(length) => (0..length).map(|_| next_json(cursor)).collect(),
        Token::Map(pairs) => {
            let mut pair = |_| (next_json(cursor).as_str().expect("a name").to_owned(), next_json(cursor));
            Value::Object((0..pairs).map(&mut pair).collect())
        }
        Token::Ext(kind, _) => panic!("an extension value of type {kind}"),
    }
}
