use anyhow::Context;

use super::*;

#[test]
fn what_the_machine_lacks_is_told_from_what_is_wrong_however_deep_it_lies() {
    let of_the_system = |errno: Errno| anyhow::Error::from(io::Error::from(errno)).context("no thread");
    assert!(lacks(&of_the_system(Errno::AGAIN).context("a filter")));
    let bare: anyhow::Result<()> = Err(Errno::NOMEM).context("no instance");
    assert_eq!(lacking(&io::Error::from(Errno::MFILE)), Some(Errno::MFILE));
    assert!(lacks(&bare.unwrap_err()), "as the engine of plugins says it");
    for wrong in [Errno::NOENT, Errno::ACCESS, Errno::IO, Errno::NOSPC] {
        assert!(!lacks(&of_the_system(wrong)), "{wrong}");
    }
    assert!(!lacks(&anyhow::anyhow!("Cannot allocate memory (os error 12)")), "whatever a plugin says");
}

#[test]
fn the_kernel_says_the_same_in_its_files_as_when_it_is_called() {
    for (file, call) in [
        ("/proc/sys/kernel/hostname", Uname::nodename as fn(&Uname) -> &CStr),
        ("/proc/sys/kernel/osrelease", Uname::release),
    ] {
        assert_eq!(kernel(file, call), kernel("/proc/there is none", call), "{file}");
    }
}
