//! `flitch plugin sign-check`: whose signatures there are.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::super::Failure;
use super::registry::{RegistryArgs, parse};
use super::wrong;
use flitch_core::telemetry::escape::Escaped;
use flitch_registry::Reference;
use flitch_registry::signature::{self, Key, Signature, Signed};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A plugin of a registry or a layout, or the path of a file.
    plugin: String,
    /// The bundle of a file, as `cosign sign-blob --bundle FILE` writes it. By default the file's name with
    /// `.sigstore.json` behind it.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Looks at the signatures, and prints a line about each.
pub fn run(args: &Args) -> Result<(), Failure> {
    if !Reference::is_one(&args.plugin) {
        let opened = args.registry.open(&[])?;
        return file(args, &opened.registries.keys());
    }
    let reference = parse(&args.plugin)?;
    let opened = args.registry.open(std::slice::from_ref(&reference))?;
    let keys = opened.registries.keys_of(&reference);
    if keys.is_empty() {
        return Err(no_key());
    }
    let found = opened.registries.found(&reference).map_err(anyhow::Error::from)?;
    let digest = &found.digest;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", reference.pinned(digest.clone()))?;
    let mut good = 0;
    for one in &found.signatures {
        let form = match one {
            Signature::Bundle(_) => "bundle",
            Signature::Simple { .. } => "simple",
        };
        match signature::signed(std::slice::from_ref(one), digest, &keys) {
            Signed::By(key) => {
                good += 1;
                writeln!(stdout, "  {form}  by {key}")?;
            }
            Signed::Not(why) => writeln!(stdout, "  {form}  {}", Escaped(why))?,
        }
    }
    if found.is_part {
        writeln!(stdout, "  there may be more: no further ones were looked at")?;
    }
    match good {
        0 if found.signatures.is_empty() => Err(anyhow::anyhow!("it has no signature").into()),
        0 => Err(anyhow::anyhow!("none of its signatures is by one of the keys").into()),
        _ => Ok(()),
    }
}

fn no_key() -> Failure {
    Failure::Usage(
        "there is no key: name one with `--key cosign.pub`, or a configuration with `-c FILE`".to_owned(),
    )
}

fn file(args: &Args, keys: &[&Key]) -> Result<(), Failure> {
    if keys.is_empty() {
        return Err(no_key());
    }
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let beside = || PathBuf::from(format!("{}.sigstore.json", args.plugin));
    let bundle = args.bundle.clone().unwrap_or_else(beside);
    let content = read(Path::new(&args.plugin)).map_err(wrong)?;
    let bundle = read(&bundle).map_err(wrong)?;
    let key =
        signature::of_file(&content, &String::from_utf8_lossy(&bundle), keys).map_err(anyhow::Error::from)?;
    writeln!(std::io::stdout(), "{} is signed by {key}", args.plugin)?;
    Ok(())
}
