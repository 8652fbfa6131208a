//! `flitch run`.

use super::{ConfigFile, Failure};
use crate::app::{self, Ended, RunError};
use crate::config::{self, ConfigError};
use flitch_core::net::descriptors;

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
    if let Err(error) = descriptors::raise() {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
    loaded.check_parts()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("flitch").build()?;
    let ended = runtime.block_on(app::run(&args.config.path, loaded.config.clone()));
    // Whoever still waits on a thread waits for something that does not come.
    runtime.shutdown_background();
    match ended {
        Ok(Ended::Drained) => Ok(()),
        Ok(Ended::Left | Ended::AtOnce) => {
            Err(anyhow::anyhow!("not everything on its way had arrived").into())
        }
        Err(RunError::Part(part)) => Err(ConfigError::from(loaded.error(&part.path, &part.error)).into()),
        Err(RunError::Other(error)) => Err(error.into()),
    }
}
