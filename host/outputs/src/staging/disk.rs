//! What is asked of the disk for objects in the making: in one place, so that tests can let it fail at each of these calls.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use flitch_core::durable;

#[cfg(test)]
pub(super) mod faults;

/// Writes bytes at a place of a file.
///
/// # Errors
/// The system's; some of the bytes may be there then.
pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    #[cfg(test)]
    if let Err((part, error)) = faults::write(bytes.len()) {
        file.write_all_at(&bytes[..part], at)?;
        return Err(error);
    }
    file.write_all_at(bytes, at)
}

/// Makes what is in a file outlive a crash.
///
/// # Errors
/// The system's.
pub(super) fn sync(file: &File, _path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call()?;
    file.sync_data()?;
    #[cfg(test)]
    faults::synced(_path);
    Ok(())
}

/// Makes the names in a folder outlive a crash.
///
/// # Errors
/// The system's.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call()?;
    durable::sync_folder(folder)
}

/// Makes all that is on the file system of a folder outlive a crash.
///
/// # Errors
/// The system's.
pub(super) fn sync_all(folder: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call()?;
    rustix::fs::syncfs(File::open(folder)?)?;
    #[cfg(test)]
    std::fs::read_dir(folder)?.flatten().for_each(|file| faults::synced(&file.path()));
    Ok(())
}

/// Cuts a file off.
///
/// # Errors
/// The system's.
pub(super) fn cut(file: &File, length: u64) -> io::Result<()> {
    #[cfg(test)]
    faults::call()?;
    file.set_len(length)
}

/// Gives a file another name; a file of that name is replaced.
///
/// # Errors
/// The system's.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::call()?;
    std::fs::rename(from, to)?;
    #[cfg(test)]
    faults::renamed(from, to);
    Ok(())
}
