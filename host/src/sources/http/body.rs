use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::header::{CONTENT_ENCODING, HeaderMap};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Answer;

/// The largest window of zstd, as a power of two: what RFC 9659 allows a content encoding. It is memory that a frame of
/// a few bytes can ask for.
const ZSTD_WINDOW: u32 = 23;

/// Room for one request among those that are under way. Given back when it is dropped.
pub struct Room {
    pending: Arc<Semaphore>,
    /// What all requests share, in bytes. A larger request takes all of it.
    most: usize,
    taken: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// No room yet, of `most` bytes that `pending` has a permit each for.
    pub fn new(pending: &Arc<Semaphore>, most: usize) -> Room {
        Room { pending: pending.clone(), most, taken: None }
    }

    /// Takes as much as makes room for `bytes` bytes in all.
    fn reach(&mut self, bytes: usize) -> Result<(), Answer> {
        let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.min(self.most).saturating_sub(taken);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| Answer::Full)?;
        let more = self.pending.clone().try_acquire_many_owned(more).map_err(|_| Answer::Full)?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

/// Reads a body of at most `limit` bytes into `room`; `timeout` bounds the wait for each piece.
pub async fn read<B>(mut body: B, limit: usize, timeout: Duration, room: &mut Room) -> Result<Bytes, Answer>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let too_large = || Answer::TooLarge(format!("the body is larger than {limit} bytes (`max_body`)"));
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Err(too_large());
    }
    // A body that says how long it is needs not be read to be refused.
    room.reach(hint.lower() as usize)?;
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
        let length = whole.len() + first.as_ref().map_or(0, Bytes::len) + data.len();
        if length > limit {
            return Err(too_large());
        }
        room.reach(length)?;
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

/// Undoes the content encodings of a body, never growing past `limit` bytes, nor past `room`.
pub fn expand(headers: &HeaderMap, body: Bytes, limit: usize, room: &mut Room) -> Result<Bytes, Answer> {
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
                let decoder = zstd_decoder(&body).map_err(|error| unreadable(encoding, &error))?;
                limited(decoder, encoding, limit)?
            }
            other => return Err(Answer::UnknownEncoding(other.to_owned())),
        };
        room.reach(body.len())?;
    }
    Ok(body)
}

fn zstd_decoder(body: &[u8]) -> std::io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW)?;
    Ok(decoder)
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
