use super::{ConfigFile, Failure};
use crate::app::{self, RunError};
use crate::config;

/// Of `flitch run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs until a signal ends it.
pub fn run(args: &Args) -> Result<(), Failure> {
    let loaded = config::load(&args.config.path)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning:?}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("flitch").build()?;
    match runtime.block_on(app::run(&args.config.path, loaded.config.clone())) {
        Ok(_) => Ok(()),
        Err(RunError::Part(part)) => Err(loaded.error(&part.path, &part.error).into()),
        Err(RunError::Other(error)) => Err(error.into()),
    }
}
