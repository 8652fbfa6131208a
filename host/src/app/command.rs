//! What can be asked of the daemon while it runs. All of it goes through one channel, one after the other, and is
//! answered; to end is the one thing that waits for nothing before it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use flitch_opamp::Kept as Sent;
use flitch_registry::Fetched;

/// Commands that may wait; who sends one more waits himself.
const WAITING: usize = 16;

/// A change of the running daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read the configuration file again, and put it into force.
    Reload,
    /// Look at these files of plugins again, and put those that changed into force.
    Refresh(BTreeSet<PathBuf>),
    /// The same, since tags of registries have come to stand for other plugins.
    Renew,
    /// Put what the file of this filter's plugin holds now into force, and nothing else.
    Swap(String),
    /// Put the generation before of this filter back.
    Rollback(String),
    /// Put what the server sent that manages this flitch into force, in place of the configuration file; none for that of
    /// the file.
    Manage(Option<Arc<Sent>>),
    /// Drain and end, and have the process begin anew, unless it could not start again.
    Restart,
    /// Put a package of the server in the place of what is here of that name, and put it into force where filters name it.
    Install(Arc<Fetched>),
    /// Forget a package of the server, if nothing needs it.
    Forget(String),
}

/// What a command came to.
pub type Answer = Result<Applied, Refused>;

/// A configuration is in force.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Filters that run other code than before, or with other settings.
    pub changed: Vec<Arc<str>>,
    /// Filters that go on with the code that they have, since what is in their files cannot be used.
    pub kept: Vec<Kept>,
}

/// A filter that goes on with the code that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name in the configuration.
    pub filter: String,
    /// Why what is in its file cannot be used.
    pub reason: String,
    /// Whether that is for what the machine lacks, so that it may be usable in a while.
    pub lacks: bool,
}

impl Applied {
    /// Whether a filter goes on with its code for what the machine lacks.
    pub fn lacks(&self) -> bool {
        self.kept.iter().any(|kept| kept.lacks)
    }
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "filters.{}: {}", self.filter, self.reason)
    }
}

/// What ran before goes on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The configuration cannot be put to work.
    #[error("{line}")]
    Config {
        /// What is wrong with it, with the lines of the file: for the log alone.
        report: String,
        /// The same without them.
        line: String,
    },
    /// There is no such filter.
    #[error("{}", no_filter(.name, .known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The filters that there are.
        known: Vec<String>,
    },
    /// There is no generation before of this filter, or it is back already.
    #[error(
        "there is nothing to go back to for `{0}`: nothing took its place since flitch started, or it is back already"
    )]
    NothingBefore(String),
    /// The daemon ends.
    #[error("flitch is ending")]
    Ending,
}

/// What is said to whoever asks for a filter that is none of those known.
pub fn no_filter(name: &str, known: &[impl AsRef<str>]) -> String {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    match &*known {
        [] => format!("there is no filter `{name}`, nor any other"),
        known => format!("there is no filter `{name}`; there are {}", known.join(", ")),
    }
}

/// A command, and who waits for the answer.
pub(crate) struct Request {
    pub command: Command,
    pub answer: oneshot::Sender<Answer>,
}

/// Takes commands to the daemon.
#[derive(Clone, Debug)]
pub struct Control {
    requests: mpsc::Sender<Request>,
    end: CancellationToken,
    again: Arc<AtomicBool>,
}

impl Control {
    /// A control, and the other end, where the daemon takes what it is asked.
    pub(crate) fn new() -> (Control, mpsc::Receiver<Request>) {
        let (requests, taken) = mpsc::channel(WAITING);
        (Control { requests, end: CancellationToken::new(), again: Arc::default() }, taken)
    }

    /// Has a command done; waits for those before it.
    ///
    /// # Errors
    /// Nothing has changed, and why.
    pub async fn ask(&self, command: Command) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { command, answer }).await.map_err(|_| Refused::Ending)?;
        tokio::select! {
            biased;
            answer = answered => answer.map_err(|_| Refused::Ending)?,
            // What is sent in the moment in which the daemon lets go of the other end is in nobody's hands.
            () = self.requests.closed() => Err(Refused::Ending),
        }
    }

    /// Makes the daemon drain and end, whatever it is about.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// Makes the daemon drain and end, and the process begin anew.
    pub fn restart(&self) {
        self.again.store(true, Ordering::Relaxed);
        self.end();
    }

    /// Whether the process is to begin anew when the daemon has ended.
    pub(super) fn is_to_restart(&self) -> bool {
        self.again.load(Ordering::Relaxed)
    }

    /// Cancelled when the daemon is to end.
    pub(super) fn ending(&self) -> &CancellationToken {
        &self.end
    }
}
