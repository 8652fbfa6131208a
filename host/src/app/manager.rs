//! What the service manager that started flitch is told, by the protocol of systemd's `sd_notify(3)`: when it is ready,
//! that it reads its configuration again, that it drains, and that it is alive. Where none listens nothing is sent.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;

/// How long beyond the drain timeout the end may take: parts that have given up close what they hold.
const CLOSING: Duration = Duration::from_secs(15);

/// All parts run.
pub(super) fn ready(pipelines: usize) {
    tell(&[NotifyState::Ready, NotifyState::Status(&running(pipelines))]);
}

/// The configuration is read again. Until [`reloaded`] the manager takes flitch for reloading.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => {
            tell(&[NotifyState::Reloading, now, NotifyState::Status("reading the configuration again")])
        }
        Err(error) => cannot(&error),
    }
}

/// What was read is in force, or it was `refused`. More people may ask the manager than may read the configuration: the
/// reason is in the log.
pub(super) fn reloaded(pipelines: usize, refused: bool) {
    let mut status = running(pipelines);
    if refused {
        status += "; a new configuration was refused, see the log";
    }
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// What is on its way arrives, for at most `timeout`: as long as that the manager is asked to wait.
pub(super) fn draining(timeout: Duration) {
    let within = u32::try_from((timeout + CLOSING).as_micros()).unwrap_or(u32::MAX);
    let status = format!("draining, for at most {timeout:?}");
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(within), NotifyState::Status(&status)]);
}

/// Does `work`, and tells a manager that watches (`WatchdogSec=`) that it goes on: from the task that works, so that one
/// that blocks is not taken for alive.
pub(super) async fn watched<T>(work: impl Future<Output = T>) -> T {
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| !within.is_zero()) else {
        return work.await;
    };
    // Half of it, as the manual asks for: one beat may be late.
    let mut beats = tokio::time::interval(within / 2);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let beat = async {
        loop {
            beats.tick().await;
            tell(&[NotifyState::Watchdog]);
        }
    };
    tokio::select! { done = work => done, () = beat => unreachable!("it beats for ever") }
}

fn running(pipelines: usize) -> String {
    format!("running {pipelines} {}", if pipelines == 1 { "pipeline" } else { "pipelines" })
}

fn tell(states: &[NotifyState<'_>]) {
    let told = match std::env::var_os("NOTIFY_SOCKET").as_deref().map(OsStr::as_bytes) {
        Some([b'@', name @ ..]) => in_abstract(name, states),
        _ => sd_notify::notify(states),
    };
    if let Err(error) = told {
        cannot(&error);
    }
}

/// The same by a socket that lies in no folder: of Linux alone, and what some managers of containers have.
fn in_abstract(name: &[u8], states: &[NotifyState<'_>]) -> io::Result<()> {
    let text: String = states.iter().map(|state| format!("{state}\n")).collect();
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(text.as_bytes(), &SocketAddr::from_abstract_name(name)?)?;
    Ok(())
}

/// A manager that is not told that flitch is alive ends it: that shows by itself, and one line a minute says why.
fn cannot(error: &io::Error) {
    static SAID: std::sync::OnceLock<flitch_core::telemetry::Quiet> = std::sync::OnceLock::new();
    if SAID.get_or_init(flitch_core::telemetry::Quiet::a_minute).may_say() {
        tracing::warn!(%error, "the service manager cannot be told (NOTIFY_SOCKET)");
    }
}
