//! `flitch config`: the reference and the schema of the configuration.

use std::io::Write;

use super::Failure;
use crate::config::{docs, schema};

/// Of `flitch config`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print the JSON Schema of the configuration file, for editors and checks.
    Schema,
    /// Print the reference of the configuration file, as docs/config.md holds it.
    #[command(hide = true)]
    Docs,
}

/// Prints what is asked for.
pub fn run(command: &Command) -> Result<(), Failure> {
    let text = match command {
        Command::Schema => format!("{:#}\n", schema::json()),
        Command::Docs => docs::markdown(),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
