//! Files of frames, one after the other.
//!
//! A segment is called by the sequence of its first frame in 20 digits, `00000000000000000001.segment`. It begins with
//! a header of 64 bytes: `FLITCHBF`, the version of the format (4 bytes), the CRC-32C of these twelve (4 bytes), zeros.
//! Frames follow; see [`super::frame`]. Where one segment names a sequence as its first, those before it end there,
//! whatever else is in them: a write that failed may have left it.

use std::io;
use std::path::Path;

use arrow_buffer::{Buffer, MutableBuffer};

use super::frame::{ALIGNMENT, HEAD, Head};
use super::fs::File;

/// Bytes of a header.
pub const HEADER: usize = 64;
/// The version that this program writes; it reads all up to it. In version 1 frames had no origins of records.
pub const VERSION: u32 = 2;

const MAGIC: [u8; 8] = *b"FLITCHBF";
const SUFFIX: &str = ".segment";
/// How much is looked through at once for where the next frame begins.
const CHUNK: usize = 256 << 10;

/// A program that came after this one wrote a file.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path} was written by a newer flitch (format {version}, and this one reads {VERSION}): start that one again, or \
     empty the buffer with it (`flitch buffer drain`) before this one takes over"
)]
pub struct Newer {
    path: String,
    version: u32,
}

/// The header of a file.
pub struct Header;

impl Header {
    /// That of this version.
    pub fn write() -> [u8; HEADER] {
        Header::of(VERSION)
    }

    /// That of any version.
    pub fn of(version: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..12]);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Whether `bytes` begin with a header. One that is broken says nothing of its version.
    ///
    /// # Errors
    /// [`Newer`], which names `path`.
    pub fn read(bytes: &[u8], path: &Path) -> io::Result<bool> {
        let Some(head) = bytes.get(..16) else { return Ok(false) };
        if head[..8] != MAGIC || head[12..] != crc32c::crc32c(&head[..12]).to_le_bytes() {
            return Ok(false);
        }
        let version = u32::from_le_bytes(head[8..12].try_into().expect("four bytes"));
        if version > VERSION {
            let path = path.display().to_string();
            return Err(io::Error::new(io::ErrorKind::Unsupported, Newer { path, version }));
        }
        Ok(true)
    }
}

/// The name of the segment whose first frame has this sequence.
pub fn name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The sequence of the first frame of a segment, if a file is one.
pub fn first(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// What stands at a place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A frame that ends where the segment ends, or before.
    Frame(Head),
    /// The segment ends here.
    End,
    /// No frame; the next one begins at `next`, or the segment ends there.
    Broken {
        /// Where it goes on.
        next: u64,
        /// The frame there, if there is one.
        head: Option<Head>,
    },
}

/// Looks at place `at` of a segment of `length` bytes.
pub fn look(file: &dyn File, at: u64, length: u64) -> io::Result<Found> {
    if at >= length {
        return Ok(Found::End);
    }
    let fits = |head: &Head, at: u64| {
        at + head.bytes() <= length && (head.length as usize).is_multiple_of(ALIGNMENT)
    };
    if at + HEAD as u64 <= length {
        let mut bytes = [0; HEAD];
        file.read_at(&mut bytes, at)?;
        if let Some(head) = Head::read(&bytes).filter(|head| fits(head, at)) {
            return Ok(Found::Frame(head));
        }
    }
    let mut from = at + ALIGNMENT as u64;
    while from + HEAD as u64 <= length {
        let mut bytes = vec![0; CHUNK.min((length - from) as usize)];
        file.read_at(&mut bytes, from)?;
        for place in (0..=bytes.len() - HEAD).step_by(ALIGNMENT) {
            let head: &[u8; HEAD] = bytes[place..place + HEAD].try_into().expect("the length of a head");
            let next = from + place as u64;
            if let Some(head) = Head::read(head).filter(|head| fits(head, next)) {
                return Ok(Found::Broken { next, head: Some(head) });
            }
        }
        // The last places again, with what comes after them.
        from += (bytes.len() - HEAD + ALIGNMENT) as u64;
    }
    Ok(Found::Broken { next: length, head: None })
}

/// Reads `length` bytes into memory that is aligned for columns.
pub fn read(file: &dyn File, at: u64, length: usize) -> io::Result<Buffer> {
    let mut bytes = MutableBuffer::from_len_zeroed(length);
    file.read_at(&mut bytes, at)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests;
