//! `flitch plugin build`: from a filter's source to its component.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use flitch_pack::Wasi;

use super::super::Failure;
use super::workshop::{Language, Workshop};
use crate::STOCK;
use flitch_filters::Component;

/// What a core module begins with; a component has another version.
const CORE: &[u8] = b"\0asm\x01\0\0\0";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The filter's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

/// Builds the filter, puts the component into its folder, and loads it for a trial.
pub fn run(args: &Args) -> Result<(), Failure> {
    let workshop = Workshop::at(&args.folder)?;
    let start = Instant::now();
    let (built, wasi) = compile(&workshop)?;
    let mut bytes = std::fs::read(&built).with_context(|| built.display().to_string())?;
    if bytes.starts_with(CORE) {
        bytes = flitch_pack::pack(&bytes, wasi).map_err(|error| anyhow!("{}: {error}", built.display()))?;
    }
    // Whoever runs the filter sees the old file or the new one, and never half of it.
    let component = workshop.component();
    let aside = component.with_extension("wasm.new");
    std::fs::write(&aside, &bytes)
        .and_then(|()| std::fs::rename(&aside, &component))
        .with_context(|| component.display().to_string())?;
    let took = start.elapsed();
    let engine = super::super::engine()?;
    let origin = STOCK.origin(&component.to_string_lossy(), Path::new("/"))?;
    let loaded = Component::load(&engine, origin)?;
    let shown = component.strip_prefix(std::env::current_dir()?).unwrap_or(&component).display().to_string();
    let mut text = format!("{shown}: {} bytes, built in {took:.1?}\n", bytes.len());
    let count = loaded.imports().iter().filter(|name| name.starts_with("wasi:")).count();
    if count > 0 {
        text += &format!("it imports {count} interfaces of WASI, so it does not run with `wasi: none`\n");
    }
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// Runs the language's compiler. Answers the module or component that it wrote, and what stands for WASI 0.1 in a module.
fn compile(workshop: &Workshop) -> Result<(PathBuf, Wasi), Failure> {
    let folder = &workshop.folder;
    let build = folder.join("build");
    let core = build.join("core.wasm");
    let made = build.join("component.wasm");
    if workshop.language != Language::Rust {
        std::fs::create_dir_all(&build).with_context(|| build.display().to_string())?;
    }
    Ok(match workshop.language {
        Language::Rust => {
            let needs = "Rust: https://rustup.rs, then `rustup target add wasm32-wasip2`";
            let mut cargo = Command::new("cargo");
            cargo
                .args(["build", "--release", "--target", "wasm32-wasip2"])
                .arg("--message-format=json-render-diagnostics")
                .stdout(Stdio::piped());
            (artifact(&output(&mut cargo, folder, needs)?)?, Wasi::Host)
        }
        Language::C => {
            let needs = "make and clang for WebAssembly: `apt install make clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32`";
            run_tool(Command::new("make").arg("--silent"), folder, needs)?;
            (module(&build)?, Wasi::Host)
        }
        Language::Go => {
            let mut go = Command::new("go");
            go.env("GOOS", "wasip1")
                .env("GOARCH", "wasm")
                .args(["build", "-buildmode=c-shared", "-ldflags=-s -w", "-o"])
                .arg(&core)
                .arg(".");
            run_tool(&mut go, folder, "Go 1.24 or newer: https://go.dev/dl")?;
            // Go's collector asks for the time while its host hands it memory, where nothing may be asked of the host.
            (core, Wasi::Stub)
        }
        Language::Js | Language::Ts => {
            let npm = "Node 20 or newer: https://nodejs.org";
            if !folder.join("node_modules").exists() {
                run_tool(Command::new("npm").args(["install", "--no-audit", "--no-fund"]), folder, npm)?;
            }
            let to = ["run", "--silent", "build", "--", "-o", "build/component.wasm"];
            run_tool(Command::new("npm").args(to), folder, npm)?;
            (made, Wasi::Host)
        }
        Language::Python => {
            let mut python = Command::new("python3");
            python.env("PYTHONPATH", "sdk").env("PYTHONDONTWRITEBYTECODE", "1");
            python.args(["-m", "flitch_sdk.build", "app", "-o"]).arg(&made);
            run_tool(
                &mut python,
                folder,
                "Python 3.11 and componentize-py: `pip install componentize-py==0.25.1`",
            )?;
            (made, Wasi::Host)
        }
    })
}

/// Runs a tool in the filter's folder, with all its words on our stderr. `needs` says what to install where it is missing.
fn run_tool(tool: &mut Command, folder: &Path, needs: &str) -> Result<(), Failure> {
    output(tool.stdout(std::io::stderr()), folder, needs).map(drop)
}

/// The same, and answers what it writes to stdout where that is taken.
fn output(tool: &mut Command, folder: &Path, needs: &str) -> Result<Vec<u8>, Failure> {
    let name = tool.get_program().to_string_lossy().into_owned();
    let done = tool.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit()).spawn();
    let done = done.and_then(std::process::Child::wait_with_output).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!("`{name}` is missing; install {needs}"),
        _ => anyhow!("{name}: {error}"),
    })?;
    if !done.status.success() {
        return Err(anyhow!("`{name}` failed with {}; it needs {needs}", done.status).into());
    }
    Ok(done.stdout)
}

/// The component of cargo's messages, a JSON object a line.
fn artifact(messages: &[u8]) -> anyhow::Result<PathBuf> {
    let messages = messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut wasm = messages.filter_map(|message: serde_json::Value| {
        let files = message["filenames"].as_array()?.iter().filter_map(|file| file.as_str());
        files.filter(|file| file.ends_with(".wasm")).map(PathBuf::from).next_back()
    });
    match wasm.next_back() {
        Some(path) => Ok(path),
        None => bail!("cargo built no component: has `[lib]` in Cargo.toml `crate-type = [\"cdylib\"]`?"),
    }
}

/// The core module that a Makefile wrote.
fn module(build: &Path) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(build).with_context(|| build.display().to_string())?;
    let is_core = |path: &PathBuf| path.to_string_lossy().ends_with(".core.wasm");
    let mut modules: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_core).collect();
    match (modules.pop(), modules.is_empty()) {
        (Some(module), true) => Ok(module),
        (None, _) => bail!("make wrote no `build/*.core.wasm`"),
        (Some(_), false) => {
            bail!("{} has several `*.core.wasm`: remove those of other names", build.display())
        }
    }
}
