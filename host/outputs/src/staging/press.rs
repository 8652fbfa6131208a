//! Compresses pieces of text, each so that it can be read by itself: what stands one behind the other is one text again.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

use super::Compression;

/// Level of zstd: 3 takes 1.7 times as long for 1 % less.
const ZSTD: i32 = 1;
/// How far back it looks, as a power of two. What level 1 takes by itself, twice as much, makes nothing smaller, since its
/// table forgets what lies so far back, and takes 7 % longer; 20 % where a piece is no longer than that.
const WINDOW: u32 = 18;
/// Memory for what is compressed that is kept from piece to piece, if it takes no more.
const KEPT: usize = 2 << 20;
/// Level of gzip: 6 takes 2.2 times as long for 17 % less (1.84 µs and 0.84 µs for a record of 345 bytes).
const GZIP: u32 = 2;

/// Compresses for all objects of an output: what it needs for that is too much to have once for each.
pub(crate) enum Press {
    Plain,
    Gzip,
    Zstd(Compressor<'static>, Vec<u8>),
}

impl Press {
    /// # Errors
    /// There is no memory.
    pub fn new(compression: Compression) -> io::Result<Press> {
        Ok(match compression {
            // Tables are compressed within.
            Compression::None | Compression::Snappy => Press::Plain,
            Compression::Gzip => Press::Gzip,
            Compression::Zstd => {
                let mut zstd = Compressor::new(ZSTD)?;
                zstd.set_parameter(CParameter::WindowLog(WINDOW))?;
                Press::Zstd(zstd, Vec::new())
            }
        })
    }

    /// Calls `then` with the text as it is written.
    ///
    /// # Errors
    /// As of `then`; or there is no memory.
    pub fn press<T>(&mut self, text: &[u8], then: impl FnOnce(&[u8]) -> io::Result<T>) -> io::Result<T> {
        match self {
            Press::Plain => then(text),
            Press::Gzip => {
                let mut gzip =
                    GzEncoder::new(Vec::with_capacity(text.len() / 4), flate2::Compression::new(GZIP));
                gzip.write_all(text)?;
                then(&gzip.finish()?)
            }
            Press::Zstd(zstd, out) => {
                out.clear();
                out.reserve(compress_bound(text.len()));
                zstd.compress_to_buffer(text, out)?;
                let done = then(out);
                if out.capacity() > KEPT {
                    *out = Vec::new();
                }
                done
            }
        }
    }
}
