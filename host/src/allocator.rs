//! The memory of the process: the C library's, asked for in a way in which it finds again what was freed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

#[cfg(test)]
mod tests;

/// Blocks of fewer bytes come from the heap, larger ones from the kernel, to which they go back at once: more than a
/// column of a full batch has.
const FROM_THE_KERNEL: i32 = 4 << 20;
/// So much of the end of a heap stays when it is free. There is one for each few threads.
const KEPT: i32 = 16 << 20;
/// How each block of `malloc` is aligned, whatever it is for.
const COMMON: usize = 16;

/// Has the C library keep some memory that is free. By itself it gives columns back to the kernel batch by batch, and each
/// of the next ones pays for every page again: a fifth of what an HTTP source did.
pub fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes two numbers, and the memory that is in use does not care.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, FROM_THE_KERNEL);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Gives free memory back to the kernel, all that is kept included: to compile a plugin takes tens of megabytes, which nothing else
/// needs for as long as the process runs.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number, and the memory that is in use does not care.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The C library's allocator, which is never asked to align a block: of what is aligned more than others a common block is
/// taken, with room to align it within.
///
/// Before 2.38 glibc looks for such a block where it would fit however it had to be moved, so that it does not find the one
/// of the same size that was freed a moment ago, and the heap grows block by block
/// ([bug 14581](https://sourceware.org/bugzilla/show_bug.cgi?id=14581)). Columns and what gzip needs to compress are aligned
/// by 64 bytes: a process that never held more than 16 MB took a gigabyte.
#[derive(Debug)]
pub struct Allocator;

/// The common block in which there is room for `size` bytes that are aligned by `align`, and for a number before them. None:
/// there is no block as large.
fn around(size: usize, align: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(align)?, COMMON).ok()
}

/// How far behind the begin of a common block its aligned bytes begin: by at least [`COMMON`] bytes, in which the number has
/// room, and by no more than `align`.
fn distance(block: *mut u8, align: usize) -> usize {
    align - block.addr() % align
}

/// The aligned bytes in a common block, with the distance noted down before them.
///
/// # Safety
/// The block is as [`around`] says for this alignment, which is more than [`COMMON`]; or it is null.
unsafe fn within(block: *mut u8, align: usize) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    let distance = distance(block, align);
    // SAFETY: the block has `align` bytes more than are wanted, and before the aligned bytes COMMON or more.
    unsafe {
        let bytes = block.add(distance);
        bytes.cast::<usize>().sub(1).write(distance);
        bytes
    }
}

/// How far before aligned bytes their common block begins.
///
/// # Safety
/// They come from [`within`], and are not freed.
unsafe fn noted(bytes: *mut u8) -> usize {
    // SAFETY: it was written there.
    unsafe { bytes.cast::<usize>().sub(1).read() }
}

// SAFETY: what is aligned no more than all blocks is handed on as it came. Of the rest each is bytes within a block of its own,
// which `within` aligns, and whose begin is found again by what stands before the bytes.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= COMMON {
            // SAFETY: as the caller promises.
            return unsafe { System.alloc(layout) };
        }
        match around(layout.size(), layout.align()) {
            // SAFETY: no block is empty, for there is room for the alignment.
            Some(whole) => unsafe { within(System.alloc(whole), layout.align()) },
            None => ptr::null_mut(),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= COMMON {
            // SAFETY: as the caller promises.
            return unsafe { System.alloc_zeroed(layout) };
        }
        match around(layout.size(), layout.align()) {
            // SAFETY: no block is empty; the distance is written before the bytes that are wanted.
            Some(whole) => unsafe { within(System.alloc_zeroed(whole), layout.align()) },
            None => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        if layout.align() <= COMMON {
            // SAFETY: as the caller promises.
            return unsafe { System.dealloc(bytes, layout) };
        }
        let whole = around(layout.size(), layout.align()).expect("a block that there is");
        // SAFETY: the block begins so far before the bytes, and was made by this layout.
        unsafe { System.dealloc(bytes.sub(noted(bytes)), whole) };
    }

    unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        if align <= COMMON {
            // SAFETY: as the caller promises.
            return unsafe { System.realloc(bytes, layout, size) };
        }
        let Some((whole, larger)) = around(layout.size(), align).zip(around(size, align)) else {
            return ptr::null_mut();
        };
        // SAFETY: the block begins so far before the bytes, and was made by this layout. It has room for `align` bytes beside
        // those that are wanted, before and after, so that they are in it at the old distance as well as at the new one.
        unsafe {
            let before = noted(bytes);
            let block = System.realloc(bytes.sub(before), whole, larger.size());
            let now = match block.is_null() {
                true => return block,
                false => distance(block, align),
            };
            if now != before {
                ptr::copy(block.add(before), block.add(now), layout.size().min(size));
            }
            within(block, align)
        }
    }
}
