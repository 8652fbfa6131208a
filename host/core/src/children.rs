//! The processes that this one has begun; and those that the system gives it where it is the first of a container, which have lost
//! their parents there. Nobody but the first takes leave of those, and each that has ended holds a place among the processes that
//! there may be.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::LazyLock;

use parking_lot::Mutex;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait, waitpid};

/// Those that somebody here has begun, and how they ended, where they have. Whoever takes leave of anybody holds it.
static BEGUN: LazyLock<Mutex<HashMap<Pid, Option<WaitStatus>>>> = LazyLock::new(Mutex::default);

/// A process that was begun here. Whoever has begun it waits for its end.
#[derive(Debug)]
pub struct Begun {
    /// Its pipes.
    pub child: Child,
    /// Its number.
    pub pid: Pid,
}

impl Begun {
    /// Begins a process.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn new(command: &mut Command) -> io::Result<Begun> {
        // It may end before it is known.
        let mut begun = BEGUN.lock();
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        begun.insert(pid, None);
        Ok(Begun { child, pid })
    }

    /// How it has ended, if it has.
    ///
    /// # Errors
    /// The system's.
    pub fn ended(&self) -> io::Result<Option<ExitStatus>> {
        let mut begun = BEGUN.lock();
        let mut ended = begun.get(&self.pid).copied().flatten();
        if ended.is_none() {
            ended = waitpid(Some(self.pid), WaitOptions::NOHANG)?.map(|(_, status)| status);
            begun.insert(self.pid, ended);
        }
        Ok(ended.map(|status| ExitStatus::from_raw(status.as_raw())))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        BEGUN.lock().remove(&self.pid);
    }
}

/// Takes leave of all children that have ended, and answers how many of them nobody here has begun. How the others have ended
/// stays known.
pub fn take_leave() -> usize {
    let mut begun = BEGUN.lock();
    let mut strangers = 0;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        match begun.get_mut(&pid) {
            Some(ended) => *ended = Some(status),
            None => strangers += 1,
        }
    }
    strangers
}

#[cfg(test)]
mod tests;
