//! The machine that flitch runs on.

use std::error::Error;
use std::ffi::CStr;
use std::io;
use std::sync::LazyLock;

use rustix::io::Errno;
use rustix::system::{Uname, uname};

/// Its name, as the kernel has it; `localhost` where it has none.
pub fn hostname() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let name = kernel("/proc/sys/kernel/hostname", Uname::nodename);
        if name.is_empty() { "localhost".to_owned() } else { name }
    });
    &NAME
}

/// The version of its kernel.
pub fn release() -> String {
    kernel("/proc/sys/kernel/osrelease", Uname::release)
}

/// What the kernel says of itself in a file, and by a call where there is none: a sandbox (seccomp) may refuse the call, which
/// the library believes cannot fail.
fn kernel(file: &str, call: impl FnOnce(&Uname) -> &CStr) -> String {
    let told = std::fs::read(file).map(|text| String::from_utf8_lossy(&text).into_owned());
    told.unwrap_or_else(|_| call(&uname()).to_string_lossy().into_owned()).trim().to_owned()
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
