//! The allocator of a component.
//!
//! An answer is some dozens of pieces of memory, taken and given back with each batch, and for a batch of a few rows they
//! are most of the work. `dlmalloc`, which Rust brings along for WebAssembly, looks for a place for each of them and joins it
//! with its neighbours afterwards. So small pieces that are given back are kept by their size, and given out again as they
//! are.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;

/// Sizes are rounded up to a multiple of this.
const STEP: usize = 16;
/// The largest pieces that are kept.
const LARGEST: usize = 1024;
/// Most bytes that are kept.
const MOST: usize = 128 << 10;
/// How pieces are aligned, whatever they are for.
const ALIGN: usize = 8;

/// Keeps small pieces of memory that are free, and leaves all others to [`System`].
#[derive(Debug)]
pub struct Allocator(UnsafeCell<Free>);

// SAFETY: a component has one thread, and no interrupts.
unsafe impl Sync for Allocator {}

/// The pieces that are free.
#[derive(Debug)]
struct Free {
    /// Of each size the first one, in which the address of the next one stands.
    first: [*mut Piece; LARGEST / STEP],
    /// How many bytes they have together.
    bytes: usize,
}

#[derive(Debug)]
struct Piece {
    next: *mut Piece,
}

/// Which size a piece has, counted in [`STEP`]s from zero; none where it is not kept.
#[inline(always)]
fn size_class(layout: Layout) -> Option<usize> {
    (layout.size().wrapping_sub(1) < LARGEST && layout.align() <= ALIGN).then(|| (layout.size() - 1) / STEP)
}

/// What is asked of [`System`] for a piece of this size.
#[inline(always)]
fn whole(size: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and the size small.
    unsafe { Layout::from_size_align_unchecked((size + 1) * STEP, ALIGN) }
}

impl Allocator {
    /// One that keeps nothing yet.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(Free { first: [ptr::null_mut(); LARGEST / STEP], bytes: 0 }))
    }
}

// SAFETY: a piece is either in use or among the free ones of its size, which have at least as many bytes as are asked for and
// are aligned for all that asks for no more than `ALIGN`. All else is `System`'s.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: nobody else looks at the free pieces meanwhile, and what their list leads to is one of them.
        unsafe {
            let Some(size) = size_class(layout) else { return System.alloc(layout) };
            let free = &mut *self.0.get();
            let piece = free.first[size];
            if piece.is_null() {
                return System.alloc(whole(size));
            }
            free.first[size] = (*piece).next;
            free.bytes -= (size + 1) * STEP;
            piece.cast()
        }
    }

    #[inline]
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above; the piece is no longer in use, and large and aligned enough for an address.
        unsafe {
            let Some(size) = size_class(layout) else { return System.dealloc(place, layout) };
            let free = &mut *self.0.get();
            if free.bytes + (size + 1) * STEP > MOST {
                return System.dealloc(place, whole(size));
            }
            let piece = place.cast::<Piece>();
            (*piece).next = free.first[size];
            free.first[size] = piece;
            free.bytes += (size + 1) * STEP;
        }
    }

    #[inline]
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that the new size is not zero and, rounded up, no overflow; the copy is of bytes that both
        // pieces have.
        unsafe {
            let asked = Layout::from_size_align_unchecked(size, layout.align());
            match (size_class(layout), size_class(asked)) {
                (Some(old), Some(new)) if old == new => place,
                (None, None) => System.realloc(place, layout, size),
                _ => {
                    let other = self.alloc(asked);
                    if !other.is_null() {
                        ptr::copy_nonoverlapping(place, other, layout.size().min(size));
                        self.dealloc(place, layout);
                    }
                    other
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_all_sizes_keep_what_is_written_to_them() {
        let allocator = Allocator::new();
        let mut random = 1u32;
        let mut next = |below: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % below
        };
        let mut pieces: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let holds = |(place, layout, byte): &(*mut u8, Layout, u8)| {
            // SAFETY: it is in use, and was written to.
            let bytes = unsafe { std::slice::from_raw_parts(*place, layout.size()) };
            bytes.iter().all(|other| other == byte)
        };
        for round in 0..20_000 {
            let fill = |place: *mut u8, from: usize, to: usize, byte: u8| {
                // SAFETY: the piece has that many bytes.
                unsafe { ptr::write_bytes(place.add(from), byte, to - from) };
            };
            // SAFETY: sizes are not zero, and each piece is given back once with its own layout.
            unsafe {
                match next(3) {
                    0 if !pieces.is_empty() => {
                        let piece = pieces.swap_remove(next(pieces.len()));
                        assert!(holds(&piece), "round {round}");
                        allocator.dealloc(piece.0, piece.1);
                    }
                    1 if !pieces.is_empty() => {
                        let place = next(pieces.len());
                        let (old, layout, byte) = pieces[place];
                        let size = 1 + next(2 * LARGEST);
                        let new = allocator.realloc(old, layout, size);
                        let layout = Layout::from_size_align(size, layout.align()).expect("a layout");
                        fill(new, pieces[place].1.size().min(size), size, byte);
                        pieces[place] = (new, layout, byte);
                        assert!(holds(&pieces[place]), "round {round}");
                    }
                    _ => {
                        let layout =
                            Layout::from_size_align(1 + next(2 * LARGEST), 1 << next(6)).expect("a layout");
                        let place = allocator.alloc(layout);
                        assert_eq!(place.addr() % layout.align(), 0);
                        fill(place, 0, layout.size(), round as u8);
                        pieces.push((place, layout, round as u8));
                    }
                }
            }
        }
        assert!(pieces.iter().all(holds));
        for (place, layout, _) in pieces {
            // SAFETY: as above.
            unsafe { allocator.dealloc(place, layout) };
        }
        // SAFETY: nobody else has it.
        let free = unsafe { &*allocator.0.get() };
        assert!(free.bytes > 0 && free.bytes <= MOST);
    }
}
