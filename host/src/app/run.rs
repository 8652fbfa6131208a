//! From the start to the end: signals and changed files become commands.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::daemon::Daemon;
use super::supervise::{Starting, keep};
use super::{App, AppError, Command, Control, Refused, Signals, manager};
use crate::admin::{self, AdminSettings, Home, StatusBoard};
use crate::config::{Config, Loaded};
use crate::fleet::{self, Chosen, Fleet};
use flitch_core::placed::Placed;
use flitch_core::telemetry::{self, Part};
use flitch_filters::swap::Watch;
use flitch_opamp::InForce;
use flitch_sources::Running;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All records on their way arrived.
    Drained,
    /// Some records had not arrived within the drain timeout; their sources send them again after the next start.
    Left,
    /// A second signal came while draining.
    AtOnce,
    /// The process is to begin anew: the server that manages it wants that. Records that had not arrived are sent again by
    /// their sources then.
    Again,
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

/// Runs what was read from `path`, or what a server sent in place of it, until a signal ends it: SIGTERM and SIGINT drain,
/// a second one stops at once; SIGHUP reads `path` again, and what cannot be put to work is refused with the old
/// configuration going on.
///
/// # Errors
/// A part of the configuration cannot be put to work, or the admin listener cannot be bound.
pub async fn run(path: &Path, own: Loaded, signals: Signals) -> Result<Ended, RunError> {
    telemetry::health::log_panics();
    manager::watched(attend(path, own, signals)).await
}

async fn attend(path: &Path, own: Loaded, signals: Signals) -> Result<Ended, RunError> {
    let Signals { mut term, mut interrupt, mut hangup, strange, orphans } = signals;
    let (mut chosen, mut in_force) = fleet::at_start(own, path);
    let config = Arc::new(chosen.own.config.clone());
    let board = Arc::new(StatusBoard::default());
    board.lives(Home { config: path.to_owned(), data_dir: config.data_dir.clone() });
    let stop_admin = CancellationToken::new();
    let (control, requests) = Control::new();
    if config.admin.enabled {
        listen(&config.admin, &board, &control, &stop_admin).await?;
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let app = tokio::select! {
        started = start(&mut chosen, &mut in_force, folder, &board) => started?,
        // Plugins that are compiled at the first start take their time.
        () = either(&mut term, &mut interrupt) => {
            tracing::warn!("stopped before the start was through");
            return Ok(Ended::AtOnce);
        }
    };
    tracing::info!("ready");
    manager::ready(app.config().pipelines.len());
    board.chosen(Arc::new(chosen));
    let sent = if let InForce::Sent(kept) = &in_force { Some(kept.clone()) } else { None };
    let fleet = Arc::new(Fleet::new(control.clone(), board.clone(), in_force));
    let managing = keep_agent(fleet, &config, &board, &stop_admin);
    let (plugins, files) = watch::channel(Vec::new());
    let placed = app.placed();
    let daemon = Daemon::new((path.to_owned(), sent), app, board, (control.clone(), requests), plugins);
    let asks = async {
        let end = async {
            either(&mut term, &mut interrupt).await;
            control.end();
        };
        tokio::join!(
            reload_at(&mut hangup, &control),
            refresh_when(files, &placed, &control),
            strange.told(),
            orphans.taken_leave_of(),
            end
        );
        std::future::pending().await
    };
    let app = tokio::select! { app = daemon.serve() => app, app = asks => app };
    let ended = drain(app, either(&mut term, &mut interrupt)).await;
    telemetry::say_all();
    stop_admin.cancel();
    // It says farewell to its server, which takes it no more than moments.
    if let Some(managing) = managing {
        let _ = managing.await;
    }
    match ended {
        Ended::Drained => tracing::info!("every record arrived, or waits on disk; stopped"),
        Ended::Left => tracing::warn!(
            "the drain timeout passed; records that had not arrived are sent again by \
            the sources that can"
        ),
        Ended::AtOnce => tracing::warn!("stopped at once"),
        Ended::Again => {}
    }
    Ok(if control.is_to_restart() && ended != Ended::AtOnce { Ended::Again } else { ended })
}

/// Starts what is in force. Where a server has sent that, and it cannot be put to work, the machine's own is in force instead.
async fn start(
    chosen: &mut Chosen,
    in_force: &mut InForce,
    folder: &Path,
    board: &Arc<StatusBoard>,
) -> Result<App, AppError> {
    let failed = match App::start(chosen.in_force().config.clone(), folder, board.clone()).await {
        Ok(app) => return Ok(app),
        Err(failed) => failed,
    };
    match (chosen.sent.take(), &*in_force) {
        (Some(sent), InForce::Sent(kept)) => {
            *in_force = fleet::refused(kept.clone(), sent.error(&failed.path, &failed.error).to_string());
            App::start(chosen.own.config.clone(), folder, board.clone()).await
        }
        _ => Err(failed),
    }
}

/// Waits for records on their way, until the time for it is over or `at_once`.
async fn drain(app: App, at_once: impl Future<Output = ()>) -> Ended {
    let timeout = app.config().drain_timeout.0;
    tracing::info!(timeout = ?timeout, "draining; a second signal stops at once");
    manager::draining(timeout);
    tokio::select! {
        drained = app.drain(timeout) => if drained { Ended::Drained } else { Ended::Left },
        () = at_once => Ended::AtOnce,
    }
}

/// Starts the admin listener, and keeps it going.
async fn listen(
    settings: &AdminSettings,
    board: &Arc<StatusBoard>,
    control: &Control,
    stop: &CancellationToken,
) -> Result<(), AppError> {
    let started = admin::start(settings, board.clone(), control.clone(), stop.clone()).await;
    let started = started.with_context(|| {
        format!("cannot listen on {} (`admin: {{ enabled: false }}` turns it off)", settings.listen)
    });
    let (address, serving) = started.map_err(|error| AppError { path: "admin.listen".to_owned(), error })?;
    keep_admin(serving, settings, board, control, stop);
    tracing::info!(%address, "admin listener: /metrics, /healthz, /readyz, /api/status, /api/filters/history");
    Ok(())
}

/// Starts the admin listener again when it ends.
fn keep_admin(
    serving: JoinHandle<()>,
    settings: &AdminSettings,
    board: &Arc<StatusBoard>,
    control: &Control,
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
    let control = control.clone();
    let start = move || -> Starting {
        let (settings, board, stop) = (settings.clone(), for_starts.clone(), stops.clone());
        let control = control.clone();
        Box::pin(async move {
            let (_, serving) = admin::start(&settings, board, control, stop.clone()).await?;
            Ok(until_stopped(serving, stop))
        })
    };
    keep(Part::new(board.health(), "listener", "admin"), stop.clone(), Ok(first), start);
}

/// Keeps the agent going by which a server manages this flitch, where there is one.
fn keep_agent(
    fleet: Arc<Fleet>,
    config: &Arc<Config>,
    board: &Arc<StatusBoard>,
    stop: &CancellationToken,
) -> Option<JoinHandle<anyhow::Result<()>>> {
    config.manage.opamp.as_ref()?;
    let (config, stops) = (config.clone(), stop.clone());
    let start = move || -> Starting {
        let running: Running = Box::pin(fleet.clone().run(config.clone(), stops.clone()));
        Box::pin(async move { Ok(running) })
    };
    let first: Running = {
        let starting = start();
        Box::pin(async move { starting.await?.await })
    };
    Some(keep(Part::new(board.health(), "manager", "opamp"), stop.clone(), Ok(first), start))
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! { _ = one.recv() => {}, _ = other.recv() => {} }
}

/// Asks for a reload at each signal; the answer is in the log and on the board. Ends when the daemon does.
async fn reload_at(hangup: &mut Signal, control: &Control) {
    loop {
        hangup.recv().await;
        if control.ask(Command::Reload).await == Err(Refused::Ending) {
            return;
        }
    }
}

/// Asks for other filters when the files that they come from change. Ends when the daemon does.
async fn refresh_when(mut files: watch::Receiver<Vec<PathBuf>>, placed: &Placed, control: &Control) {
    let mut watch = Watch::new();
    watch.follow(files.borrow_and_update().clone());
    loop {
        let command = tokio::select! {
            others = files.changed() => match others {
                Ok(()) => {
                    watch.follow(files.borrow_and_update().clone());
                    continue;
                }
                Err(_) => return,
            },
            placed = placed.next() => {
                watch.takes(&placed);
                Command::Renew
            }
            files = watch.changed() => Command::Refresh(files),
        };
        if control.ask(command).await == Err(Refused::Ending) {
            return;
        }
    }
}
