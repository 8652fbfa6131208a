//! Lets calls of this thread fail, and knows what would outlive a crash of the machine.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Faults {
    /// Calls until one fails.
    left: Option<u64>,
    /// How much of a write is there that fails, in quarters.
    quarters: u64,
    /// Whether everything fails after that.
    dies: bool,
    dead: bool,
    /// The calls so far.
    calls: u64,
    /// How long each file was when it was synced last.
    synced: HashMap<PathBuf, u64>,
}

thread_local! {
    static FAULTS: RefCell<Faults> = RefCell::default();
}

/// Lets one call fail after so many, and all after it where the process `dies`. A write that fails is there in part.
pub(in super::super) fn fail_after(calls: u64, dies: bool) {
    FAULTS.with_borrow_mut(|faults| {
        (faults.left, faults.dies, faults.quarters) = (Some(calls), dies, calls % 5);
    });
}

/// Nothing fails any more, and nothing is known. Answers how many calls there were.
pub(in super::super) fn mend() -> u64 {
    FAULTS.take().calls
}

/// How many bytes of a file outlive a crash.
pub(in super::super) fn outlives(path: &Path) -> u64 {
    FAULTS.with_borrow(|faults| faults.synced.get(path).copied().unwrap_or(0))
}

/// Whether a call goes through that writes so much; if not, how much of it is there.
pub(super) fn write(bytes: usize) -> Result<(), (usize, io::Error)> {
    // The system's own, as of a disk that is full.
    let broken = || io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
    FAULTS.with_borrow_mut(|faults| {
        if faults.dead {
            return Err((0, broken()));
        }
        faults.calls += 1;
        match &mut faults.left {
            None => Ok(()),
            Some(0) => {
                faults.left = None;
                faults.dead = faults.dies;
                Err((bytes * faults.quarters as usize / 4, broken()))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    })
}

pub(super) fn call() -> io::Result<()> {
    write(0).map_err(|(_, error)| error)
}

pub(super) fn synced(path: &Path) {
    let length = std::fs::metadata(path).map_or(0, |file| file.len());
    FAULTS.with_borrow_mut(|faults| faults.synced.insert(path.to_owned(), length));
}

pub(super) fn renamed(from: &Path, to: &Path) {
    FAULTS.with_borrow_mut(|faults| {
        let length = faults.synced.remove(from).unwrap_or(0);
        faults.synced.insert(to.to_owned(), length)
    });
}
