use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::supervise::{Starting, supervise};
use super::{App, AppError};
use crate::admin::{self, AdminSettings, StatusBoard};
use crate::config::{self, Config, ConfigError};
use crate::filters::swap::Watch;
use crate::sources::Running;
use crate::telemetry::{self, Part};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All records on their way arrived.
    Drained,
    /// Some records had not arrived within the drain timeout; their sources send them again after the next start.
    Left,
    /// A second signal came while draining.
    AtOnce,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A part that the configuration names.
    #[error(transparent)]
    Part(#[from] AppError),
    /// Something outside the configuration.
    #[error(transparent)]
    Other(#[from] std::io::Error),
}

/// Runs `config` until a signal ends it: SIGTERM and SIGINT drain, a second one stops at once; SIGHUP reads
/// `path` again, and what cannot be put to work is refused with the old configuration going on.
///
/// # Errors
/// A part of the configuration cannot be put to work, or the admin listener cannot be bound.
pub async fn run(path: &Path, config: Config) -> Result<Ended, RunError> {
    telemetry::health::log_panics();
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let board = Arc::new(StatusBoard::default());
    let stop_admin = CancellationToken::new();
    if config.admin.enabled {
        let listen = config.admin.listen.clone();
        let started = admin::start(&config.admin, board.clone(), stop_admin.clone()).await;
        let started = started.with_context(|| {
            format!("cannot listen on {listen} (`admin: {{ enabled: false }}` turns it off)")
        });
        let (address, serving) =
            started.map_err(|error| AppError { path: "admin.listen".to_owned(), error })?;
        keep_admin(serving, &config.admin, &board, &stop_admin);
        tracing::info!(%address, "admin listener: /metrics, /healthz, /readyz, /api/status");
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut app = tokio::select! {
        started = App::start(config, folder, board.clone()) => started?,
        // Plugins that are compiled at the first start take their time.
        () = either(&mut term, &mut interrupt) => {
            tracing::warn!("stopped before the start was through");
            return Ok(Ended::AtOnce);
        }
    };
    let mut plugins = Watch::new();
    tracing::info!("ready");
    loop {
        plugins.follow(app.plugin_files());
        let plugin_changed = tokio::select! {
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => false,
            () = plugins.changed() => true,
        };
        let reload = async {
            if plugin_changed {
                tracing::info!("a plugin's file has changed");
                let applied = app.apply(app.config().clone()).await;
                tell(applied, &board, |part| (part.to_string(), part.to_string()));
            } else {
                reload(path, &mut app, &board).await;
            }
        };
        // It may compile for seconds, or wait for an output that is stuck.
        tokio::select! {
            () = reload => {}
            () = either(&mut term, &mut interrupt) => break,
        }
    }
    let timeout = app.config().drain_timeout.0;
    tracing::info!(timeout = ?timeout, "draining; a second signal stops at once");
    let ended = tokio::select! {
        drained = app.drain(timeout) => if drained { Ended::Drained } else { Ended::Left },
        () = either(&mut term, &mut interrupt) => Ended::AtOnce,
    };
    stop_admin.cancel();
    match ended {
        Ended::Drained => tracing::info!("every record arrived; stopped"),
        Ended::Left => tracing::warn!(
            "the drain timeout passed; records that had not arrived are sent again by \
            the sources that can"
        ),
        Ended::AtOnce => tracing::warn!("stopped at once"),
    }
    Ok(ended)
}

/// Starts the admin listener again when it ends.
fn keep_admin(
    serving: JoinHandle<()>,
    settings: &AdminSettings,
    board: &Arc<StatusBoard>,
    stop: &CancellationToken,
) {
    let until_stopped = |serving: JoinHandle<()>, stop: CancellationToken| -> Running {
        Box::pin(async move {
            serving.await?;
            anyhow::ensure!(stop.is_cancelled(), "it ended though nobody asked it to");
            Ok(())
        })
    };
    let first = until_stopped(serving, stop.clone());
    let (settings, for_starts, stops) = (settings.clone(), board.clone(), stop.clone());
    let start = move || -> Starting {
        let (settings, board, stop) = (settings.clone(), for_starts.clone(), stops.clone());
        Box::pin(async move {
            let (_, serving) = admin::start(&settings, board, stop.clone()).await?;
            Ok(until_stopped(serving, stop))
        })
    };
    tokio::spawn(supervise(Part::new(board.health(), "listener", "admin"), stop.clone(), Ok(first), start));
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! { _ = one.recv() => {}, _ = other.recv() => {} }
}

async fn reload(path: &Path, app: &mut App, board: &StatusBoard) {
    let loaded = match config::load(path).and_then(|loaded| loaded.check_parts().map(|()| loaded)) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error.report(false), error.to_string(), board),
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning:?}");
    }
    let (old, new) = (app.config(), &loaded.config);
    for (key, differs) in [("data_dir", old.data_dir != new.data_dir), ("admin", old.admin != new.admin)] {
        if differs {
            let text = format!("`{key}` is read at the start only: restart flitch to change it");
            tracing::warn!("{:?}", loaded.file.at(key, text));
        }
    }
    let applied = app.apply(loaded.config.clone()).await;
    tell(applied, board, |part| {
        let error = ConfigError::from(loaded.error(&part.path, &part.error));
        (error.report(false), error.to_string())
    });
}

/// Tells what became of a configuration; `show` makes a text for the log and one for the board of what is wrong with a
/// part of it.
fn tell(
    applied: Result<Vec<AppError>, AppError>,
    board: &StatusBoard,
    show: impl Fn(&AppError) -> (String, String),
) {
    match applied {
        Ok(kept) if kept.is_empty() => tracing::info!("the new configuration is in force"),
        Ok(kept) => {
            let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
            let error = format!("what runs goes on for {}", kept.join("; for "));
            tracing::warn!("the new configuration is in force, but {error}");
            board.reload_refused(error);
        }
        Err(error) => {
            let (report, line) = show(&error);
            refuse(&report, line, board);
        }
    }
}

/// Lines of the configuration are for the log alone: more people reach the board.
fn refuse(report: &str, line: String, board: &StatusBoard) {
    tracing::error!("the new configuration is refused, the old one goes on: {report}");
    board.reload_refused(line);
}
