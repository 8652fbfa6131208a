//! The two functions of the crate `zstd` that the remap language calls, by a library in Rust.

use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress};
use std::io::{Error, Read, Result};

/// Compresses all that `source` has, whatever the level: the library has one.
///
/// # Errors
/// None.
pub fn encode_all<R: Read>(source: R, _level: i32) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    compress(source, &mut out, CompressionLevel::Fastest);
    Ok(out)
}

/// The content of the frame that `source` has.
///
/// # Errors
/// It is none.
pub fn decode_all<R: Read>(source: R) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    StreamingDecoder::new(source).map_err(Error::other)?.read_to_end(&mut out)?;
    Ok(out)
}
