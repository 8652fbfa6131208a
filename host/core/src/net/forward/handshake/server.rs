//! The side of the one who asks for a key: HELO and PONG, and what a PING proves.

use bytes::{Buf, BytesMut};
use rmp::encode;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{LIMITS, SecuritySettings, digest, random};
use crate::net::forward::wire::{Cursor, Scanner, Token};
use crate::secret::Secret;

/// The first message to a client. The salt is there, and binary, also where no user is asked for, as fluentd's is:
/// clients such as IBM's fluent-forward-go cannot read the empty text that the specification has for that case.
pub fn helo(nonce: &[u8], salt: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let written: Result<(), encode::ValueWriteError> = (|| {
        encode::write_array_len(&mut out, 2)?;
        encode::write_str(&mut out, "HELO")?;
        encode::write_map_len(&mut out, 3)?;
        encode::write_str(&mut out, "nonce")?;
        encode::write_bin(&mut out, nonce)?;
        encode::write_str(&mut out, "auth")?;
        encode::write_bin(&mut out, salt)?;
        encode::write_str(&mut out, "keepalive")?;
        encode::write_bool(&mut out, true).map_err(encode::ValueWriteError::InvalidMarkerWrite)
    })();
    written.expect("a vector takes every byte");
    out
}

/// The answer to a PING: the digest where it is right, or the reason for which it is not.
pub fn pong(outcome: &Result<String, &str>, hostname: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (ok, reason, name, digest) = match outcome {
        Ok(digest) => (true, "", hostname, digest.as_str()),
        Err(reason) => (false, *reason, "", ""),
    };
    let written: Result<(), encode::ValueWriteError> = (|| {
        encode::write_array_len(&mut out, 5)?;
        encode::write_str(&mut out, "PONG")?;
        encode::write_bool(&mut out, ok).map_err(encode::ValueWriteError::InvalidMarkerWrite)?;
        for text in [reason, name, digest] {
            encode::write_str(&mut out, text)?;
        }
        Ok(())
    })();
    written.expect("a vector takes every byte");
    out
}

/// Whether a PING, a complete MessagePack value, proves that the client knows the key; the digest for the PONG, or
/// what is wrong.
pub fn check(
    ping: &[u8],
    nonce: &[u8],
    salt: &[u8],
    settings: &SecuritySettings,
) -> Result<String, &'static str> {
    const SHAPE: &str = "the answer to HELO is no PING message";
    let mut cursor = Cursor::new(ping, 0);
    let Ok(Token::Array(6)) = cursor.token() else { return Err(SHAPE) };
    let mut next = || match cursor.token() {
        Ok(Token::Text(bytes) | Token::Bytes(bytes)) => Ok(bytes),
        _ => Err(SHAPE),
    };
    let (name, hostname, key_salt, key_digest, user, user_digest) =
        (next()?, next()?, next()?, next()?, next()?, next()?);
    if name != b"PING" {
        return Err(SHAPE);
    }
    let key = settings.shared_key.expose().as_bytes();
    let expected = digest(&[key_salt, hostname, nonce, key]);
    if !bool::from(expected.as_bytes().ct_eq(key_digest)) {
        return Err("shared_key mismatch");
    }
    if !settings.users.is_empty() {
        // A user who is not known costs the same time as a wrong password.
        let password = std::str::from_utf8(user).ok().and_then(|user| settings.users.get(user));
        let text = password.map_or("", Secret::expose);
        let expected = digest(&[salt, user, text.as_bytes()]);
        let right = bool::from(expected.as_bytes().ct_eq(user_digest));
        if !right || password.is_none() {
            return Err("username/password mismatch");
        }
    }
    Ok(digest(&[key_salt, settings.name().as_bytes(), nonce, key]))
}

/// Goes through the handshake with a client. What it sent behind its PING is left in `buffer`. Answers what the client
/// calls itself.
///
/// # Errors
/// The client does not know the key, or the connection fails.
pub async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    settings: &SecuritySettings,
) -> anyhow::Result<Vec<u8>> {
    let nonce = random()?;
    let salt = random()?;
    stream.write_all(&helo(&nonce, &salt)).await?;
    stream.flush().await?;
    let mut scanner = Scanner::new(0);
    let end = loop {
        if let Some(end) = scanner.advance(buffer, LIMITS)? {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            anyhow::bail!("it ended before its PING");
        }
    };
    let outcome = check(&buffer[..end], &nonce, &salt, settings);
    let hostname = hostname(&buffer[..end]).unwrap_or_default();
    buffer.advance(end);
    stream.write_all(&pong(&outcome, settings.name())).await?;
    stream.flush().await?;
    match outcome {
        Ok(_) => Ok(hostname),
        Err(reason) => anyhow::bail!("{reason}"),
    }
}

/// What a PING calls its sender.
fn hostname(ping: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor::new(ping, 0);
    cursor.token().ok()?;
    cursor.token().ok()?;
    match cursor.token() {
        Ok(Token::Text(name) | Token::Bytes(name)) => Some(name.to_vec()),
        _ => None,
    }
}
