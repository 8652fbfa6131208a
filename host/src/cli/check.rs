use std::io::Write;

use super::{ConfigFile, Failure};
use crate::config::{self, report};

/// Of `flitch check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

/// Checks a configuration.
pub fn run(args: &Args) -> Result<(), Failure> {
    let loaded = config::load(&args.config.path)?;
    let mut stdout = std::io::stdout();
    stdout.write_all(report::render(&loaded.warnings, false).as_bytes())?;
    writeln!(stdout, "{}: all right", args.config.path.display())?;
    Ok(())
}
