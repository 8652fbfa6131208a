//! Compressed entries, expanded a window at a time, so that memory stays bounded whatever they expand to.

use std::io::{self, Read};

use super::message::Compression;

mod frame;

/// Bytes that are expanded at a time.
const STEP: usize = 256 << 10;
/// zstd frames may ask for a window of 2 to this many bytes: 16 MiB, twice what its level 19 uses.
const ZSTD_WINDOW: u32 = 24;
/// Bytes that a zstd decoder takes beside its window.
const ZSTD: usize = 512 << 10;
/// Bytes that a gzip decoder takes.
const GZIP: usize = 64 << 10;

/// Expands entries.
pub struct Inflate<'a> {
    from: Box<dyn Read + Send + 'a>,
    /// Bytes of memory that the decoder takes.
    decoder: usize,
    window: Vec<u8>,
    expanded: usize,
    most: usize,
    longest: usize,
    ended: bool,
}

impl<'a> Inflate<'a> {
    /// Entries from `packed`, which may expand to `most` bytes, and one of them to `longest`.
    pub fn new(
        packed: &'a [u8],
        compression: Compression,
        most: usize,
        longest: usize,
    ) -> io::Result<Inflate<'a>> {
        let (from, decoder): (Box<dyn Read + Send + 'a>, _) = match compression {
            Compression::None => (Box::new(packed), 0),
            Compression::Gzip => (Box::new(flate2::bufread::MultiGzDecoder::new(packed)), GZIP),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                (Box::new(decoder), ZSTD + frame::window(packed, 1 << ZSTD_WINDOW))
            }
        };
        Ok(Inflate { from, decoder, window: Vec::new(), expanded: 0, most, longest, ended: false })
    }

    /// What is expanded and not yet used.
    pub fn window(&self) -> &[u8] {
        &self.window
    }

    /// Whether nothing comes after the window.
    pub fn is_last(&self) -> bool {
        self.ended
    }

    /// Bytes of memory that it takes once `used` bytes of the window are used and more is expanded, with as much again
    /// for what is made of the window.
    pub fn needs(&self, used: usize) -> usize {
        let kept = self.window.len() - used;
        self.decoder + 2 * (kept + self.step(kept))
    }

    /// How much is expanded behind `kept` bytes. An entry larger than a window makes it grow by half, so that the entry
    /// is not begun too often.
    fn step(&self, kept: usize) -> usize {
        STEP.max(kept / 2)
    }

    /// Forgets the first `used` bytes of the window, and expands more behind the rest.
    pub fn advance(&mut self, used: usize) -> io::Result<()> {
        self.window.drain(..used);
        if self.window.len() > self.longest {
            return Err(io::Error::other(format!("one of them expands to more than {} bytes", self.longest)));
        }
        let step = self.step(self.window.len());
        self.window.reserve_exact(step);
        let left = self.most - self.expanded;
        let read = self.from.by_ref().take(step.min(left + 1) as u64).read_to_end(&mut self.window)?;
        self.expanded += read;
        self.ended = read < step;
        if self.expanded > self.most {
            return Err(io::Error::other(format!("it expands to more than {} bytes", self.most)));
        }
        Ok(())
    }
}
