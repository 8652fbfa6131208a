//! Text of other charsets as UTF-8 (<https://encoding.spec.whatwg.org/>, which is what `encoding_rs` does).

use encoding_rs::{Decoder, DecoderResult};

/// Stands for what cannot be decoded. It is no UTF-8, so it is mended and counted with all that is none.
pub const MALFORMED: u8 = 0xff;

/// Writes what `raw` says as UTF-8 to `text`, over what stands there, and answers how many bytes that are. Where nothing of it
/// comes later (`whole`), half a character at its end is malformed; otherwise it is left out. What is malformed is one byte
/// that is no UTF-8. Where `text` is full, `grow` makes it longer, which is told how many bytes of `raw` are left.
///
/// # Errors
/// That of `grow`.
pub fn recode<E>(
    decoder: &mut Decoder,
    raw: &[u8],
    whole: bool,
    text: &mut Vec<u8>,
    mut grow: impl FnMut(&mut Vec<u8>, &Decoder, usize) -> Result<(), E>,
) -> Result<usize, E> {
    let (mut read, mut written) = (0, 0);
    loop {
        let (result, more_read, more_written) =
            decoder.decode_to_utf8_without_replacement(&raw[read..], &mut text[written..], whole);
        read += more_read;
        written += more_written;
        match result {
            DecoderResult::InputEmpty => return Ok(written),
            DecoderResult::OutputFull => grow(text, decoder, raw.len() - read)?,
            DecoderResult::Malformed(..) => {
                if written == text.len() {
                    grow(text, decoder, raw.len() - read)?;
                }
                text[written] = MALFORMED;
                written += 1;
            }
        }
    }
}
