//! `flitch plugin precompile`: the stock plugins as machine code, for images.

use std::path::PathBuf;

use anyhow::Context;

use super::super::Failure;
use crate::STOCK;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An existing folder, into which one file for each plugin is written.
    folder: PathBuf,
}

/// Compiles all of them.
pub fn run(args: &Args) -> Result<(), Failure> {
    let stock = STOCK.names().map(|name| Ok((name, STOCK.component(name).context(name)?)));
    let stock: Vec<_> = stock.collect::<anyhow::Result<_>>()?;
    Ok(flitch_filters::precompile(&args.folder, stock)?)
}
