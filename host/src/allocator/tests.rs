use std::alloc::{GlobalAlloc, Layout};
use std::collections::{BTreeMap, HashSet};

use super::{Allocator, COMMON};

/// A block that is held, with the byte that all of it has.
struct Held {
    bytes: *mut u8,
    layout: Layout,
    byte: u8,
}

impl Held {
    fn slice(&mut self) -> &mut [u8] {
        // SAFETY: the block is held, and has these bytes.
        unsafe { std::slice::from_raw_parts_mut(self.bytes, self.layout.size()) }
    }

    #[track_caller]
    fn look(&mut self) {
        assert_eq!(self.bytes.addr() % self.layout.align(), 0, "{:?}", self.layout);
        let byte = self.byte;
        assert!(self.slice().iter().all(|&held| held == byte), "{:?}", self.layout);
    }
}

#[test]
fn blocks_of_every_alignment_keep_what_is_in_them_until_they_are_freed() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut held: BTreeMap<u32, Held> = BTreeMap::new();
    for number in 0..20_000u32 {
        let most = 1 << random.u32(1..16);
        let size = random.usize(1..=most);
        let layout = Layout::from_size_align(size, 1 << random.u32(..13)).unwrap();
        let mut block = match random.u8(..4) {
            0 => {
                // SAFETY: the layout is not empty.
                let bytes = unsafe { Allocator.alloc_zeroed(layout) };
                let mut block = Held { bytes, layout, byte: 0 };
                block.look();
                block
            }
            1 => match held.pop_first() {
                Some((_, mut old)) => {
                    old.look();
                    let kept = old.layout.size().min(size);
                    let layout = Layout::from_size_align(size, old.layout.align()).unwrap();
                    // SAFETY: the block is held, with that layout, and the new size is not 0.
                    let bytes = unsafe { Allocator.realloc(old.bytes, old.layout, size) };
                    let mut block = Held { bytes, layout, byte: old.byte };
                    assert!(block.slice()[..kept].iter().all(|&held| held == old.byte), "{layout:?}");
                    block
                }
                None => continue,
            },
            // SAFETY: the layout is not empty.
            _ => Held { bytes: unsafe { Allocator.alloc(layout) }, layout, byte: 0 },
        };
        block.byte = random.u8(..);
        let byte = block.byte;
        block.slice().fill(byte);
        held.insert(random.u32(..).wrapping_add(number), block).iter_mut().for_each(free);
        if held.len() > 200 {
            free(&mut held.pop_first().unwrap().1);
        }
    }
    held.values_mut().for_each(free);
}

fn free(block: &mut Held) {
    block.look();
    // SAFETY: it is held, with that layout, and nobody looks at it again.
    unsafe { Allocator.dealloc(block.bytes, block.layout) };
}

#[test]
fn a_block_that_no_memory_has_room_for_is_none_and_the_old_one_stays() {
    let large = Layout::from_size_align(isize::MAX as usize - 63, 64).unwrap();
    // SAFETY: the layouts are not empty, and the block is used as it was made.
    unsafe {
        assert!(Allocator.alloc(large).is_null());
        assert!(Allocator.alloc_zeroed(large).is_null());
        let layout = Layout::from_size_align(64, 64).unwrap();
        let bytes = Allocator.alloc(layout);
        bytes.write_bytes(5, 64);
        assert!(Allocator.realloc(bytes, layout, large.size()).is_null());
        free(&mut Held { bytes, layout, byte: 5 });
    }
}

#[test]
fn a_block_with_an_alignment_comes_again_once_it_is_freed() {
    // As an object after the other is compressed, of each of which something small stays.
    let sizes = [5_952, 65_600, 131_136, 65_600].map(|size| Layout::from_size_align(size, 64).unwrap());
    let mut places = HashSet::new();
    let mut stay = Vec::new();
    for round in 0..3_000 {
        // SAFETY: the layouts are not empty, and each block is freed once, as it was made.
        unsafe {
            let blocks = sizes.map(|layout| Allocator.alloc(layout));
            places.extend(blocks);
            stay.push(vec![0u8; 3 * COMMON + round % 500].into_boxed_slice());
            std::iter::zip(blocks, sizes).for_each(|(block, layout)| Allocator.dealloc(block, layout));
        }
    }
    assert!(places.len() < 50, "{} places for the same blocks {} times", places.len(), stay.len());
}
