use std::io::Read;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::header::{CONTENT_ENCODING, HeaderMap};

use super::answer::Answer;

/// Reads a body of at most `limit` bytes; `timeout` bounds the wait for each piece.
pub async fn read<B>(mut body: B, limit: usize, timeout: Duration) -> Result<Bytes, Answer>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let too_large = || Answer::TooLarge(format!("the body is larger than {limit} bytes (`max_body`)"));
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Err(too_large());
    }
    let mut first: Option<Bytes> = None;
    let mut whole = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(timeout, body.frame()).await {
            Err(_) => return Err(Answer::TooSlow),
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                return Err(Answer::Unreadable { line: 1, reason: format!("the body ended early: {error}") });
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > limit {
            return Err(too_large());
        }
        // Most bodies come in one piece, which needs no copy.
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            earlier => {
                if let Some(earlier) = earlier {
                    whole.reserve((hint.lower() as usize).max(earlier.len() + data.len()));
                    whole.extend_from_slice(&earlier);
                }
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// Undoes the content encodings of a body, never growing past `limit` bytes.
pub fn expand(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, Answer> {
    let Some(encodings) = headers.get(CONTENT_ENCODING) else { return Ok(body) };
    let encodings = encodings.to_str().unwrap_or("?").to_ascii_lowercase();
    let mut body = body;
    // Encodings are listed in the order in which they were applied (RFC 9110, section 8.4).
    for encoding in encodings.rsplit(',').map(str::trim) {
        body = match encoding {
            "" | "identity" => body,
            "gzip" | "x-gzip" => limited(flate2::read::MultiGzDecoder::new(&*body), encoding, limit)?,
            // What the world calls deflate is mostly zlib, and sometimes raw (RFC 9110, section 8.4.1.2).
            "deflate" if body.first().is_some_and(|b| b & 0x0f == 8) => {
                limited(flate2::read::ZlibDecoder::new(&*body), encoding, limit)?
            }
            "deflate" => limited(flate2::read::DeflateDecoder::new(&*body), encoding, limit)?,
            "zstd" => {
                let decoder = zstd::stream::read::Decoder::with_buffer(&*body)
                    .map_err(|error| unreadable(encoding, &error))?;
                limited(decoder, encoding, limit)?
            }
            other => return Err(Answer::UnknownEncoding(other.to_owned())),
        };
    }
    Ok(body)
}

fn unreadable(encoding: &str, error: &std::io::Error) -> Answer {
    Answer::Unreadable { line: 1, reason: format!("the body is no {encoding}: {error}") }
}

fn limited(decoder: impl Read, encoding: &str, limit: usize) -> Result<Bytes, Answer> {
    let mut expanded = Vec::new();
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut expanded)
        .map_err(|error| unreadable(encoding, &error))?;
    if expanded.len() > limit {
        let text = format!("the body expands to more than {limit} bytes (`max_expanded`)");
        return Err(Answer::TooLarge(text));
    }
    Ok(expanded.into())
}
