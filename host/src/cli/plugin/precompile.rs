//! `flitch plugin precompile`: plugins as machine code, for images.

use std::path::{Path, PathBuf};

use super::super::Failure;
use super::wrong;
use crate::STOCK;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An existing folder, into which one file for each plugin is written.
    folder: PathBuf,
    /// Names of stock plugins, and paths of components of your own; without any, all stock plugins.
    plugins: Vec<String>,
}

/// Compiles them.
pub fn run(args: &Args) -> Result<(), Failure> {
    let stock = STOCK.names().map(str::to_owned);
    let plugins: Vec<String> = if args.plugins.is_empty() { stock.collect() } else { args.plugins.clone() };
    let load = |name: &String| Ok((name.clone(), STOCK.origin(name, Path::new("."))?.load()?.into_owned()));
    let components = plugins.iter().map(load).collect::<anyhow::Result<Vec<_>>>().map_err(wrong)?;
    let components = components.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    flitch_filters::precompile(&args.folder, components).map_err(wrong)
}
