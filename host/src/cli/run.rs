//! `flitch run`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::{ConfigFile, Failure, check};
use crate::admin::Exporter;
use crate::app::{self, Ended, RunError, Signals};
use crate::config;
use flitch_core::net::descriptors;
use flitch_core::tasks;
use flitch_core::telemetry::log;

/// Of `flitch run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs until a signal ends it.
pub fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tasks::runtime(None)?;
    // Before all else: a signal that nobody has asked for ends the process.
    let signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let loaded = config::load(&args.config.path)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning:?}");
    }
    if let Err(error) = descriptors::raise() {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
    // Parts are made to be checked, and what they count before there is an exporter counts for nobody.
    Exporter::get();
    loaded.check_parts()?;
    // Its own file may be another one when it begins anew: that of an upgrade.
    let program = std::env::current_exe();
    let ended = runtime.block_on(app::run(&args.config.path, loaded.clone(), signals));
    let ended = ended.map_err(|error| match error {
        RunError::Part(part) => {
            let _inside = runtime.enter();
            check::failure(&loaded, &args.config.path, &part)
        }
        RunError::Other(error) => error.into(),
    });
    // Whoever still waits on a thread waits for something that does not come.
    runtime.shutdown_background();
    match ended? {
        Ended::Drained => Ok(()),
        Ended::Again => {
            tracing::info!("beginning anew");
            Signals::let_go();
            log::settle();
            let error = Command::new(program?).args(std::env::args_os().skip(1)).exec();
            Err(anyhow::Error::new(error).context("cannot begin anew").into())
        }
        Ended::Left | Ended::AtOnce => Err(anyhow::anyhow!("not everything on its way had arrived").into()),
    }
}
