//! The signals that a run answers to, and those that it lets go.

use tokio::signal::unix::{Signal, SignalKind, signal};

use flitch_core::children;

/// Signals that would end the process, and mean something to other collectors, so that scripts for these may send them.
const STRANGE: [(&str, rustix::process::Signal); 2] =
    [("SIGUSR1", rustix::process::Signal::USR1), ("SIGUSR2", rustix::process::Signal::USR2)];

/// The signals that a run answers to. From when there are these, none of them ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    pub(super) term: Signal,
    pub(super) interrupt: Signal,
    pub(super) hangup: Signal,
    pub(super) strange: Strange,
    pub(super) orphans: Orphans,
}

impl Signals {
    /// Keeps what asks for no end from ending the process until there are [`Signals`], also in a program that takes the place
    /// of this one. A SIGHUP that comes meanwhile is answered by the start itself: the configuration is read after it.
    pub fn let_go() {
        let hangup = ("SIGHUP", rustix::process::Signal::HUP);
        for (_, signal) in STRANGE.into_iter().chain([hangup]) {
            // SAFETY: a signal that is ignored runs nothing.
            unsafe { libc::signal(signal.as_raw(), libc::SIG_IGN) };
        }
    }

    /// Inside of a runtime.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> std::io::Result<Signals> {
        // A file that reaches the limit on their size (`LimitFSIZE=` of systemd) is an error of its write, as a full disk is.
        // What was asked for once never ends the process again.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        let of = |(name, number): (&'static str, rustix::process::Signal)| -> std::io::Result<_> {
            Ok((name, signal(SignalKind::from_raw(number.as_raw()))?))
        };
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            strange: Strange([of(STRANGE[0])?, of(STRANGE[1])?]),
            orphans: Orphans::given()?,
        })
    }
}

/// Hears of the ends of children, where this is the first process of a container: the system gives it those whose parents have
/// ended before them.
#[derive(Debug)]
pub(super) struct Orphans(Option<Signal>);

impl Orphans {
    fn given() -> std::io::Result<Orphans> {
        let is_first = std::process::id() == 1;
        Ok(Orphans(is_first.then(|| signal(SignalKind::child())).transpose()?))
    }

    /// Takes leave of those that have ended, for as long as this is asked.
    pub async fn taken_leave_of(self) {
        let Some(mut ends) = self.0 else { return };
        loop {
            let strangers = children::take_leave();
            if strangers > 0 {
                tracing::debug!(strangers, "processes have ended that others had begun");
            }
            ends.recv().await;
        }
    }
}

/// Signals that mean nothing here.
#[derive(Debug)]
pub(super) struct Strange([(&'static str, Signal); STRANGE.len()]);

impl Strange {
    /// Says of each of them once that it is let go.
    pub async fn told(self) {
        let told = async |(name, mut signal): (&str, Signal)| {
            signal.recv().await;
            tracing::warn!(
                signal = name,
                "a signal that means nothing here is let go: SIGHUP reads the configuration again, and files that are \
                 rotated are followed and begun anew without one"
            );
        };
        let [one, other] = self.0;
        tokio::join!(told(one), told(other));
    }
}

#[cfg(test)]
mod tests;
