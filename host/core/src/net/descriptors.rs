//! File descriptors: how many the process may hold, and how many a configuration may come to need.

use std::io;
use std::os::unix::net::UnixStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process holds beside what the configuration names: log, event loop, data folder, dead letters, a plugin
/// that is read.
const OWN: u64 = 64;

/// Raises the limit on open files to the one that the system allows at most. The lower one is there for programs that
/// use select(2), which this one does not. Answers the limit; none where there is no limit.
///
/// # Errors
/// The system refuses it; then the lower limit stays.
pub fn raise() -> io::Result<Option<u64>> {
    let Rlimit { current, maximum } = limit();
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(maximum)
}

/// The limit that [`raise`] raises to.
pub fn most() -> Option<u64> {
    limit().maximum
}

/// The limit of now, from a file of the kernel where there is one: a sandbox (seccomp) may refuse the call, which the library
/// believes cannot fail.
fn limit() -> Rlimit {
    let told = std::fs::read_to_string("/proc/self/limits").ok();
    told.as_deref().and_then(told_by).unwrap_or_else(|| getrlimit(Resource::Nofile))
}

/// The limit in such a file (proc_pid_limits(5)).
fn told_by(text: &str) -> Option<Rlimit> {
    let mut words = text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace();
    let mut number = || match words.next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    };
    Some(Rlimit { current: number()?, maximum: number()? })
}

/// The process can open no more files.
#[derive(Debug, thiserror::Error)]
#[error("the process may open no more files (`ulimit -n` and `LimitNOFILE=` of systemd bound them)")]
pub struct NoDescriptor(#[source] pub io::Error);

/// Sees that so many descriptors can be opened at once, for a library that panics where they cannot.
///
/// # Errors
/// They cannot.
pub fn are_to_be_had(count: usize) -> Result<(), NoDescriptor> {
    let pairs = (0..count.div_ceil(2)).map(|_| UnixStream::pair());
    pairs.collect::<io::Result<Vec<_>>>().map(drop).map_err(NoDescriptor)
}

/// More descriptors than the system allows.
#[derive(Debug, PartialEq, Eq)]
pub struct Excess {
    /// What the configuration may hold open at once.
    pub needed: u64,
    /// What the system allows.
    pub most: u64,
    /// The part that may hold most of it, as it is called in the configuration, and how much that is.
    pub largest: (String, u64),
}

/// Whether `parts`, as they are called in the configuration and with what each may hold, may come to hold more
/// descriptors together than `most`.
pub fn excess(parts: Vec<(String, u64)>, most: Option<u64>) -> Option<Excess> {
    let most = most?;
    let needed = parts.iter().map(|(_, needs)| needs).fold(OWN, |sum, needs| sum.saturating_add(*needs));
    let largest = parts.into_iter().max_by_key(|(_, needs)| *needs)?;
    (needed > most).then_some(Excess { needed, most, largest })
}

#[cfg(test)]
mod tests;
