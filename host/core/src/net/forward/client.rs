//! A client that waits for its server, as the replay of dead letters does.

use std::io::{self, Read, Write};

use super::handshake::client::Ping;
use super::handshake::{LIMITS, SecuritySettings, random};
use super::wire::{Cursor, Scanner, Token};
use super::wrong;
use crate::hex;

/// What a client calls itself in the handshake. A server refuses none but one with its own name.
const HOSTNAME: &str = "flitch-replay";

/// A text that no other client sends, for the ids of chunks.
///
/// # Errors
/// The system gives no random bytes.
pub fn unique() -> io::Result<String> {
    Ok(hex::encode(&random().map_err(io::Error::other)?))
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
        let ping = Ping::answer(&self.value()?, HOSTNAME, settings)?;
        self.send(ping.message())?;
        ping.verify(&self.value()?, settings)
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
        chunk(&self.value()?)
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

/// The id of the chunk in an answer, a complete MessagePack value. What stands beside it is nobody's.
///
/// # Errors
/// It is no answer to a chunk.
pub fn chunk(answer: &[u8]) -> io::Result<String> {
    let mut cursor = Cursor::new(answer, 0);
    let members = match cursor.token() {
        Ok(Token::Map(members)) => members,
        Ok(Token::Array(2)) if cursor.token() == Ok(Token::Text(b"HELO")) => {
            return Err(wrong("it asks for a shared key (`security`)"));
        }
        _ => 0,
    };
    for _ in 0..members {
        let name = cursor.value(LIMITS).map(|name| Cursor::new(name, 0).token());
        let value = cursor.value(LIMITS).map(|value| Cursor::new(value, 0).token());
        match [name, value] {
            [Ok(Ok(Token::Text(b"ack"))), Ok(Ok(Token::Text(id) | Token::Bytes(id)))] => {
                return Ok(String::from_utf8_lossy(id).into_owned());
            }
            [Ok(_), Ok(_)] => {}
            _ => break,
        }
    }
    Err(wrong("it answers something else than the id of a chunk"))
}

#[cfg(test)]
mod tests;
