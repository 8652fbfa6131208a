//! `flitch plugin pull`: plugins, had from registries.

use std::io::Write;
use std::path::PathBuf;

use super::super::{Failure, written};
use super::registry::{RegistryArgs, describe, parse};
use flitch_registry::{Place, Reference};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which plugins: `oci://registry.example.com/team/parse:1.2`. Without any, those of the configuration.
    references: Vec<String>,
    /// The file that the component is written to.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The OCI layout that the plugin is copied to with its signatures: `oci-layout:FOLDER:TAG`.
    #[arg(long, value_name = "LAYOUT", conflicts_with = "output")]
    to: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Pulls them, and prints a line about each.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (opened, references) = args.registry.open_named(&args.references)?;
    if references.len() != 1 && (args.output.is_some() || args.to.is_some()) {
        return Err(Failure::Usage("`--output` and `--to` take one plugin: name it".to_owned()));
    }
    let to = args.to.as_deref().map(parse).transpose()?;
    let to = match &to {
        None => None,
        Some(Reference { place: Place::Layout { path }, tag: Some(tag), digest: None }) => Some((path, tag)),
        Some(_) => return Err(Failure::Usage("`--to` takes `oci-layout:FOLDER:TAG`".to_owned())),
    };
    let mut stdout = std::io::stdout();
    for reference in &references {
        let is_tag = reference.digest.is_none() && matches!(reference.place, Place::Registry { .. });
        if is_tag {
            opened.registries.refresh(reference).map_err(anyhow::Error::from)?;
        }
        let plugin = opened.registries.load(reference).map_err(anyhow::Error::from)?;
        if let Some(path) = &args.output {
            written::replace(path, &plugin.component)?;
        }
        if let Some((path, tag)) = to {
            opened.registries.copy(&plugin, path, tag).map_err(anyhow::Error::from)?;
        }
        writeln!(stdout, "{}", describe(&plugin))?;
    }
    Ok(())
}
