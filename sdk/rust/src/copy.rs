//! Appending short pieces to a blob, and comparing them.

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
    // SAFETY: `reserve` made room for `len` bytes past `at`; every read lies inside `src` and
    // every write inside that room, since each branch knows that `len` is at least what it
    // copies at once. The bytes up to `at + len` are initialised by then.
    unsafe {
        let from = src.as_ptr();
        let to = dst.as_mut_ptr().add(at);
        match len {
            0 => {}
            1..4 => {
                *to = *from;
                *to.add(len / 2) = *from.add(len / 2);
                *to.add(len - 1) = *from.add(len - 1);
            }
            4..8 => ends::<[u8; 4]>(from, to, len),
            8..16 => ends::<[u8; 8]>(from, to, len),
            _ => {
                let mut done = 0;
                while done + 32 < len {
                    to.add(done)
                        .cast::<[u8; 16]>()
                        .write_unaligned(from.add(done).cast::<[u8; 16]>().read_unaligned());
                    done += 16;
                }
                ends::<[u8; 16]>(from.add(done), to.add(done), len - done);
            }
        }
        dst.set_len(at + len);
    }
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
