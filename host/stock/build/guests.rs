//! Compiles packages of this workspace to WebAssembly, from a build script: by a cargo inside of cargo. The build script of
//! the tests has this file by its path, since a build script has no module of another's.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the libraries of `package`, a name or a pattern, for `target` with the profile `plugin`, in a target folder
/// called `folder` and with `set` in the environment. Answers where the components are.
///
/// # Errors
/// They do not compile; the text says what cargo said.
pub fn compile(
    root: &Path,
    package: &str,
    target: &str,
    folder: &str,
    set: &[(&str, &OsStr)],
) -> Result<PathBuf, String> {
    // OUT_DIR is <target>/<profile>/build/<package>/out. The inner build has a target folder of its own: that of the
    // outer build is locked while this script runs.
    let out = PathBuf::from(var("OUT_DIR")?);
    let own = out.ancestors().nth(4).ok_or("OUT_DIR lies in a target folder")?.join(folder);
    let mut cargo = Command::new(var("CARGO")?);
    cargo
        .args(["build", "--lib", "--profile", "plugin", "--target", target, "--package", package])
        .arg("--target-dir")
        .arg(&own)
        .current_dir(root)
        .envs(set.iter().copied());
    // What was meant for the outer build: flags of another machine, clippy, coverage.
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_BUILD_RUSTFLAGS",
    ] {
        cargo.env_remove(name);
    }
    let built = cargo.output().map_err(|error| format!("cargo: {error}"))?;
    if !built.status.success() {
        return Err(format!(
            "{package} does not compile; if the target is missing: rustup target add {target}\n{}",
            String::from_utf8_lossy(&built.stderr)
        ));
    }
    Ok(own.join(target).join("plugin"))
}

fn var(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("cargo sets {name}"))
}
