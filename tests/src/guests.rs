//! Filters that are not written in Rust, since the contract must never become Rust's alone, and the conformance guests of
//! the SDKs. `build.rs` builds them; those whose toolchains come from a registry are built by `scripts/sdk.sh`.

use std::path::{Path, PathBuf};

/// The filter of `guests/c/filter.c` as a component.
///
/// It reads the column `message` and goes by its text: see the head of the source file for the words that
/// make it drop, reject, trap, spin, hog memory or answer nonsense, and that of `guests/c/hostile.c` for those that
/// make it harm its host in other ways.
#[track_caller]
pub fn c_filter() -> PathBuf {
    built(env!("FLITCH_C_FILTER"))
}

/// The same with WASI and the words of `guests/c/wasi.c`, which print, sleep, and read files and variables.
#[track_caller]
pub fn wasi_c_filter() -> PathBuf {
    built(env!("FLITCH_WASI_C_FILTER"))
}

/// A generation of the filter of `guests/c/generation.c`, which writes `{letter}{number:07}` into `generation`; the letter
/// says how it behaves.
#[track_caller]
pub fn generation(letter: char, number: usize) -> Vec<u8> {
    const BEFORE: &[u8] = b"@GENERATION@";
    let mut component =
        std::fs::read(built(env!("FLITCH_GENERATION_FILTER"))).expect("a built filter can be read");
    let at = component.windows(BEFORE.len()).position(|bytes| bytes == BEFORE).expect("it has its mark");
    let at = at + BEFORE.len();
    component[at..at + 8].copy_from_slice(format!("{letter}{number:07}").as_bytes());
    component
}

/// The same with a state, which the words of `guests/c/state.c` set, ask for, and spoil.
#[track_caller]
pub fn stateful_c_filter() -> PathBuf {
    built(env!("FLITCH_STATEFUL_C_FILTER"))
}

/// The conformance guest of the Rust SDK, `sdk/rust/conformance`, as a component for `wasm32-wasip2`.
pub fn rust_conformance() -> PathBuf {
    PathBuf::from(env!("FLITCH_RUST_CONFORMANCE"))
}

/// What was built with the SDK of a language: its `conformance` guest, or its `example`. Those in C and Go import no WASI.
#[track_caller]
pub fn of_sdk(language: &str, what: &str) -> PathBuf {
    let built = match (language, what) {
        ("rust", "conformance") => env!("FLITCH_RUST_CONFORMANCE"),
        ("rust", "example") => env!("FLITCH_RUST_EXAMPLE"),
        ("c", "conformance") => env!("FLITCH_C_CONFORMANCE"),
        ("c", "example") => env!("FLITCH_C_EXAMPLE"),
        ("go", "conformance") => env!("FLITCH_GO_CONFORMANCE"),
        ("go", "example") => env!("FLITCH_GO_EXAMPLE"),
        _ => return of_registry(language, what),
    };
    assert!(
        !built.is_empty(),
        "the compiler is missing: run `make setup-sdk LANG={language}`, and build again"
    );
    PathBuf::from(built)
}

/// What `scripts/sdk.sh` has built.
#[track_caller]
fn of_registry(language: &str, what: &str) -> PathBuf {
    let built =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/sdk").join(format!("{language}-{what}.wasm"));
    assert!(built.exists(), "{} is missing: run `scripts/sdk.sh build {language}`", built.display());
    built
}

/// The filter of `examples/2-web-events`.
pub fn campaign() -> PathBuf {
    PathBuf::from(env!("FLITCH_EXAMPLE_CAMPAIGN"))
}

#[track_caller]
fn built(path: &str) -> PathBuf {
    assert!(!path.is_empty(), "clang-19, lld-19 and wasi-libc are needed: run `make setup`");
    PathBuf::from(path)
}
