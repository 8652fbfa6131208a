//! JSON strings without their escapes. Docker writes every quote, `<`, `>` and `&` of a log as one.

/// So many bytes are copied and looked at together.
const BLOCK: usize = 16;
/// After so many blocks without an escape the next one is searched for.
const BLOCKS: usize = 4;

/// What the byte after a backslash stands for; zero where an escape has more than that byte, or where it is none.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    escapes[b'n' as usize] = b'\n';
    escapes[b't' as usize] = b'\t';
    escapes[b'r' as usize] = b'\r';
    escapes[b'b' as usize] = 8;
    escapes[b'f' as usize] = 12;
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes[b'/' as usize] = b'/';
    escapes
};

/// Appends the string at the head of `rest`, without its escapes, to `out`. Answers where the text after its closing
/// quote begins; none where it is no string, or a line ends in it, when some of it may have been appended.
#[inline]
pub(super) fn unescape(rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if *wide::IS_POSSIBLE {
        // SAFETY: the processor has what it is compiled for.
        return unsafe { wide::unescape(rest, out) };
    }
    by_blocks(rest, out)
}

fn by_blocks(rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let mut from = 0;
    loop {
        from += copy_plain(&rest[from..], out)?;
        match rest[from] {
            b'"' => return Some(from + 1),
            b'\n' => return None,
            _ => from += escape(&rest[from..], out)?,
        }
    }
}

/// Appends what the escape at the head of `rest` stands for, and answers its length.
#[inline]
fn escape(rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let byte = ESCAPES[usize::from(*rest.get(1)?)];
    if byte != 0 {
        out.push(byte);
        return Some(2);
    }
    let (character, length) = character(rest)?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(length)
}

/// Appends what stands before the next quote, backslash or LF, and answers its length; none where none comes.
#[inline]
fn copy_plain(from: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    for _ in 0..BLOCKS {
        let Some(block) = from.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) else { break };
        let end = out.len();
        out.extend_from_slice(block);
        match found(block) {
            0 => at += BLOCK,
            found => {
                let plain = found.trailing_zeros() as usize / BITS;
                out.truncate(end + plain);
                return Some(at + plain);
            }
        }
    }
    let next = at + memchr::memchr3(b'"', b'\\', b'\n', &from[at..])?;
    out.extend_from_slice(&from[at..next]);
    Some(next)
}

/// Bits of a byte in what [`found`] answers.
#[cfg(target_arch = "x86_64")]
const BITS: usize = 1;
#[cfg(not(target_arch = "x86_64"))]
const BITS: usize = 8;

/// The quotes, backslashes and LFs of a block: the highest bit of each is set, and none below the first one's.
#[cfg(target_arch = "x86_64")]
#[inline]
fn found(block: &[u8; BLOCK]) -> u32 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: every x86_64 has SSE2, and the load reads the 16 bytes of the block, wherever they begin.
    unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast::<__m128i>());
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        let ends = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\n' as i8));
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), ends)) as u32
    }
}

/// The quotes, backslashes and LFs of a block: the highest bit of each is set, and none below the first one's.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn found(block: &[u8; BLOCK]) -> u128 {
    const ONES: u128 = u128::from_ne_bytes([1; BLOCK]);
    let block = u128::from_le_bytes(*block);
    // The lowest byte of which the high bit is set in this is the lowest zero.
    let zeros = |block: u128| block.wrapping_sub(ONES) & !block & (ONES << 7);
    let is = |byte: u8| zeros(block ^ (ONES * u128::from(byte)));
    is(b'"') | is(b'\\') | is(b'\n')
}

/// The character that the escapes `\uXXXX` at the head of `rest` stand for, and the length of these; none where they are
/// none. Half of a surrogate pair is no character of a text.
#[inline(never)]
fn character(rest: &[u8]) -> Option<(char, usize)> {
    let first = unit(rest)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 6));
    }
    // Both halves of a character past the sixteen bits.
    let low = unit(&rest[6..]).filter(|low| first < 0xdc00 && (0xdc00..0xe000).contains(low));
    Some(match low.and_then(|low| char::from_u32(0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00))) {
        Some(character) => (character, 12),
        None => (char::REPLACEMENT_CHARACTER, 6),
    })
}

/// The value of the escape `\uXXXX` at the head of `rest`.
fn unit(rest: &[u8]) -> Option<u32> {
    let digits = rest.get(..6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod wide;
