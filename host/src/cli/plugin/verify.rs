//! `flitch plugin verify`: plugins of registries, held to what was said of them.

use std::io::Write;

use super::super::Failure;
use super::registry::{Opened, RegistryArgs, describe};
use flitch_core::telemetry::escape::Escaped;
use flitch_registry::{Error, Plugin, Reference};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which plugins: `oci://registry.example.com/team/parse:1.2@sha256:…`. Without any, those of the configuration.
    references: Vec<String>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Verifies them, and prints a line about each.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (opened, references) = args.registry.open_named(&args.references)?;
    let mut stdout = std::io::stdout();
    let mut failed = 0;
    for reference in &references {
        match verify(&opened, reference) {
            Ok(plugin) => writeln!(stdout, "ok       {}", describe(&plugin))?,
            Err(error) => {
                failed += 1;
                writeln!(stdout, "{:<8} {}", error.result(), Escaped(&error))?;
            }
        }
    }
    match failed {
        0 => Ok(()),
        1 => Err(anyhow::anyhow!("a plugin may not run").into()),
        many => Err(anyhow::anyhow!("{many} plugins may not run").into()),
    }
}

/// Asks what its tag stands for now, and loads it.
fn verify(opened: &Opened, reference: &Reference) -> Result<Plugin, Error> {
    let now = opened.registries.resolve(reference)?;
    match &reference.digest {
        Some(wanted) if *wanted != now => Err(reference.moved(&now)),
        _ => opened.registries.load(&reference.pinned(now)),
    }
}
