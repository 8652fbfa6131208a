//! Compiles the stock filters under `plugins/` to WebAssembly components and embeds them, and the SDKs beside them.
//!
//! Every folder of `plugins/` with a `Cargo.toml` is one filter, under the folder's name; its
//! package is `flitch-plugin-<name>`. They are compiled for `wasm32-unknown-unknown`, where the
//! standard library imports nothing, and linked by the `wasm-component-ld` that comes with Rust:
//! so a stock filter needs no WASI.
//!
//! Those of [`APART`] are compiled by a script, `make NAME`, which leaves them in `target/stock`. A binary that is built
//! without is a binary without them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

#[path = "build/guests.rs"]
mod guests;
#[path = "build/sdks.rs"]
mod sdks;

const TARGET: &str = "wasm32-unknown-unknown";

/// Filters of so many crates that no plain build should have to compile them. They need WASI.
const APART: [&str; 1] = ["vrl"];

/// Filters that hold most of what the others have in common: the SDK, and the regex engine.
const DICTIONARY: [&str; 2] = ["dissect", "regex"];

fn main() {
    let root = PathBuf::from(var("CARGO_MANIFEST_DIR")).join("../..");
    let out = PathBuf::from(var("OUT_DIR"));
    let names = plugins(&root.join("plugins"));
    rerun_if_changed(&root, &names);
    let inputs = sdks::embed(&root, &out).unwrap_or_else(|error| panic!("the SDKs: {error}"));
    inputs.iter().for_each(|path| println!("cargo::rerun-if-changed={}", path.display()));

    let set = [
        ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker().into_os_string()),
        ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-C target-feature=+simd128,+bulk-memory".into()),
    ];
    let set: Vec<_> = set.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
    let components = guests::compile(&root, "flitch-plugin-*", TARGET, "plugins", &set);
    let components = components.unwrap_or_else(|error| panic!("{error}"));

    let apart = root.join("target/stock");
    fs::create_dir_all(&apart).unwrap_or_else(|error| panic!("{}: {error}", apart.display()));
    println!("cargo::rerun-if-changed={}", apart.display());
    let of = |name: &str| match APART.contains(&name) {
        true => apart.join(format!("{name}.wasm")),
        false => components.join(format!("flitch_plugin_{}.wasm", name.replace('-', "_"))),
    };

    let dictionary: Vec<u8> = DICTIONARY.into_iter().flat_map(|name| read(&of(name))).collect();
    let mut pack = Packer::new(&out, &dictionary);
    let mut statics = String::new();
    let mut table = String::from(
        "/// The stock filters: name, component (zstd with the dictionary), and README.\npub static STOCK: &[(&str, &[u8], &str)] = &[\n",
    );
    for name in &names {
        let built = of(name);
        if APART.contains(&name.as_str()) && !built.exists() {
            continue;
        }
        let kept = pack.component(name, &read(&built));
        let readme = root.join("plugins").join(name).join("README.md");
        let readme = readme.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", readme.display()));
        let symbol = name.to_uppercase().replace('-', "_");
        statics.push_str(&embedded(&symbol, &format!("The component of `{name}`, packed."), &kept));
        table.push_str(&format!("    ({name:?}, &{symbol}, include_str!({readme:?})),\n"));
    }
    table.push_str("];\n");
    table.push_str(&statics);
    let kept = pack.dictionary(&dictionary);
    table.push_str(&embedded("DICTIONARY", "What the components are packed with (zstd).", &kept));
    let path = out.join("stock_plugins.rs");
    fs::write(&path, table).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A static with the bytes of a file. It has a symbol of its own: bytes that only a reference leads to are in the binary once for
/// each unit of code that reads it.
fn embedded(symbol: &str, what: &str, file: &Path) -> String {
    format!(
        "/// {what}\npub static {symbol}: [u8; include_bytes!({file:?}).len()] = *include_bytes!({file:?});\n"
    )
}

/// Packs components, which share a large part of their code, by zstd with some of themselves as the dictionary: in half of
/// the bytes that each takes by itself.
struct Packer<'a> {
    zstd: zstd::bulk::Compressor<'a>,
    out: &'a Path,
}

impl<'a> Packer<'a> {
    fn new(out: &'a Path, dictionary: &[u8]) -> Packer<'a> {
        let zstd =
            zstd::bulk::Compressor::with_dictionary(level(), dictionary).expect("a dictionary of bytes");
        Packer { zstd, out }
    }

    /// The file with the packed component.
    fn component(&mut self, name: &str, bytes: &[u8]) -> PathBuf {
        let packed = self.zstd.compress(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.keep(name, &packed)
    }

    /// The file with the dictionary, which is packed by itself.
    fn dictionary(&self, bytes: &[u8]) -> PathBuf {
        self.keep("dictionary", &zstd::bulk::compress(bytes, level()).expect("bytes are compressed"))
    }

    fn keep(&self, name: &str, packed: &[u8]) -> PathBuf {
        let kept = self.out.join(format!("{name}.zst"));
        fs::write(&kept, packed).unwrap_or_else(|error| panic!("{}: {error}", kept.display()));
        kept
    }
}

/// As small as can be for a release, which takes seconds; a debug build has no use for it.
fn level() -> i32 {
    if var("PROFILE") == "release" { 19 } else { 1 }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the plugins, in order.
fn plugins(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry of plugins/"))
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().expect("a plugin's name is UTF-8"))
        .collect();
    names.sort();
    names
}

/// Only what the components are made of: not their cases, nor their tests. A new plugin shows in
/// `Cargo.lock`.
fn rerun_if_changed(root: &Path, names: &[String]) {
    let mut paths: Vec<PathBuf> = [
        "wit/filter.wit",
        "Cargo.toml",
        "Cargo.lock",
        "model/src",
        "model/Cargo.toml",
        "sdk/rust/src",
        "sdk/rust/wit",
        "sdk/rust/Cargo.toml",
    ]
    .map(PathBuf::from)
    .into();
    for name in names {
        let plugin = Path::new("plugins").join(name);
        paths.extend([plugin.join("src"), plugin.join("Cargo.toml"), plugin.join("README.md")]);
    }
    for path in paths {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
}

/// The linker that makes a component, from the Rust toolchain or else from the path.
fn linker() -> PathBuf {
    let sysroot = Command::new(var("RUSTC")).args(["--print", "sysroot"]).output().expect("rustc runs");
    let sysroot = String::from_utf8(sysroot.stdout).expect("the sysroot is UTF-8");
    let shipped =
        Path::new(sysroot.trim()).join("lib/rustlib").join(var("HOST")).join("bin/wasm-component-ld");
    if shipped.exists() { shipped } else { PathBuf::from("wasm-component-ld") }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
