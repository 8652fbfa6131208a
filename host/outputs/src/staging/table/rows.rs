//! The file in which the rows of a table wait that is to outlast the process: what it has is enough to make the table of.
//!
//! It begins with what it is, the number of its format, and the unit in which the table has times, with a checksum: of
//! whatever format, the first 20 bytes are of this form. Behind that come frames: a length (of what follows the checksum), a
//! checksum, and items one behind the other. An item is a block of rows; a block without rows, which says of the next slot
//! what its kind and its path are; or a block of no length, behind which another row group begins. Checksums are CRC-32C,
//! all numbers `u32` in little endian.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use arrow_schema::TimeUnit;

use super::super::content::Broken;
use super::block;
use flitch_core::batch::Kind;

/// The format that is written here, and the only one that is read.
pub(in super::super) const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"flitrows";
const HEAD: usize = 20;
/// What stands before the items of a frame.
pub(super) const FRAME: usize = 8;
/// Behind the last row of a row group.
pub(super) const END: [u8; 4] = [0; 4];
const UNITS: [TimeUnit; 4] =
    [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
/// By their numbers in the file.
const KINDS: [Kind; 7] =
    [Kind::Text, Kind::Bytes, Kind::Int64, Kind::Float64, Kind::Boolean, Kind::Timestamp, Kind::Json];

/// How a file begins.
pub(super) fn head(unit: TimeUnit) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    let unit = UNITS.iter().position(|known| *known == unit).unwrap_or_default() as u32;
    for number in [FORMAT, unit] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    head.extend_from_slice(&crc32c::crc32c(&head).to_le_bytes());
    head
}

/// Writes down of the next slot what it is.
pub(super) fn define(out: &mut Vec<u8>, kind: Kind, path: &str) {
    let kind = KINDS.iter().position(|known| *known == kind).unwrap_or_default() as u32;
    let rest = [&0u32.to_le_bytes()[..], &kind.to_le_bytes(), path.as_bytes()].concat();
    out.extend_from_slice(&(rest.len() as u32).to_le_bytes());
    out.extend_from_slice(&rest);
}

/// Fills in the first bytes of a frame, which were left free.
pub(super) fn close(frame: &mut [u8]) {
    let Some((head, items)) = frame.split_first_chunk_mut::<FRAME>() else { return };
    let length = u32::try_from(items.len()).expect("what waits in memory has below 4 GiB");
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&crc32c::crc32c(items).to_le_bytes());
}

/// The number of a file's format; none where it does not begin as such a file does.
///
/// # Errors
/// The disk's.
pub(in super::super) fn format(path: &Path) -> io::Result<Option<u32>> {
    match read_head(&mut File::open(path)?) {
        Ok((format, _)) => Ok(Some(format)),
        Err(Broken::Disk(error)) => Err(error),
        Err(Broken::Lost(_)) => Ok(None),
    }
}

fn read_head(file: &mut impl Read) -> Result<(u32, u32), Broken> {
    let mut head = [0; HEAD];
    fill(file, &mut head)?;
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    match head.starts_with(&MAGIC) && number(16) == crc32c::crc32c(&head[..16]) {
        true => Ok((number(8), number(12))),
        false => Err(spoiled()),
    }
}

fn fill(file: &mut impl Read, bytes: &mut [u8]) -> Result<(), Broken> {
    file.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => spoiled(),
        _ => error.into(),
    })
}

fn spoiled() -> Broken {
    Broken::Lost("the rows that wait on disk are not what was written".to_owned())
}

/// What stands in a file.
pub(super) enum Item<'r> {
    Slot(Kind, &'r str),
    Rows(&'r [u8]),
    End,
}

/// Reads a file from its begin to where it is known to be whole.
pub(super) struct Reader {
    file: BufReader<File>,
    unit: TimeUnit,
    /// Bytes behind the frame.
    left: u64,
    frame: Vec<u8>,
    /// How far the frame is read.
    at: usize,
}

impl Reader {
    /// # Errors
    /// See [`Broken`].
    pub fn open(path: &Path, length: u64) -> Result<Reader, Broken> {
        let mut file = BufReader::new(File::open(path)?);
        let (format, unit) = read_head(&mut file)?;
        let unit = UNITS.get(unit as usize).filter(|_| format == FORMAT).ok_or_else(spoiled)?;
        let left = length.checked_sub(HEAD as u64).ok_or_else(spoiled)?;
        Ok(Reader { file, unit: *unit, left, frame: Vec::new(), at: 0 })
    }

    pub fn unit(&self) -> TimeUnit {
        self.unit
    }

    /// The next item; none at the end.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn next(&mut self) -> Result<Option<Item<'_>>, Broken> {
        while self.at == self.frame.len() {
            if self.left == 0 {
                return Ok(None);
            }
            self.read_frame()?;
        }
        let mut rest = &self.frame[self.at..];
        let item = block::split(&mut rest).ok_or_else(spoiled)?;
        self.at = self.frame.len() - rest.len();
        let Some((rows, definition)) = item.split_first_chunk::<4>() else { return Ok(Some(Item::End)) };
        if *rows != [0; 4] {
            return Ok(Some(Item::Rows(item)));
        }
        let (kind, path) = definition.split_first_chunk::<4>().ok_or_else(spoiled)?;
        let kind = KINDS.get(u32::from_le_bytes(*kind) as usize).ok_or_else(spoiled)?;
        let path = std::str::from_utf8(path).map_err(|_| spoiled())?;
        Ok(Some(Item::Slot(*kind, path)))
    }

    fn read_frame(&mut self) -> Result<(), Broken> {
        let mut head = [0; FRAME];
        self.left = self.left.checked_sub(FRAME as u64).ok_or_else(spoiled)?;
        fill(&mut self.file, &mut head)?;
        let [a, b, c, d, checksum @ ..] = head;
        let length = u32::from_le_bytes([a, b, c, d]);
        // No longer than the file is, whatever stands there.
        self.left = self.left.checked_sub(u64::from(length)).ok_or_else(spoiled)?;
        self.frame.resize(length as usize, 0);
        fill(&mut self.file, &mut self.frame)?;
        self.at = 0;
        match crc32c::crc32c(&self.frame) == u32::from_le_bytes(checksum) {
            true => Ok(()),
            false => Err(spoiled()),
        }
    }
}
