//! What outlives a crash of the machine beside the content of files: their names.

use std::fs::File;
use std::io;
use std::path::Path;

/// Forces the names in a folder to the disk: files that were made there, renamed or removed. Some file systems know no such
/// thing (shared folders of virtual machines, 9p): there is nothing to do then.
///
/// # Errors
/// The system's.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// The same for the folder in which a file lies.
///
/// # Errors
/// The system's.
pub fn sync_folder_of(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => sync_folder(folder),
        _ => sync_folder(Path::new(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_forced_to_the_disk_is_no_fault_and_one_that_is_not_there_is() {
        // The kernel forces none of its own to a disk, as it does none of a virtual machine's shared folders.
        let refused = File::open("/proc").unwrap().sync_all().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        sync_folder(Path::new("/proc")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        sync_folder(folder.path()).unwrap();
        let missing = sync_folder_of(&folder.path().join("not/there")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_bare_name_lies_in_the_folder_where_one_is() {
        sync_folder_of(Path::new("file")).unwrap();
    }
}
