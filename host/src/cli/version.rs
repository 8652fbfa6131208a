//! `flitch version`.

use std::io::Write;

use super::Failure;

/// Prints versions.
pub fn run() -> Result<(), Failure> {
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    let built = match option_env!("FLITCH_COMMIT") {
        Some(commit) => format!("commit {commit}"),
        None if cfg!(debug_assertions) => "debug build".to_owned(),
        None => "no commit known".to_owned(),
    };
    let features = if cfg!(feature = "static") { "static" } else { "none" };
    let text = format!(
        "flitch {} ({built})\nwasmtime {}\nlibrdkafka {librdkafka}\nplugin interface flitch:filter@1.0.0\nfeatures {features}\n",
        env!("CARGO_PKG_VERSION"),
        env!("FLITCH_WASMTIME"),
    );
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
