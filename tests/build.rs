//! Builds the guests of the tests into components: those that are not written in Rust, the SDKs' conformance guests, and the
//! filters of the examples.
//!
//! It is done here and not when a test runs, because the packer is then a dependency of a build script,
//! whose features stay apart from those of the daemon. Where the compiler is missing, everything builds
//! all the same, and the tests that want the guest say what to install.

use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../host/stock/build/guests.rs"]
mod guests;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CONTRACT: &str = "../wit/filter.wit";
const FOLDER: &str = "guests/c";

/// A filter: the name of its component, the variable with its path, and what its compiler is told more.
const FILTERS: [(&str, &str, &[&str]); 2] = [
    ("c-filter", "FLITCH_C_FILTER", &[]),
    ("wasi-c-filter", "FLITCH_WASI_C_FILTER", &["-DWASI", "guests/c/wasi.c"]),
];

fn main() -> Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for input in [CONTRACT, FOLDER, "build.rs", "../host/stock/build"] {
        println!("cargo::rerun-if-changed={input}");
    }
    rust_conformance()?;
    campaign()?;
    println!("cargo::rerun-if-env-changed=PATH");
    let missing = Command::new("clang-19").arg("--version").output().is_err();
    if missing {
        println!("cargo::warning=clang-19 is missing: the filters in C are not built (see `make setup`)");
    }
    c_conformance(&out, missing)?;
    for (name, variable, more) in FILTERS {
        let built = out.join(name).with_extension("wasm");
        if !missing {
            std::fs::write(&built, pack(&compile(Path::new(FOLDER), more, &out)?)?)?;
        }
        println!("cargo::rustc-env={variable}={}", if missing { "".into() } else { built.to_string_lossy() });
    }
    Ok(())
}

/// What the conformance guest of the Rust SDK is made of.
const RUST: [&str; 8] = [
    "../Cargo.toml",
    "../Cargo.lock",
    "../model/src",
    "../model/Cargo.toml",
    "../sdk/rust/src",
    "../sdk/rust/wit",
    "../sdk/rust/Cargo.toml",
    "../sdk/rust/conformance",
];

/// Builds the conformance guest of the Rust SDK as the SDK's tutorial says: for `wasm32-wasip2`, which makes a component.
fn rust_conformance() -> Result<()> {
    RUST.iter().for_each(|input| println!("cargo::rerun-if-changed={input}"));
    let built = guests::compile(Path::new(".."), "flitch-conformance", "wasm32-wasip2", "conformance", &[])?;
    let built = built.join("flitch_conformance.wasm");
    println!("cargo::rustc-env=FLITCH_RUST_CONFORMANCE={}", built.display());
    Ok(())
}

/// Builds the filter of the second example, as its README says.
fn campaign() -> Result<()> {
    println!("cargo::rerun-if-changed=../examples/2-web-events/campaign");
    let built =
        guests::compile(Path::new(".."), "flitch-example-campaign", "wasm32-wasip2", "conformance", &[])?;
    let built = built.join("flitch_example_campaign.wasm");
    println!("cargo::rustc-env=FLITCH_EXAMPLE_CAMPAIGN={}", built.display());
    Ok(())
}

/// Builds the conformance guest of the C SDK, with the flags that the SDK's README names.
fn c_conformance(out: &Path, missing: bool) -> Result<()> {
    let built = out.join("c-conformance.wasm");
    let inputs = ["../sdk/c/include", "../sdk/c/src", "../sdk/c/conformance"];
    inputs.iter().for_each(|input| println!("cargo::rerun-if-changed={input}"));
    if missing {
        println!("cargo::rustc-env=FLITCH_C_CONFORMANCE=");
        return Ok(());
    }
    let entries = std::fs::read_dir("../sdk/c/src")?.map(|entry| Ok(entry?.path()));
    let mut sources: Vec<PathBuf> = entries.collect::<Result<_>>()?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.push("../sdk/c/conformance/filter.c".into());
    let flags = [
        "-O2",
        "-flto",
        "-Wl,--stack-first",
        "-Wl,-z,stack-size=131072",
        "-std=gnu11",
        "-I",
        "../sdk/c/include",
    ];
    std::fs::write(&built, pack(&clang(&flags, &sources, &out.join("c-conformance.core.wasm"))?)?)?;
    println!("cargo::rustc-env=FLITCH_C_CONFORMANCE={}", built.display());
    Ok(())
}

/// Makes a component of a core module.
fn pack(core: &Path) -> Result<Vec<u8>> {
    Ok(flitch_pack::pack(&std::fs::read(core)?, flitch_pack::Wasi::Host)?)
}

/// Compiles the guest with its bindings into a core module.
fn compile(folder: &Path, more: &[&str], out: &Path) -> Result<PathBuf> {
    let include = folder.join("gen").to_string_lossy().into_owned();
    let mut flags = vec!["-O2", "-I", &include];
    flags.extend(more);
    let sources = ["filter.c", "hostile.c", "gen/plugin.c"].map(|name| folder.join(name));
    clang(&flags, &sources, &out.join("core.wasm"))
}

/// Compiles C into a core module, against Debian's wasi-libc.
fn clang(flags: &[&str], sources: &[PathBuf], core: &Path) -> Result<PathBuf> {
    let output = Command::new("clang-19")
        .args(["--target=wasm32-wasi", "-Wall", "-Wextra", "-Werror"])
        .args(["-mexec-model=reactor", "-Wl,--strip-all"])
        .args(flags)
        .args(sources)
        .arg("-o")
        .arg(core)
        .output()?;
    if !output.status.success() {
        return Err(format!("clang-19 failed:\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(core.to_owned())
}
