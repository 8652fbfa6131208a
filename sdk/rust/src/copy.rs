//! Appending short pieces to a blob, and comparing them.

use crate::parse::{Dash, NOWHERE, Span};

/// Longer pieces are left to `memcpy`.
const LONG: usize = 256;

/// Appends `src` to `dst`.
///
/// Log fields are short, and a call to `memcpy` (in WebAssembly `memory.copy`, which leaves the
/// compiled code for the runtime) costs more than the bytes do. So short pieces are copied by
/// loads of a fixed size, of which the last may overlap the one before, and stay inside both
/// slices.
#[inline]
pub(crate) fn append(dst: &mut Vec<u8>, src: &[u8]) {
    let len = src.len();
    if len > LONG {
        dst.extend_from_slice(src);
        return;
    }
    dst.reserve(len);
    let at = dst.len();
    // SAFETY: `reserve` made room for `len` bytes past `at`, which are initialised by then.
    unsafe {
        exactly(src, dst.as_mut_ptr().add(at));
        dst.set_len(at + len);
    }
}

/// A text of its own, as short as a name is mostly.
#[inline(never)]
pub(crate) fn owned(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    append(&mut bytes, text.as_bytes());
    // SAFETY: they are those of a text.
    unsafe { String::from_utf8_unchecked(bytes) }
}

/// Copies what `src` has, and writes to nothing else.
///
/// # Safety
/// `to` must have room for it.
#[inline]
unsafe fn exactly(src: &[u8], to: *mut u8) {
    let (len, from) = (src.len(), src.as_ptr());
    // SAFETY: every read lies inside `src` and every write inside the room that the caller has, since each branch knows that
    // `len` is at least what it copies at once.
    unsafe {
        match len {
            0 => {}
            1..4 => {
                *to = *from;
                *to.add(len / 2) = *from.add(len / 2);
                *to.add(len - 1) = *from.add(len - 1);
            }
            4..8 => ends::<[u8; 4]>(from, to, len),
            8..16 => ends::<[u8; 8]>(from, to, len),
            16..=LONG => {
                let mut done = 0;
                while done + 32 < len {
                    piece(from.add(done), to.add(done));
                    done += 16;
                }
                ends::<[u8; 16]>(from.add(done), to.add(done), len - done);
            }
            _ => from.copy_to_nonoverlapping(to, len),
        }
    }
}

/// Stretches of a text: each `step`th of `spans`, from the one at `first` on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretches<'a> {
    pub(crate) spans: &'a [Span],
    pub(crate) first: usize,
    pub(crate) step: usize,
}

impl Stretches<'_> {
    pub(crate) fn len(self) -> usize {
        (self.spans.len() - self.first).div_ceil(self.step)
    }

    #[inline]
    pub(crate) fn iter(self) -> impl Iterator<Item = Span> {
        let mut place = self.first;
        std::iter::from_fn(move || {
            let span = self.spans.get(place).copied();
            place += self.step;
            span
        })
    }
}

/// Appends stretches of `data` to `dst`, and where each of them ends to `ends`. One that lies nowhere is empty, and so is one
/// that is only `-` where `dash` says that this is nothing. Answers how many are nothing.
///
/// As many bytes are copied at once as most fields have, and what was too much is written over by the next one. A blob without
/// room gets it for these alone.
///
/// # Panics
/// When a stretch does not lie in `data`.
pub(crate) fn gather(
    dst: &mut Vec<u8>,
    ends: &mut Vec<u32>,
    data: &[u8],
    stretches: Stretches<'_>,
    dash: Dash,
) -> usize {
    if dst.capacity() == 0 {
        *dst = Vec::with_capacity(stretches.iter().map(|(from, to)| to.wrapping_sub(from)).sum());
    }
    match ends.capacity() {
        0 => *ends = Vec::with_capacity(stretches.len()),
        _ => ends.reserve(stretches.len()),
    }
    let (mut nothing, mut rows) = (0, ends.len());
    // From where on no 16 bytes are left.
    let last = (data.len() + 1).saturating_sub(16);
    for (from, to) in stretches.iter() {
        if from > to || to > data.len() || (to - from == 1 && is_dash(data, from, dash)) {
            let lies_somewhere = from <= to && (to <= data.len() || (from, to) == NOWHERE);
            assert!(lies_somewhere, "a stretch that lies outside of its text");
            nothing += 1;
        } else {
            let (len, end) = (to - from, dst.len());
            if dst.capacity() - end < len {
                dst.reserve(len);
            }
            let room = dst.capacity() - end;
            // SAFETY: there is room for the stretch, and for what is written behind it, and what is read lies in `data`.
            unsafe {
                let at = dst.as_mut_ptr().add(end);
                if len <= 16 && from < last && room >= 16 {
                    piece(data.as_ptr().add(from), at);
                } else if len > 0 {
                    stretch(data.as_ptr().add(from), len, at, room.min(data.len() - from));
                }
                dst.set_len(end + len);
            }
        }
        // SAFETY: they have room for all stretches.
        unsafe { ends.as_mut_ptr().add(rows).write(dst.len() as u32) };
        rows += 1;
    }
    // SAFETY: they are written.
    unsafe { ends.set_len(rows) };
    nothing
}

/// Whether a stretch is nothing: it lies nowhere, or is only `-` where `dash` says so.
#[inline]
pub(crate) fn is_nothing(data: &[u8], span: Span, dash: Dash) -> bool {
    span == NOWHERE || (span.1.wrapping_sub(span.0) == 1 && is_dash(data, span.0, dash))
}

/// Whether the byte stands for nothing.
#[inline(always)]
fn is_dash(data: &[u8], at: usize, dash: Dash) -> bool {
    data[at] == b'-' && dash == Dash::Absent
}

/// Copies `len` bytes, and what is behind them up to `room`. By itself, so that the loop that fills a column with short fields
/// stays small.
///
/// # Safety
/// `room` bytes, which are as many at least, must be readable at `from` and writable at `to`.
#[inline(never)]
unsafe fn stretch(from: *const u8, len: usize, to: *mut u8, room: usize) {
    // SAFETY: the caller's.
    unsafe {
        if len <= LONG && len.next_multiple_of(32) <= room {
            let mut done = 0;
            while done < len {
                piece(from.add(done), to.add(done));
                piece(from.add(done + 16), to.add(done + 16));
                done += 32;
            }
        } else {
            exactly(std::slice::from_raw_parts(from, len), to);
        }
    }
}

/// Copies 16 bytes.
///
/// # Safety
/// They must be readable at `from` and writable at `to`.
#[inline(always)]
unsafe fn piece(from: *const u8, to: *mut u8) {
    // SAFETY: the caller's; the accesses are unaligned ones.
    unsafe { to.cast::<[u8; 16]>().write_unaligned(from.cast::<[u8; 16]>().read_unaligned()) }
}

/// Copies the first and the last `size_of::<T>()` of `len` bytes.
///
/// # Safety
/// `len` bytes must be readable at `from` and writable at `to`, with
/// `size_of::<T>() <= len <= 2 * size_of::<T>()` for all of them to be copied.
#[inline(always)]
unsafe fn ends<T: Copy>(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's; `T` is an array of bytes, and the accesses are unaligned ones.
    unsafe {
        let last = len - size_of::<T>();
        let (a, b) = (from.cast::<T>().read_unaligned(), from.add(last).cast::<T>().read_unaligned());
        to.cast::<T>().write_unaligned(a);
        to.add(last).cast::<T>().write_unaligned(b);
    }
}

/// Whether two pieces are the same. For what is short, as names of fields are; `memcmp` looks at one byte after the other in
/// WebAssembly.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let len = a.len();
    if len != b.len() {
        return false;
    }
    // SAFETY: both have `len` bytes, and each branch knows that `len` is at least what it reads at once.
    unsafe {
        let (a, b) = (a.as_ptr(), b.as_ptr());
        match len {
            0 => true,
            1..4 => *a == *b && *a.add(len / 2) == *b.add(len / 2) && *a.add(len - 1) == *b.add(len - 1),
            4..8 => are_same::<u32>(a, b, 0) && are_same::<u32>(a, b, len - 4),
            _ => {
                let mut done = 0;
                while done + 8 < len {
                    if !are_same::<u64>(a, b, done) {
                        return false;
                    }
                    done += 8;
                }
                are_same::<u64>(a, b, len - 8)
            }
        }
    }
}

/// Whether the `size_of::<T>()` bytes at `at` are the same.
///
/// # Safety
/// They must be readable in both.
#[inline(always)]
unsafe fn are_same<T: Copy + PartialEq>(a: *const u8, b: *const u8, at: usize) -> bool {
    // SAFETY: the caller's; the accesses are unaligned ones.
    unsafe { a.add(at).cast::<T>().read_unaligned() == b.add(at).cast::<T>().read_unaligned() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn pieces_are_the_same_to_the_last_byte() {
        let source: Vec<u8> = (0..40).map(|i| (i % 251) as u8).collect();
        for len in 0..=source.len() {
            assert!(super::same(&source[..len], &source.clone()[..len]));
            for place in 0..len {
                let mut other = source[..len].to_vec();
                other[place] ^= 0x80;
                assert!(!super::same(&source[..len], &other), "byte {place} of {len}");
            }
        }
        assert!(!super::same(&source[..7], &source[..8]));
    }

    #[test]
    fn pieces_of_every_length_arrive_whole() {
        let source: Vec<u8> = (0..300).map(|i| (i % 251) as u8).collect();
        let mut dst = vec![7, 7];
        let mut expected = dst.clone();
        for len in 0..=source.len() {
            super::append(&mut dst, &source[..len]);
            expected.extend_from_slice(&source[..len]);
            assert_eq!(dst, expected, "length {len}");
        }
    }
}
