//! `flitch plugin push`: a plugin, brought to a registry.

use std::io::Write;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::super::Failure;
use super::registry::{RegistryArgs, parse};
use super::{workshop, wrong};
use flitch_core::batch::time;
use flitch_filters::{Component, Tables};
use flitch_registry::manifest;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A filter's folder, the path of a component, or the name of a stock plugin.
    plugin: String,
    /// Where it is to be: `oci://registry.example.com/team/parse:1.2`, or `oci-layout:FOLDER:1.2`.
    reference: String,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Pushes it, and prints its reference with the digest.
pub fn run(args: &Args) -> Result<(), Failure> {
    let reference = parse(&args.reference)?;
    if reference.digest.is_some() {
        return Err(Failure::Usage("what is pushed has a tag; its digest comes of it".to_owned()));
    }
    let (plugin, _) = workshop::find(&args.plugin)?;
    let cx = super::context(super::super::engine()?, Tables::default())?;
    let origin = cx.origin(&plugin).map_err(wrong)?;
    let bytes = origin.load().map_err(wrong)?.into_owned();
    let component = Component::load(&cx.engine, origin).map_err(wrong)?;
    let config = manifest::config(
        &bytes,
        &component.exports(),
        &component.imports(),
        &created(component.origin().file()),
    );
    let opened = args.registry.open(std::slice::from_ref(&reference))?;
    let digest = opened.registries.push(&reference, bytes, config).map_err(anyhow::Error::from)?;
    writeln!(std::io::stdout(), "{}", reference.pinned(digest))?;
    Ok(())
}

/// When a plugin was made: the time of its file, so that the same file has the same digest whenever it is pushed.
fn created(file: Option<&Path>) -> String {
    let of_file = |file: &Path| {
        let modified = std::fs::metadata(file).ok()?.modified().ok()?;
        i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
    };
    let told = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let seconds: i64 = told.or_else(|| file.and_then(of_file)).unwrap_or(0);
    time::to_text(seconds.saturating_mul(1_000_000_000)).to_string()
}
