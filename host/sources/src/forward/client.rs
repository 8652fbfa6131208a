//! The other side of the protocol, which `flitch demo` and the replay of dead letters are.
//!
//! Messages are in the mode Forward, `[tag, [[time, record], ...], {"chunk": id}]`; each is answered by `{"ack": id}`.
//! Source: Fluent Forward Protocol Specification v1.

use std::io::{self, Read, Write};

use rmp::encode::{self, ValueWriteError};

use super::SecuritySettings;
use super::acks::answer;
pub use super::entries::RECORD_DEPTH;
use super::entries::{GROUP_END, NANOS};
use super::handshake::{digest, random};
use super::wire::{Cursor, Limits, Scanner, Token};

/// A HELO, a PONG and an answer are a few hundred bytes.
const LIMITS: Limits = Limits { bytes: 64 << 10, depth: 4 };
/// What a client calls itself in the handshake. A server refuses none but one with its own name.
const HOSTNAME: &str = "flitch-replay";

fn infallible<T>(written: Result<T, ValueWriteError>) {
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

/// The bytes that answer a chunk.
pub fn ack(chunk: &str) -> Vec<u8> {
    let mut id = Vec::new();
    text(chunk, &mut id);
    answer(&id).to_vec()
}

/// A text that no other client sends, for the ids of chunks.
///
/// # Errors
/// The system gives no random bytes.
pub fn unique() -> io::Result<String> {
    let bytes = random().map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A connection to a server.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
    /// What was read of it and is no complete value yet.
    read: Vec<u8>,
}

impl<S: Read + Write> Client<S> {
    /// A client that speaks over `stream`.
    pub fn new(stream: S) -> Client<S> {
        Client { stream, read: Vec::new() }
    }

    /// Goes through the handshake with a server of these settings, as the first of its users.
    ///
    /// # Errors
    /// The server refuses, does not know the key itself, or speaks otherwise; or the connection's.
    pub fn shake(&mut self, settings: &SecuritySettings) -> io::Result<()> {
        let helo = self.value()?;
        let (nonce, auth) = challenge(&helo).ok_or_else(|| wrong("it does not begin with a HELO"))?;
        let salt = random().map_err(io::Error::other)?;
        let key = settings.shared_key.expose().as_bytes();
        let proof = digest(&[&salt, HOSTNAME.as_bytes(), nonce, key]);
        let (user, password) = match settings.users.first_key_value() {
            Some((user, password)) => {
                (user.as_str(), digest(&[auth, user.as_bytes(), password.expose().as_bytes()]))
            }
            None => ("", String::new()),
        };
        let mut ping = Vec::new();
        infallible(encode::write_array_len(&mut ping, 6));
        text("PING", &mut ping);
        text(HOSTNAME, &mut ping);
        infallible(encode::write_bin(&mut ping, &salt));
        for part in [&proof, user, &password] {
            text(part, &mut ping);
        }
        self.send(&ping)?;
        let pong = self.value()?;
        let (hostname, proof) = verdict(&pong)?;
        match proof == digest(&[&salt, hostname, nonce, key]).as_bytes() {
            true => Ok(()),
            false => Err(wrong("it does not know the shared key itself")),
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The connection's.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.stream.write_all(message)?;
        self.stream.flush()
    }

    /// Waits for the next answer, and gives the id of the chunk in it.
    ///
    /// # Errors
    /// The connection's, and something else than an answer.
    pub fn answered(&mut self) -> io::Result<String> {
        let value = self.value()?;
        let mut cursor = Cursor::new(&value, 0);
        match [cursor.token(), cursor.token(), cursor.token()] {
            [Ok(Token::Map(1)), Ok(Token::Text(b"ack")), Ok(Token::Text(id) | Token::Bytes(id))] => {
                Ok(String::from_utf8_lossy(id).into_owned())
            }
            [Ok(Token::Array(2)), Ok(Token::Text(b"HELO")), _] => {
                Err(wrong("it asks for a shared key (`security`)"))
            }
            _ => Err(wrong("it answers something else than the id of a chunk")),
        }
    }

    /// The next value.
    fn value(&mut self) -> io::Result<Vec<u8>> {
        let mut scanner = Scanner::new(0);
        loop {
            let end = scanner.advance(&self.read, LIMITS).map_err(|fault| wrong(&fault.to_string()))?;
            if let Some(end) = end {
                let rest = self.read.split_off(end);
                return Ok(std::mem::replace(&mut self.read, rest));
            }
            let mut more = [0; 4096];
            match self.stream.read(&mut more)? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")),
                length => self.read.extend_from_slice(&more[..length]),
            }
        }
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The nonce and the salt for passwords of a HELO.
fn challenge(helo: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut cursor = Cursor::new(helo, 0);
    let [Ok(Token::Array(2)), Ok(Token::Text(b"HELO")), Ok(Token::Map(pairs))] =
        [cursor.token(), cursor.token(), cursor.token()]
    else {
        return None;
    };
    let (mut nonce, mut auth) = (None, &[][..]);
    for _ in 0..pairs {
        let Ok(Token::Text(name)) = cursor.token() else { return None };
        let value = cursor.value(LIMITS).ok()?;
        let bytes = match Cursor::new(value, 0).token() {
            Ok(Token::Text(bytes) | Token::Bytes(bytes)) => bytes,
            _ => continue,
        };
        match name {
            b"nonce" => nonce = Some(bytes),
            b"auth" => auth = bytes,
            _ => {}
        }
    }
    Some((nonce?, auth))
}

/// The hostname and the proof of a PONG that lets the client in.
fn verdict(pong: &[u8]) -> io::Result<(&[u8], &[u8])> {
    let shape = || wrong("it answers the PING with something else than a PONG");
    let mut cursor = Cursor::new(pong, 0);
    let [Ok(Token::Array(5)), Ok(Token::Text(b"PONG")), Ok(Token::Boolean(lets_in))] =
        [cursor.token(), cursor.token(), cursor.token()]
    else {
        return Err(shape());
    };
    let mut next = || match cursor.token() {
        Ok(Token::Text(bytes) | Token::Bytes(bytes)) => Ok(bytes),
        _ => Err(shape()),
    };
    let (reason, hostname, proof) = (next()?, next()?, next()?);
    match lets_in {
        true => Ok((hostname, proof)),
        false => Err(wrong(&format!("it refuses the handshake: {}", String::from_utf8_lossy(reason)))),
    }
}

#[cfg(test)]
mod tests;
