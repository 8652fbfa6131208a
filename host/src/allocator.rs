//! What the allocator keeps of memory that is free.

/// Blocks of fewer bytes come from the heap, larger ones from the kernel, to which they go back at once: more than a
/// column of a full batch has.
const FROM_THE_KERNEL: i32 = 4 << 20;
/// So much of the end of a heap stays when it is free. There is one for each few threads.
const KEPT: i32 = 16 << 20;

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
