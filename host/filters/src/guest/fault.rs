//! Why an instance is thrown away.

use std::fmt;

use rustix::io::Errno;

use super::voice::{MAX_REASON, one_line};

/// Why an instance cannot be used any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What happened, for people.
    pub reason: String,
    /// What the machine lacked for an instance, where that is why, and nothing is wrong with the plugin.
    pub lacks: Option<Errno>,
}

/// The kinds of faults, as metrics name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The guest trapped: a panic, an index out of bounds, the end of its stack.
    Trap,
    /// It took longer than it may.
    Deadline,
    /// It wanted more memory than it may have.
    Memory,
    /// Its answer was too large, or no sense.
    Answer,
    /// A new instance could not be made.
    Start,
}

impl Fault {
    /// A fault. What the guest had a say in is kept to a line of no more than [`MAX_REASON`] bytes.
    pub fn new(kind: FaultKind, reason: &str) -> Fault {
        Fault { kind, reason: one_line(reason, MAX_REASON).into_owned(), lacks: None }
    }

    /// The machine lacks what an instance takes.
    pub fn lacking(errno: Errno) -> Fault {
        let reason = match errno {
            Errno::NOMEM => {
                "the system gives no memory for another instance, which takes some 4 GiB of addresses besides: \
                 `ulimit -v` (`LimitAS=` of systemd) has to be unlimited"
            }
            _ => "the system has no room for another instance",
        };
        Fault { lacks: Some(errno), ..Fault::new(FaultKind::Start, reason) }
    }

    /// An answer that is no sense.
    pub fn nonsense(reason: impl fmt::Display) -> Fault {
        Fault::new(FaultKind::Answer, &reason.to_string())
    }
}

impl FaultKind {
    /// The name in metrics and reasons.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Trap => "trap",
            FaultKind::Deadline => "deadline",
            FaultKind::Memory => "memory",
            FaultKind::Answer => "answer",
            FaultKind::Start => "start",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.reason)?;
        self.lacks.map_or(Ok(()), |errno| write!(f, ": {errno}"))
    }
}
