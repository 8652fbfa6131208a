//! Builds the guests that are not written in Rust into components.
//!
//! It is done here and not when a test runs, because the packer is then a dependency of a build script,
//! whose features stay apart from those of the daemon. Where the compiler is missing, everything builds
//! all the same, and the tests that want the guest say what to install.

use std::path::{Path, PathBuf};
use std::process::Command;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CONTRACT: &str = "../wit/filter.wit";
const FOLDER: &str = "guests/c";

fn main() -> Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for input in [CONTRACT, FOLDER, "build.rs"] {
        println!("cargo::rerun-if-changed={input}");
    }
    println!("cargo::rerun-if-env-changed=PATH");
    if Command::new("clang-19").arg("--version").output().is_err() {
        println!("cargo::warning=clang-19 is missing: the filter in C is not built (see `make setup`)");
        println!("cargo::rustc-env=FLITCH_C_FILTER=");
        return Ok(());
    }
    let mut core = std::fs::read(compile(Path::new(FOLDER), &out)?)?;
    let mut resolve = Resolve::default();
    let package = resolve.push_file(CONTRACT)?;
    let world = resolve.select_world(&[package], Some("plugin"))?;
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false)?;
    let component = ComponentEncoder::default().validate(true).module(&core)?.encode()?;
    let built = out.join("c-filter.wasm");
    std::fs::write(&built, component)?;
    println!("cargo::rustc-env=FLITCH_C_FILTER={}", built.display());
    Ok(())
}

/// Compiles the guest with its bindings into a core module, against Debian's wasi-libc.
fn compile(folder: &Path, out: &Path) -> Result<PathBuf> {
    let core = out.join("core.wasm");
    let output = Command::new("clang-19")
        .args(["--target=wasm32-wasi", "-O2", "-Wall", "-Wextra", "-Werror"])
        .args(["-mexec-model=reactor", "-Wl,--strip-all", "-I"])
        .arg(folder.join("gen"))
        .args([folder.join("filter.c"), folder.join("gen/plugin.c")])
        .arg("-o")
        .arg(&core)
        .output()?;
    if !output.status.success() {
        return Err(format!("clang-19 failed:\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(core)
}
