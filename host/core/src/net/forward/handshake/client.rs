//! The side of the one who wants to be let in: the PING that answers a HELO, and what a PONG proves.

use std::io;

use bytes::{Buf, BytesMut};
use rmp::encode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{LIMITS, SecuritySettings, digest, random};
use crate::net::forward::wire::{Cursor, Scanner, Token};
use crate::net::forward::write::{infallible, text};
use crate::net::forward::wrong;

/// The answer of a client to a HELO.
#[derive(Debug)]
pub struct Ping {
    message: Vec<u8>,
    /// What the client calls itself.
    hostname: String,
    salt: [u8; 16],
    nonce: Vec<u8>,
    keeps: bool,
}

/// Goes through the handshake with a server of these settings, as the first of its users, under the name that they have.
/// Answers whether the server takes more than one message from a connection.
///
/// # Errors
/// The server refuses, does not know the key itself, or speaks otherwise (invalid data); or the connection's.
pub async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    settings: &SecuritySettings,
) -> io::Result<bool> {
    let mut buffer = BytesMut::new();
    let ping = Ping::answer(&value(stream, &mut buffer).await?, settings.name(), settings)?;
    stream.write_all(ping.message()).await?;
    stream.flush().await?;
    ping.verify(&value(stream, &mut buffer).await?, settings)?;
    Ok(ping.keeps)
}

/// The next value.
async fn value<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> io::Result<Vec<u8>> {
    let mut scanner = Scanner::new(0);
    loop {
        if let Some(end) = scanner.advance(buffer, LIMITS).map_err(|fault| wrong(&fault.to_string()))? {
            let value = buffer[..end].to_vec();
            buffer.advance(end);
            return Ok(value);
        }
        if stream.read_buf(buffer).await? == 0 {
            let why = "it closed the connection in the middle of the handshake";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
    }
}

impl Ping {
    /// The answer to this HELO, a complete MessagePack value, of a client that calls itself `hostname` and is the first
    /// of the users.
    ///
    /// # Errors
    /// It is no HELO; or the system gives no random bytes.
    pub fn answer(helo: &[u8], hostname: &str, settings: &SecuritySettings) -> io::Result<Ping> {
        let Challenge { nonce, auth, keeps } =
            challenge(helo).ok_or_else(|| wrong("it does not begin with a HELO"))?;
        let salt = random().map_err(io::Error::other)?;
        let key = settings.shared_key.expose().as_bytes();
        let proof = digest(&[&salt, hostname.as_bytes(), nonce, key]);
        let (user, password) = match settings.users.first_key_value() {
            Some((user, password)) => {
                (user.as_str(), digest(&[auth, user.as_bytes(), password.expose().as_bytes()]))
            }
            None => ("", String::new()),
        };
        let mut message = Vec::new();
        infallible(encode::write_array_len(&mut message, 6));
        text("PING", &mut message);
        text(hostname, &mut message);
        infallible(encode::write_bin(&mut message, &salt));
        for part in [&proof, user, &password] {
            text(part, &mut message);
        }
        Ok(Ping { message, hostname: hostname.to_owned(), salt, nonce: nonce.to_owned(), keeps })
    }

    /// The message to send.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Whether a PONG, a complete MessagePack value, lets the client in, and proves that the server knows the key.
    ///
    /// What proves it differs from the client's own proof by the name alone that stands in it: a server that does not know the key
    /// could send back what it was sent. So one with the client's name has proved nothing, as fluentd has it.
    ///
    /// # Errors
    /// It does not, or is no PONG.
    pub fn verify(&self, pong: &[u8], settings: &SecuritySettings) -> io::Result<()> {
        let (hostname, proof) = verdict(pong)?;
        if hostname == self.hostname.as_bytes() {
            return Err(wrong(&format!(
                "it calls itself `{}`, as this client does, and so proves nothing: give one of them another `self_hostname`",
                self.hostname
            )));
        }
        let key = settings.shared_key.expose().as_bytes();
        match proof == digest(&[&self.salt, hostname, &self.nonce, key]).as_bytes() {
            true => Ok(()),
            false => Err(wrong("it does not know the shared key itself")),
        }
    }
}

/// What a HELO says.
struct Challenge<'a> {
    nonce: &'a [u8],
    /// The salt for passwords.
    auth: &'a [u8],
    /// Whether the connection may be kept for further messages.
    keeps: bool,
}

fn challenge(helo: &[u8]) -> Option<Challenge<'_>> {
    let mut cursor = Cursor::new(helo, 0);
    let [Ok(Token::Array(2)), Ok(Token::Text(b"HELO")), Ok(Token::Map(pairs))] =
        [cursor.token(), cursor.token(), cursor.token()]
    else {
        return None;
    };
    let (mut nonce, mut auth, mut keeps) = (None, &[][..], true);
    for _ in 0..pairs {
        let Ok(Token::Text(name)) = cursor.token() else { return None };
        let value = cursor.value(LIMITS).ok()?;
        match (name, Cursor::new(value, 0).token()) {
            (b"nonce", Ok(Token::Text(bytes) | Token::Bytes(bytes))) => nonce = Some(bytes),
            (b"auth", Ok(Token::Text(bytes) | Token::Bytes(bytes))) => auth = bytes,
            (b"keepalive", Ok(Token::Boolean(said))) => keeps = said,
            _ => {}
        }
    }
    Some(Challenge { nonce: nonce?, auth, keeps })
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
