//! Finding one byte in a short stretch of a long text.

/// Where `byte` first stands in `data[at..to]`, or `to` if it does not.
///
/// Fields are short: what a search costs is its call and its set-up. So this looks at 16 bytes
/// at once right away, past `to` if the data goes on there.
///
/// # Panics
/// When `to` lies past the end of the data.
#[inline(always)]
pub fn find(data: &[u8], mut at: usize, to: usize, byte: u8) -> usize {
    assert!(to <= data.len());
    while let Some(block) = data.get(at..at + 16) {
        if at >= to {
            return to;
        }
        let found = equal(block, byte);
        if found != 0 {
            return (at + found.trailing_zeros() as usize).min(to);
        }
        at += 16;
    }
    match data.get(at..to) {
        Some(rest) => rest.iter().position(|other| *other == byte).map_or(to, |i| at + i),
        None => to,
    }
}

/// Which of 16 bytes are `byte`, as a bitmap.
#[inline(always)]
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn equal(block: &[u8], byte: u8) -> u16 {
    use std::arch::wasm32::{i8x16_bitmask, u8x16_eq, u8x16_splat, v128_load};
    assert!(block.len() >= 16);
    // SAFETY: 16 bytes can be read, as was just checked; the load needs no alignment.
    let block = unsafe { v128_load(block.as_ptr().cast()) };
    i8x16_bitmask(u8x16_eq(block, u8x16_splat(byte)))
}

/// Which of 16 bytes are `byte`, as a bitmap.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
fn equal(block: &[u8], byte: u8) -> u16 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    assert!(block.len() >= 16);
    // SAFETY: SSE2 is part of every x86-64; 16 bytes can be read, as was just checked, and the
    // load needs no alignment.
    unsafe {
        let block = _mm_loadu_si128(block.as_ptr().cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(byte as i8))) as u16
    }
}

/// Which of 16 bytes are `byte`, as a bitmap.
#[inline(always)]
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
fn equal(block: &[u8], byte: u8) -> u16 {
    let bits = block.iter().take(16).enumerate();
    bits.fold(0, |found, (i, other)| found | u16::from(*other == byte) << i)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_byte_is_found_wherever_the_stretch_begins_and_ends() {
        let data: Vec<u8> = (0..80).map(|i| if i % 7 == 3 { b'x' } else { b'.' }).collect();
        for at in 0..=data.len() {
            for to in at..=data.len() {
                let expected = data[at..to].iter().position(|byte| *byte == b'x').map_or(to, |i| at + i);
                assert_eq!(super::find(&data, at, to, b'x'), expected, "{at}..{to}");
            }
        }
    }
}
