//! Compiled code that came with the program: so that the first start of a container compiles nothing.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::component::check_magic;
use super::engine;
use super::hash::sha256;

/// Names the folder.
const VARIABLE: &str = "FLITCH_COMPILED";

/// What machines of these architectures have that are not older than ten years (x86-64-v3), or that all of them have. On
/// another one the code is refused, and compiled.
#[cfg(target_arch = "x86_64")]
const TARGET: (&str, &[&str]) = (
    "x86_64-unknown-linux-gnu",
    &[
        "has_sse3",
        "has_ssse3",
        "has_sse41",
        "has_sse42",
        "has_popcnt",
        "has_avx",
        "has_avx2",
        "has_fma",
        "has_bmi1",
        "has_bmi2",
        "has_lzcnt",
    ],
);
#[cfg(target_arch = "aarch64")]
const TARGET: (&str, &[&str]) = ("aarch64-unknown-linux-gnu", &[]);

/// A folder of compiled components, each named by the SHA-256 of the component. It is only read.
#[derive(Debug)]
pub struct Shipped {
    folder: PathBuf,
}

impl Shipped {
    /// The folder that the environment names.
    pub fn of_environment() -> Option<Shipped> {
        let folder = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty())?;
        Some(Shipped { folder: folder.into() })
    }

    #[cfg(test)]
    pub fn at(folder: &Path) -> Shipped {
        Shipped { folder: folder.to_owned() }
    }

    /// The code of the component with this SHA-256, where it is here and fits this machine.
    pub fn component(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        let path = self.folder.join(file_name(sha256));
        match check(&self.folder).and_then(|()| check(&path)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiled code that came with flitch is left alone");
                return None;
            }
        }
        // SAFETY: nobody but root and this user can have written it, who could have written this program as well; the
        // engine itself refuses the code of another version and for another machine.
        match unsafe { Component::deserialize_file(engine, &path) } {
            Ok(component) => Some(component),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::info!(path = %path.display(), error, "compiled code that came with flitch does not fit this machine");
                None
            }
        }
    }
}

/// Whether root or this user alone may write it.
fn check(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
    if metadata.is_symlink() || !ours || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others may write or own it"));
    }
    Ok(())
}

fn file_name(sha256: &str) -> String {
    format!("{sha256}.cwasm")
}

/// Compiles components into `folder`, which must exist, for the machines that packages are made for, whatever this one is.
///
/// # Errors
/// One is no component, or cannot be written.
pub fn precompile<'a>(
    folder: &Path,
    components: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> anyhow::Result<()> {
    let engine = engine()?;
    for (name, bytes) in components {
        let code = check_magic(bytes)
            .and_then(|()| Ok(engine.precompile_component(bytes)?))
            .with_context(|| name.to_owned())?;
        let path = folder.join(file_name(&sha256(bytes)));
        // Whatever the umask grants to a group: what others may write is not loaded.
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&path);
        file.and_then(|mut file| file.write_all(&code)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn engine() -> wasmtime::Result<Engine> {
    let (target, flags) = TARGET;
    let mut config = engine::config();
    config.target(target)?;
    for flag in flags {
        // SAFETY: code with these is not run here, and is refused by an engine on a machine that lacks one of them.
        unsafe { config.cranelift_flag_enable(flag) };
    }
    Engine::new(&config)
}

#[cfg(test)]
mod tests;
