//! Compressed entries, expanded a window at a time, so that memory stays bounded whatever they expand to.

use std::io::{self, Read};

use super::message::Compression;

/// Bytes that are expanded at a time.
const STEP: usize = 256 << 10;
/// zstd frames may ask for a window of 2 to this many bytes: 16 MiB, twice what its level 19 uses.
const ZSTD_WINDOW: u32 = 24;

/// Expands entries.
pub struct Inflate<'a> {
    from: Box<dyn Read + Send + 'a>,
    window: Vec<u8>,
    expanded: usize,
    most: usize,
    ended: bool,
}

impl<'a> Inflate<'a> {
    /// Entries from `packed`, which may expand to `most` bytes.
    pub fn new(packed: &'a [u8], compression: Compression, most: usize) -> io::Result<Inflate<'a>> {
        let from: Box<dyn Read + Send + 'a> = match compression {
            Compression::None => Box::new(packed),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Box::new(decoder)
            }
        };
        Ok(Inflate { from, window: Vec::new(), expanded: 0, most, ended: false })
    }

    /// What is expanded and not yet used.
    pub fn window(&self) -> &[u8] {
        &self.window
    }

    /// Whether nothing comes after the window.
    pub fn is_last(&self) -> bool {
        self.ended
    }

    /// Forgets the first `used` bytes of the window, and expands more behind the rest.
    pub fn advance(&mut self, used: usize) -> io::Result<()> {
        self.window.drain(..used);
        // An entry larger than a window makes the window double, so that it is not begun too often.
        let step = STEP.max(self.window.len());
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
