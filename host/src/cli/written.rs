//! Files that commands write for people: whole, or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use anyhow::Context;

use flitch_core::private;

/// Writes a file in one moment. One that is there is replaced, and keeps its owner and its rights; behind a link, that is the one
/// that the link leads to. What is no file, such as `/dev/stdout`, is written to as it is.
///
/// # Errors
/// It cannot be written, with its path; what was there stays.
pub fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let before = match fs::metadata(path) {
        Ok(there) if there.is_file() => Some(there),
        Ok(_) => return fs::write(path, bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let to = if before.is_some() { path.canonicalize()? } else { path.to_owned() };
    let mut name = std::ffi::OsString::from(".");
    name.push(to.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    let aside = to.with_file_name(name);
    let put = || {
        let options = &mut OpenOptions::new();
        let options = options.write(true).create_new(true);
        let mut file = match &before {
            // There may be secrets in it: nobody else reads it before its rights are those of the other.
            Some(_) => private::open(options, &aside)?,
            None => options.open(&aside)?,
        };
        file.write_all(bytes)?;
        if let Some(before) = &before {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
                fchown(&file, Some(before.uid()), Some(before.gid()))?;
            }
            file.set_permissions(before.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&aside, &to)
    };
    put().inspect_err(|_| drop(fs::remove_file(&aside)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_rights_also_behind_a_link_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        replace(&at("new"), b"one").unwrap();
        fs::set_permissions(at("new"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("new", at("link")).unwrap();
        replace(&at("link"), b"two").unwrap();
        assert_eq!(fs::read(at("new")).unwrap(), b"two");
        assert_eq!(fs::metadata(at("new")).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        replace(Path::new("/dev/null"), b"three").unwrap();
        for wrong in [at("missing/file"), folder.path().to_owned()] {
            let error = format!("{:#}", replace(&wrong, b"four").unwrap_err());
            assert!(error.contains(&wrong.display().to_string()), "{error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_has_no_room_is_told_with_its_path() {
        let error = format!("{:#}", replace(Path::new("/dev/full"), b"text").unwrap_err());
        assert!(error.contains("/dev/full") && error.contains("No space left"), "{error}");
    }
}
