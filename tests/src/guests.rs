//! Filters that are not written in Rust: the contract must never become Rust's alone. `build.rs` builds
//! them.

use std::path::PathBuf;

/// The filter of `guests/c/filter.c` as a component.
///
/// It reads the column `message` and goes by its text: see the head of the source file for the words that
/// make it drop, reject, trap, spin, hog memory or answer nonsense.
#[track_caller]
pub fn c_filter() -> PathBuf {
    let path = env!("FLITCH_C_FILTER");
    assert!(!path.is_empty(), "clang-19, lld-19 and wasi-libc are needed: run `make setup`");
    PathBuf::from(path)
}
