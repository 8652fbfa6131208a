//! The machine that flitch runs on.

use std::error::Error;
use std::io;
use std::sync::LazyLock;

use rustix::io::Errno;

/// Its name, as the kernel has it; `localhost` where it has none.
pub fn hostname() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let name = rustix::system::uname().nodename().to_string_lossy().trim().to_owned();
        if name.is_empty() { "localhost".to_owned() } else { name }
    });
    &NAME
}

/// What the machine may lack for a while.
const PASSING: [Errno; 6] =
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN, Errno::INTR];

/// Whether what the machine lacks comes back by itself, and what was asked for is as it was: descriptors, memory, threads.
pub fn is_passing(error: &io::Error) -> bool {
    lacking(error).is_some()
}

/// What the machine lacks, where this says it.
pub fn lacking(error: &(dyn Error + 'static)) -> Option<Errno> {
    let of_the_system = || Errno::from_io_error(error.downcast_ref()?);
    error.downcast_ref().copied().or_else(of_the_system).filter(|errno| PASSING.contains(errno))
}

/// Whether something failed for what the machine lacks, and for nothing that is wrong with it.
pub fn lacks(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| lacking(cause).is_some())
}

#[cfg(test)]
mod tests;
