//! Finding bytes in short stretches of a long text.
//!
//! Fields are short: what a search costs is its call and its set-up. So these look at 16 bytes
//! at once right away, past the end of the stretch if the data goes on there.

/// Where `byte` first stands in `data[at..to]`, or `to` if it does not.
///
/// # Panics
/// When `to` lies past the end of the data.
#[inline(always)]
pub fn find(data: &[u8], at: usize, to: usize, byte: u8) -> usize {
    match near(data, at, to, |block| block.equal(byte)) {
        Some(place) => place,
        None => far(data, at, to, |block| block.equal(byte)),
    }
}

/// Where the first of two bytes stands in `data[at..to]`, or `to` if there is none.
///
/// # Panics
/// When `to` lies past the end of the data.
#[inline(always)]
pub fn find_either(data: &[u8], at: usize, to: usize, bytes: [u8; 2]) -> usize {
    let wanted = |block: Block| block.equal(bytes[0]).or(block.equal(bytes[1]));
    match near(data, at, to, wanted) {
        Some(place) => place,
        None => far(data, at, to, wanted),
    }
}

/// Where the first byte stands in `data[at..to]` that a JSON string cannot have as it is, the quote behind it among them, or `to`
/// if there is none.
///
/// # Panics
/// When `to` lies past the end of the data.
#[inline(always)]
pub(crate) fn find_special(data: &[u8], at: usize, to: usize) -> usize {
    let wanted = |block: Block| block.below(0x20).or(block.equal(b'"')).or(block.equal(b'\\'));
    match near(data, at, to, wanted) {
        Some(place) => place,
        None => far(data, at, to, wanted),
    }
}

/// How many of 16 bytes are digits, before the first one that is none.
#[inline(always)]
pub(crate) fn digits(bytes: &[u8; 16]) -> usize {
    let others = !Block::of(bytes).minus(b'0').below(10).bits();
    others.trailing_zeros() as usize
}

/// Which of 16 bytes are those of another 16, as a bitmap.
#[inline(always)]
pub(crate) fn same_as(bytes: &[u8; 16], others: &[u8; 16]) -> u32 {
    Block::of(bytes).same(Block::of(others)).bits()
}

/// The place, if it is among the first 16 bytes.
#[inline(always)]
fn near(data: &[u8], at: usize, to: usize, wanted: impl Fn(Block) -> Block) -> Option<usize> {
    assert!(to <= data.len());
    let found = wanted(Block::of(data.get(at..)?.first_chunk()?)).bits();
    (found != 0).then(|| (at + found.trailing_zeros() as usize).min(to))
}

/// The place that is not among the first 16 bytes, or anywhere where fewer are left. Apart, so that what finds a field that is
/// short stays small where it is inlined.
#[inline(never)]
fn far(data: &[u8], mut at: usize, to: usize, wanted: impl Fn(Block) -> Block) -> usize {
    let bits = |chunk: &[u8; 16]| u64::from(wanted(Block::of(chunk)).bits());
    while at < to
        && let Some(chunk) = data[at..].first_chunk::<64>()
    {
        let (four, _) = chunk.as_chunks::<16>();
        let found = bits(&four[0]) | bits(&four[1]) << 16 | bits(&four[2]) << 32 | bits(&four[3]) << 48;
        if found != 0 {
            return (at + found.trailing_zeros() as usize).min(to);
        }
        at += 64;
    }
    while at < to
        && let Some(chunk) = data[at..].first_chunk()
    {
        let found = bits(chunk);
        if found != 0 {
            return (at + found.trailing_zeros() as usize).min(to);
        }
        at += 16;
    }
    first_of_last(data, at, to, wanted)
}

/// The same where fewer than 16 bytes are left.
#[cold]
fn first_of_last(data: &[u8], at: usize, to: usize, wanted: impl Fn(Block) -> Block) -> usize {
    if at >= to {
        return to;
    }
    // The last 16 are looked at, and those that were seen are left out.
    let found = match data.last_chunk() {
        Some(last) => wanted(Block::of(last)).bits() >> (at + 16 - data.len()),
        None => {
            let mut padded = [0; 16];
            padded.iter_mut().zip(&data[at..]).for_each(|(to, from)| *to = *from);
            wanted(Block::of(&padded)).bits()
        }
    };
    match found {
        0 => to,
        found => (at + found.trailing_zeros() as usize).min(to),
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod block {
    use std::arch::wasm32::{
        i8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, u8x16_sub, v128, v128_load, v128_or,
    };

    /// 16 bytes, or which of them are meant.
    #[derive(Clone, Copy)]
    pub(super) struct Block(v128);

    impl Block {
        #[inline(always)]
        pub(super) fn of(bytes: &[u8; 16]) -> Self {
            // SAFETY: 16 bytes can be read; the load needs no alignment.
            Self(unsafe { v128_load(bytes.as_ptr().cast()) })
        }

        #[inline(always)]
        pub(super) fn equal(self, byte: u8) -> Self {
            Self(u8x16_eq(self.0, u8x16_splat(byte)))
        }

        #[inline(always)]
        pub(super) fn same(self, other: Self) -> Self {
            Self(u8x16_eq(self.0, other.0))
        }

        #[inline(always)]
        pub(super) fn below(self, byte: u8) -> Self {
            Self(u8x16_lt(self.0, u8x16_splat(byte)))
        }

        #[inline(always)]
        pub(super) fn minus(self, byte: u8) -> Self {
            Self(u8x16_sub(self.0, u8x16_splat(byte)))
        }

        #[inline(always)]
        pub(super) fn or(self, other: Self) -> Self {
            Self(v128_or(self.0, other.0))
        }

        /// Which bytes are meant, as a bitmap.
        #[inline(always)]
        pub(super) fn bits(self) -> u32 {
            u32::from(i8x16_bitmask(self.0))
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod block {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8, _mm_sub_epi8,
    };

    /// 16 bytes, or which of them are meant. SSE2 is part of every x86-64.
    #[derive(Clone, Copy)]
    pub(super) struct Block(__m128i);

    impl Block {
        #[inline(always)]
        pub(super) fn of(bytes: &[u8; 16]) -> Self {
            // SAFETY: 16 bytes can be read; the load needs no alignment.
            Self(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
        }

        #[inline(always)]
        pub(super) fn equal(self, byte: u8) -> Self {
            // SAFETY: SSE2 is there.
            Self(unsafe { _mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte as i8)) })
        }

        #[inline(always)]
        pub(super) fn same(self, other: Self) -> Self {
            // SAFETY: SSE2 is there.
            Self(unsafe { _mm_cmpeq_epi8(self.0, other.0) })
        }

        #[inline(always)]
        pub(super) fn below(self, byte: u8) -> Self {
            // SAFETY: SSE2 is there.
            Self(unsafe { _mm_cmpeq_epi8(_mm_min_epu8(self.0, _mm_set1_epi8(byte as i8 - 1)), self.0) })
        }

        #[inline(always)]
        pub(super) fn minus(self, byte: u8) -> Self {
            // SAFETY: SSE2 is there.
            Self(unsafe { _mm_sub_epi8(self.0, _mm_set1_epi8(byte as i8)) })
        }

        #[inline(always)]
        pub(super) fn or(self, other: Self) -> Self {
            // SAFETY: SSE2 is there.
            Self(unsafe { _mm_or_si128(self.0, other.0) })
        }

        /// Which bytes are meant, as a bitmap.
        #[inline(always)]
        pub(super) fn bits(self) -> u32 {
            // SAFETY: SSE2 is there.
            unsafe { _mm_movemask_epi8(self.0) as u32 }
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
mod block {
    /// 16 bytes, or which of them are meant: 0xff.
    #[derive(Clone, Copy)]
    pub(super) struct Block([u8; 16]);

    impl Block {
        #[inline(always)]
        pub(super) fn of(bytes: &[u8; 16]) -> Self {
            Self(*bytes)
        }

        #[inline(always)]
        pub(super) fn equal(self, byte: u8) -> Self {
            Self(self.0.map(|other| if other == byte { 0xff } else { 0 }))
        }

        #[inline(always)]
        pub(super) fn same(self, other: Self) -> Self {
            Self(std::array::from_fn(|i| if self.0[i] == other.0[i] { 0xff } else { 0 }))
        }

        #[inline(always)]
        pub(super) fn below(self, byte: u8) -> Self {
            Self(self.0.map(|other| if other < byte { 0xff } else { 0 }))
        }

        #[inline(always)]
        pub(super) fn minus(self, byte: u8) -> Self {
            Self(self.0.map(|other| other.wrapping_sub(byte)))
        }

        #[inline(always)]
        pub(super) fn or(self, other: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
        }

        /// Which bytes are meant, as a bitmap.
        #[inline(always)]
        pub(super) fn bits(self) -> u32 {
            self.0.iter().enumerate().fold(0, |bits, (i, byte)| bits | u32::from(*byte >> 7) << i)
        }
    }
}

use block::Block;

#[cfg(test)]
mod tests {
    #[test]
    fn a_byte_is_found_wherever_the_stretch_begins_and_ends() {
        for length in [0, 5, 15, 16, 17, 40, 80, 150] {
            let data: Vec<u8> = (0..length).map(|i| if i % 7 == 3 { b'x' } else { b'.' }).collect();
            for at in 0..=data.len() {
                for to in at..=data.len() {
                    let expected = data[at..to].iter().position(|byte| *byte == b'x').map_or(to, |i| at + i);
                    assert_eq!(super::find(&data, at, to, b'x'), expected, "{at}..{to} of {length}");
                    assert_eq!(super::find_either(&data, at, to, *b"!x"), expected, "{at}..{to} of {length}");
                    for byte in *b"\"\\\n\x1f\0" {
                        let data: Vec<u8> = data
                            .iter()
                            .map(|other| if *other == b'x' { byte } else { 0x20 + (*other & 1) })
                            .collect();
                        assert_eq!(super::find_special(&data, at, to), expected, "{at}..{to} of {length}");
                    }
                }
            }
        }
    }
}
