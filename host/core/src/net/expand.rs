//! What came compressed, expanded so that memory stays bounded whatever it expands to.

use std::io::{self, BufRead, Read};

mod frame;

/// Bytes that are expanded at a time.
const STEP: usize = 256 << 10;
/// Bytes that a zstd decoder takes beside its window.
const ZSTD: usize = 512 << 10;
/// Bytes that a decoder of gzip or deflate takes.
const GZIP: usize = 64 << 10;

/// How something is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// gzip (RFC 1952), perhaps several members one after the other.
    Gzip,
    /// zlib (RFC 1950), and raw deflate (RFC 1951).
    Deflate,
    /// zstd (RFC 8878), perhaps several frames one after the other.
    Zstd,
}

impl Coding {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Zstd => "zstd",
        }
    }

    /// What undoes it. A frame of zstd that asks for a window of more than 2 to the `zstd_window` bytes is refused: it is
    /// memory that a frame of a few bytes can ask for.
    ///
    /// # Errors
    /// Those of `from`, and that no decoder can be made.
    pub fn decoder<'a, R>(self, mut from: R, zstd_window: u32) -> io::Result<Box<dyn Read + Send + 'a>>
    where
        R: BufRead + Send + 'a,
    {
        Ok(match self {
            Coding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
            // What the world calls deflate is mostly zlib, and sometimes raw (RFC 9110, section 8.4.1.2).
            Coding::Deflate if from.fill_buf()?.first().is_some_and(|b| b & 0x0f == 8) => {
                Box::new(flate2::bufread::ZlibDecoder::new(from))
            }
            Coding::Deflate => Box::new(flate2::bufread::DeflateDecoder::new(from)),
            Coding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?;
                decoder.window_log_max(zstd_window)?;
                Box::new(decoder)
            }
        })
    }
}

/// How far something may expand.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The largest window of zstd, as a power of two.
    pub zstd_window: u32,
    /// Most bytes of all of it.
    pub most: usize,
    /// Most bytes of one part of it, which is used as a whole.
    pub longest: usize,
}

/// Expands a window at a time.
pub struct Expand<'a> {
    from: Box<dyn Read + Send + 'a>,
    /// Bytes of memory that the decoder takes.
    decoder: usize,
    window: Vec<u8>,
    expanded: usize,
    bounds: Bounds,
    ended: bool,
}

impl<'a> Expand<'a> {
    /// Expands `packed`.
    ///
    /// # Errors
    /// No decoder can be made.
    pub fn new(packed: &'a [u8], coding: Coding, bounds: Bounds) -> io::Result<Expand<'a>> {
        let from = coding.decoder(packed, bounds.zstd_window)?;
        let decoder = match coding {
            Coding::Gzip | Coding::Deflate => GZIP,
            Coding::Zstd => ZSTD + frame::window(packed, 1 << bounds.zstd_window),
        };
        Ok(Expand { from, decoder, window: Vec::new(), expanded: 0, bounds, ended: false })
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

    /// How much is expanded behind `kept` bytes. A part larger than a window makes it grow by half, so that the part is
    /// not begun too often.
    fn step(&self, kept: usize) -> usize {
        STEP.max(kept / 2)
    }

    /// Forgets the first `used` bytes of the window, and expands more behind the rest.
    ///
    /// # Errors
    /// It expands to more than it may, or is broken.
    pub fn advance(&mut self, used: usize) -> io::Result<()> {
        self.window.drain(..used);
        if self.window.len() > self.bounds.longest {
            return Err(io::Error::other(format!(
                "one of them expands to more than {} bytes",
                self.bounds.longest
            )));
        }
        let step = self.step(self.window.len());
        self.window.reserve_exact(step);
        let left = self.bounds.most - self.expanded;
        let read = self.from.by_ref().take(step.min(left + 1) as u64).read_to_end(&mut self.window)?;
        self.expanded += read;
        self.ended = read < step;
        if self.expanded > self.bounds.most {
            return Err(io::Error::other(format!("it expands to more than {} bytes", self.bounds.most)));
        }
        Ok(())
    }
}
