//! The same by 64 bytes at a time, for processors that can press the bytes of a register together and look them up in
//! a table (AVX-512 VBMI and VBMI2: Ice Lake, Zen 4, and what came after). What it costs hardly depends on how many escapes there are.

use std::arch::x86_64::{
    __m512i, _bzhi_u64, _mm512_cmpeq_epi8_mask, _mm512_loadu_si512, _mm512_mask2_permutex2var_epi8,
    _mm512_maskz_compress_epi8, _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_set1_epi8,
    _mm512_storeu_si512, _mm512_testn_epi8_mask,
};

use std::sync::LazyLock;

use super::{ESCAPES, escape};

const BLOCK: usize = 64;

/// Whether this processor can.
pub(super) static IS_POSSIBLE: LazyLock<bool> = LazyLock::new(|| {
    is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
});

/// See [`super::unescape`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt")]
pub(super) fn unescape(rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let (low, high) = (load(&ESCAPES[..BLOCK]), load(&ESCAPES[BLOCK..2 * BLOCK]));
    let mut from = 0;
    // The first byte of the block belongs to an escape that began in the block before.
    let mut is_escaped = 0;
    loop {
        let block = load(rest.get(from..).filter(|rest| !rest.is_empty())?);
        let is = |byte: u8| _mm512_cmpeq_epi8_mask(block, all(byte));
        let (quotes, backslashes, feeds) = (is(b'"'), is(b'\\'), is(b'\n'));
        let (escaped, next) = escaped(backslashes, is_escaped);
        let end = (quotes & !escaped) | feeds;
        let inside = below_lowest(end);
        let of_escapes = escaped & inside;
        let mut kept = !(backslashes & !escaped) & inside;
        let (mut block, mut others) = (block, 0);
        // Most escapes are of what stands for itself.
        if of_escapes & !(quotes | backslashes) != 0 {
            // A place of the table is seven bits of a byte.
            let beyond = _mm512_movepi8_mask(block);
            block = _mm512_mask2_permutex2var_epi8(low, block, of_escapes, high);
            // Those that are not in the table are read one by one, and what stands before the first of them now.
            others = of_escapes & (_mm512_testn_epi8_mask(block, block) | beyond);
            kept &= below_lowest(others);
        }
        append(_mm512_maskz_compress_epi8(kept, block), kept.count_ones() as usize, out);
        if others != 0 {
            let backslash = from + others.trailing_zeros() as usize - 1;
            from = backslash + escape(&rest[backslash..], out)?;
            is_escaped = 0;
        } else if end == 0 {
            (from, is_escaped) = (from + BLOCK, next);
        } else {
            let at = from + end.trailing_zeros() as usize;
            return (rest[at] == b'"').then_some(at + 1);
        }
    }
}

/// The bytes that a backslash stands before, and whether the block's last byte is such a backslash. Those of a run of
/// backslashes take turns; the run's parity is carried through it by an addition. Source: Langdale, Lemire, "Parsing
/// gigabytes of JSON per second", 3.1.1.
#[inline]
fn escaped(backslashes: u64, is_escaped: u64) -> (u64, u64) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let after = (backslashes << 1) | is_escaped;
    if backslashes & after == 0 {
        return (after, backslashes >> 63);
    }
    let backslashes = backslashes & !is_escaped;
    let after = (backslashes << 1) | is_escaped;
    let odd_starts = backslashes & !EVEN & !after;
    let (runs, carry) = odd_starts.overflowing_add(backslashes);
    ((EVEN ^ (runs << 1)) & after, u64::from(carry))
}

/// All bits below the lowest one that is set; all there are where none is.
#[inline]
fn below_lowest(bits: u64) -> u64 {
    bits.wrapping_sub(1) & !bits
}

#[inline]
#[target_feature(enable = "avx512bw")]
fn all(byte: u8) -> __m512i {
    _mm512_set1_epi8(byte as i8)
}

/// The first 64 bytes, or those there are and zeros.
#[inline]
#[target_feature(enable = "avx512bw,bmi2")]
fn load(bytes: &[u8]) -> __m512i {
    if let Some(block) = bytes.first_chunk::<BLOCK>() {
        // SAFETY: the bytes of the block are read, wherever they begin.
        return unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    }
    let there = _bzhi_u64(u64::MAX, bytes.len() as u32);
    // SAFETY: bytes that are not there are not read.
    unsafe { _mm512_maskz_loadu_epi8(there, bytes.as_ptr().cast()) }
}

/// Appends the first `bytes` of the block.
#[inline]
#[target_feature(enable = "avx512f")]
fn append(block: __m512i, bytes: usize, out: &mut Vec<u8>) {
    out.reserve(BLOCK);
    let length = out.len() + bytes.min(BLOCK);
    // SAFETY: there is room for 64 bytes after the last one, and as many as count from now on have been written.
    unsafe {
        _mm512_storeu_si512(out.as_mut_ptr().add(out.len()).cast(), block);
        out.set_len(length);
    }
}
