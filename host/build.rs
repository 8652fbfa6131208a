//! Tells `flitch version` what it was built from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let root = PathBuf::from(var("CARGO_MANIFEST_DIR")).join("..");
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());
    versions(&root);
}

/// What `flitch version` says: the version of wasmtime that is locked, and the commit that a release is built from, which
/// `FLITCH_COMMIT` may name.
fn versions(root: &Path) {
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let wasmtime = lock.split("[[package]]").find_map(|package| {
        let rest = package.trim_start().strip_prefix("name = \"wasmtime\"")?;
        rest.trim_start().strip_prefix("version = \"")?.split('"').next()
    });
    println!("cargo::rustc-env=FLITCH_WASMTIME={}", wasmtime.unwrap_or("of no known version"));
    if var("PROFILE") != "release" {
        return;
    }
    let git = |args: &[&str]| {
        let done = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
        let text = String::from_utf8(done.stdout).ok()?.trim().to_owned();
        (done.status.success() && !text.is_empty()).then_some(text)
    };
    println!("cargo::rerun-if-env-changed=FLITCH_COMMIT");
    if let Ok(commit) = env::var("FLITCH_COMMIT") {
        println!("cargo::rustc-env=FLITCH_COMMIT={commit}");
        return;
    }
    if let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) {
        println!("cargo::rustc-env=FLITCH_COMMIT={commit}");
    }
    if let Some(log) = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
