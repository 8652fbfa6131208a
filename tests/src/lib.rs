//! What the tests of flitch stand on: real servers on loopback, the daemon itself as a process, guests
//! that misbehave on purpose, and the checks that hold after every fault.
//!
//! This crate does not depend on the `flitch` library, so the host may use it as a dev-dependency. The
//! end-to-end tests lie beside it in `e2e/`; they are a test target of the `flitch` package, because
//! that makes cargo build the daemon they run.
//!
//! Everything started here ends with its value (`Drop`), and also when the test process is killed: the
//! kernel signals the children (see [`process`]).

pub mod accounting;
pub mod attack;
pub mod flitch;
pub mod fluent;
pub mod folder;
pub mod guests;
pub mod http;
pub mod http_server;
pub mod parquet;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod servers;
pub mod skip;
pub mod small_disk;
pub mod tls;
pub mod wait;

use std::path::PathBuf;

/// The root of the repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// Runs a thread beside a test, which joins it.
#[expect(clippy::disallowed_methods, reason = "tests join their threads")]
pub fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::spawn(work)
}

/// Where `scripts/servers.sh` puts servers and clients: `$FLITCH_CACHE`, or `flitch` in the user's
/// cache folder.
pub fn cache() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    from("FLITCH_CACHE").unwrap_or_else(|| {
        from("XDG_CACHE_HOME")
            .unwrap_or_else(|| from("HOME").expect("HOME is set").join(".cache"))
            .join("flitch")
    })
}
