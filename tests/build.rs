//! Builds the guests of the tests into components: those that are not written in Rust, the SDKs' conformance guests, and the
//! filters of the examples.
//!
//! It is done here and not when a test runs, because the packer is then a dependency of a build script,
//! whose features stay apart from those of the daemon. Where the compiler is missing, everything builds
//! all the same, and the tests that want the guest say what to install.

use std::path::{Path, PathBuf};
use std::process::Command;

use flitch_pack::Wasi;

#[path = "../host/stock/build/guests.rs"]
mod guests;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CONTRACT: &str = "../wit/filter.wit";
const STATE: &str = "../wit/state.wit";
const FOLDER: &str = "guests/c";

/// A filter: the name of its component, the variable with its path, its sources, and what its compiler is told more.
const FILTERS: [(&str, &str, &[&str], &[&str]); 4] = [
    ("c-filter", "FLITCH_C_FILTER", &["filter.c", "hostile.c"], &[]),
    ("wasi-c-filter", "FLITCH_WASI_C_FILTER", &["filter.c", "hostile.c", "wasi.c"], &["-DWASI"]),
    ("generation-filter", "FLITCH_GENERATION_FILTER", &["generation.c"], &[]),
    ("stateful-c-filter", "FLITCH_STATEFUL_C_FILTER", &["filter.c", "hostile.c", "state.c"], &["-DSTATE"]),
];

fn main() -> Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for input in [CONTRACT, STATE, FOLDER, "build.rs", "../host/stock/build"] {
        println!("cargo::rerun-if-changed={input}");
    }
    rust_guests()?;
    campaign()?;
    println!("cargo::rerun-if-env-changed=PATH");
    let missing = Command::new("clang-19").arg("--version").output().is_err();
    if missing {
        println!("cargo::warning=clang-19 is missing: the filters in C are not built (see `make setup`)");
    }
    c_guests(&out, missing)?;
    go_guests(&out)?;
    for (name, variable, sources, more) in FILTERS {
        let built = out.join(name).with_extension("wasm");
        if !missing {
            std::fs::write(&built, pack(&compile(Path::new(FOLDER), sources, more, &out)?, Wasi::Host)?)?;
        }
        println!("cargo::rustc-env={variable}={}", if missing { "".into() } else { built.to_string_lossy() });
    }
    Ok(())
}

/// What the guests of the Rust SDK are made of.
const RUST: [&str; 9] = [
    "../Cargo.toml",
    "../Cargo.lock",
    "../model/src",
    "../model/Cargo.toml",
    "../sdk/rust/src",
    "../sdk/rust/wit",
    "../sdk/rust/Cargo.toml",
    "../sdk/rust/conformance",
    "../sdk/rust/example",
];

/// Builds the guests of the Rust SDK as the SDK's tutorial says: for `wasm32-wasip2`, which makes components.
fn rust_guests() -> Result<()> {
    RUST.iter().for_each(|input| println!("cargo::rerun-if-changed={input}"));
    for (package, variable) in
        [("flitch-conformance", "FLITCH_RUST_CONFORMANCE"), ("flitch-example-pairs", "FLITCH_RUST_EXAMPLE")]
    {
        let built = guests::compile(Path::new(".."), package, "wasm32-wasip2", "conformance", &[])?;
        let built = built.join(package.replace('-', "_")).with_extension("wasm");
        println!("cargo::rustc-env={variable}={}", built.display());
    }
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

/// What is built with the SDKs in C and Go, which need no tool but a compiler.
const GUESTS: [&str; 2] = ["conformance", "example"];

/// Builds the guests of the C SDK, with the flags that the SDK's README names.
fn c_guests(out: &Path, missing: bool) -> Result<()> {
    let mut library = Vec::new();
    for input in ["../sdk/c/include", "../sdk/c/src"] {
        println!("cargo::rerun-if-changed={input}");
    }
    for entry in std::fs::read_dir("../sdk/c/src")? {
        library.push(entry?.path());
    }
    library.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    let flags = [
        "-O2",
        "-flto",
        "-Wl,--stack-first",
        "-Wl,-z,stack-size=131072",
        "-std=gnu11",
        "-I",
        "../sdk/c/include",
    ];
    for what in GUESTS {
        println!("cargo::rerun-if-changed=../sdk/c/{what}");
        let core = out.join(format!("c-{what}.core.wasm"));
        let mut sources = library.clone();
        sources.push(format!("../sdk/c/{what}/filter.c").into());
        if !missing {
            clang(&flags, &sources, &core)?;
        }
        guest("C", what, &core, missing, Wasi::Host)?;
    }
    Ok(())
}

/// Builds the guests of the Go SDK, as its README says.
fn go_guests(out: &Path) -> Result<()> {
    println!("cargo::rerun-if-changed=../sdk/go");
    let go = go();
    if go.is_none() {
        println!(
            "cargo::warning=no Go from 1.24 on is here: no filter in Go is built (see `make setup-sdk LANG=go`)"
        );
    }
    for what in GUESTS {
        let core = out.join(format!("go-{what}.core.wasm"));
        if let Some(go) = &go {
            let mut go = Command::new(go);
            go.current_dir("../sdk/go").envs([("GOOS", "wasip1"), ("GOARCH", "wasm")]);
            go.args(["build", "-buildmode=c-shared", "-ldflags=-s -w", "-o"]);
            let output = go.arg(&core).arg(format!("./{what}")).output()?;
            if !output.status.success() {
                return Err(format!("go failed:\n{}", String::from_utf8_lossy(&output.stderr)).into());
            }
        }
        // Go's collector asks for the time while its host hands it memory, where nothing may be asked of the host.
        guest("GO", what, &core, go.is_none(), Wasi::Stub)?;
    }
    Ok(())
}

/// The command of a Go that can build the guests: the one that `scripts/setup-sdk.sh` has fetched, or that of the machine.
fn go() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = folder("FLITCH_CACHE").or_else(|| {
        Some(folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?.join("flitch"))
    });
    let fetched = cache.map(|cache| cache.join("sdk/bin/go")).filter(|go| go.exists());
    let go = fetched.unwrap_or_else(|| "go".into());
    let said = Command::new(&go).args(["env", "GOVERSION"]).current_dir("../sdk/go").output().ok()?;
    let version = String::from_utf8(said.stdout).ok()?;
    let minor: u32 =
        version.trim().strip_prefix("go1.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    (minor >= 24).then_some(go)
}

/// Packs a guest, and tells the tests where it is: nowhere, if its compiler is missing.
fn guest(language: &str, what: &str, core: &Path, missing: bool, wasi: Wasi) -> Result<()> {
    let built = core.with_extension("").with_extension("wasm");
    if !missing {
        std::fs::write(&built, pack(core, wasi)?)?;
    }
    let shown = if missing { "".into() } else { built.to_string_lossy() };
    println!("cargo::rustc-env=FLITCH_{language}_{}={shown}", what.to_uppercase());
    Ok(())
}

/// Makes a component of a core module.
fn pack(core: &Path, wasi: Wasi) -> Result<Vec<u8>> {
    Ok(flitch_pack::pack(&std::fs::read(core)?, wasi)?)
}

/// Compiles the guest with its bindings into a core module.
fn compile(folder: &Path, sources: &[&str], more: &[&str], out: &Path) -> Result<PathBuf> {
    let include = folder.join("gen").to_string_lossy().into_owned();
    let mut flags = vec!["-O2", "-I", &include];
    flags.extend(more);
    let sources: Vec<PathBuf> =
        sources.iter().chain(&["gen/plugin.c"]).map(|name| folder.join(name)).collect();
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
