//! Files and folders that are nobody else's: what flitch keeps holds records, and so what users wrote.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::durable::sync_folder_of;

/// Rights of the owner's group and of everybody else.
const OTHERS: u32 = 0o077;

/// Makes a folder that only its owner can enter (0700), with those above it. One that is there stays as it is. What root makes
/// gets the owner of what it lies in.
///
/// # Errors
/// The system's.
pub fn folder(path: &Path) -> io::Result<()> {
    make(path, 0o700)
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    make(above, 0o777)?;
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        made => made?,
    }
    match heir(above)? {
        // Not by its path, behind which the owner of what it lies in may have put something else by now.
        Some(_) => {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            give(&File::from(rustix::fs::open(path, flags, Mode::empty())?), above)
        }
        None => Ok(()),
    }
}

/// Whose a thing in this folder is to be that root makes: its owner's, who could not use it otherwise. None where this user is
/// not root, or the folder root's.
fn heir(folder: &Path) -> io::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let there = fs::metadata(folder)?;
    Ok((there.uid() != 0).then(|| (there.uid(), there.gid())))
}

/// Gives what was just made in a folder to whoever is to have it.
fn give(made: &File, folder: &Path) -> io::Result<()> {
    match heir(folder)? {
        Some((owner, group)) => fchown(made, Some(owner), Some(group)),
        None => Ok(()),
    }
}

/// Opens a file with these options. One that is made, only its owner can read and write (0600), and where root makes it that is
/// the owner of its folder; of one that is there, and is the owner's, the rights of everybody else are taken away.
///
/// # Errors
/// The system's. That the rights of a file cannot be changed is none.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let folder = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let is_new = rustix::process::geteuid().is_root() && fs::symlink_metadata(path).is_err();
    let file = options.mode(0o600).open(path)?;
    // One that others have put there meanwhile, or to which they have led, is not given away.
    if is_new && file.metadata().is_ok_and(|there| there.uid() == 0 && there.len() == 0) && is_at(&file, path)
    {
        give(&file, folder)?;
    }
    if let Ok(there) = file.metadata()
        && there.is_file()
        && there.mode() & OTHERS != 0
    {
        // Only the owner may; a file of somebody else is theirs to close.
        let _ = file.set_permissions(fs::Permissions::from_mode(there.mode() & 0o700));
    }
    Ok(file)
}

/// Whether this is what lies at `path`, and nowhere else.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    open.nlink() == 1 && (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// What the file is called that [`replace`] writes before it takes the place of the other one: a crash can leave it.
pub const ASIDE: &str = "new";

/// Writes a file anew in one moment: whoever reads it, also after a crash, has all of it or what was there before. It is on disk
/// when this returns, and only its owner can read it. One process at a time may do so.
///
/// # Errors
/// The system's, or that of `write`; what was there is there.
pub fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let aside = path.with_added_extension(ASIDE);
    let mut out = BufWriter::new(open(OpenOptions::new().write(true).create(true).truncate(true), &aside)?);
    write(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&aside, path)?;
    sync_folder_of(path)
}

/// Takes the rights of everybody else from a folder that is flitch's own: one that is empty, as a new file system is but for its
/// `lost+found`, or holds `mark`. Any other one may be there for more than flitch, and is left.
///
/// # Errors
/// The folder stays open to others; the text says why.
pub fn close_folder(path: &Path, mark: &str) -> Result<(), String> {
    let there = fs::metadata(path).map_err(|error| error.to_string())?;
    if there.mode() & OTHERS == 0 {
        return Ok(());
    }
    let is_nobodys =
        |entry: std::io::Result<fs::DirEntry>| entry.is_ok_and(|it| it.file_name() == "lost+found");
    let is_empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.all(is_nobodys));
    if !path.join(mark).exists() && !is_empty() {
        return Err("it holds more than flitch's own files".to_owned());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(there.mode() & 0o700))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        let base = tempfile::tempdir().unwrap();
        let (above, path) = (base.path().join("above"), base.path().join("above/own"));
        folder(&path).unwrap();
        folder(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_ne!(mode(&above), 0o700, "what is above belongs to others too");
        let file = path.join("letters");
        open(OpenOptions::new().append(true).create(true), &file).unwrap();
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn what_root_makes_belongs_to_the_owner_of_what_it_lies_in() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let base = tempfile::tempdir().unwrap();
        let (data, roots) = (base.path().join("data"), base.path().join("roots"));
        fs::create_dir(&data).unwrap();
        std::os::unix::fs::chown(&data, Some(1234), Some(5678)).unwrap();
        let owner = |path: &Path| fs::symlink_metadata(path).map(|there| (there.uid(), there.gid())).unwrap();
        let (blobs, file) = (data.join("registry/blobs/sha256"), data.join("registry/tag.json"));
        folder(&blobs).unwrap();
        replace(&file, |out| out.write_all(b"one")).unwrap();
        replace(&file, |out| out.write_all(b"two")).unwrap();
        for path in [&data.join("registry"), &data.join("registry/blobs"), &blobs, &file] {
            assert_eq!(owner(path), (1234, 5678), "{}", path.display());
        }
        // A link of the owner's leads to nothing that would be theirs then.
        let elsewhere = base.path().join("shadow");
        fs::write(&elsewhere, "").unwrap();
        std::os::unix::fs::symlink(&elsewhere, data.join("link")).unwrap();
        open(OpenOptions::new().write(true).create(true), &data.join("link")).unwrap();
        fs::hard_link(&elsewhere, data.join("other")).unwrap();
        open(OpenOptions::new().write(true).create(true), &data.join("other")).unwrap();
        folder(&roots).unwrap();
        assert_eq!((owner(&elsewhere), owner(&roots)), ((0, 0), (0, 0)));
    }

    #[test]
    fn a_file_that_is_there_is_closed_to_others_when_it_is_opened() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("letters");
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
        open(OpenOptions::new().read(true), &file).unwrap();
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_written_anew_stays_what_it_was() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("letters.json");
        replace(&file, |out| out.write_all(b"one")).unwrap();
        let cut = |out: &mut BufWriter<File>| {
            out.write_all(b"tw")?;
            out.flush()?;
            Err(io::Error::other("cut"))
        };
        assert_eq!(replace(&file, cut).unwrap_err().to_string(), "cut");
        assert_eq!((fs::read(&file).unwrap(), mode(&file)), (b"one".to_vec(), 0o600));
        replace(&file, |out| out.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_of_its_own_is_closed_and_one_that_holds_more_is_left() {
        let base = tempfile::tempdir().unwrap();
        let open_to_all = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        let path = base.path().join("data");
        fs::create_dir(&path).unwrap();
        open_to_all(&path);
        close_folder(&path, "lock").unwrap();
        assert_eq!(mode(&path), 0o700, "an empty one");
        fs::create_dir(path.join("lost+found")).unwrap();
        open_to_all(&path);
        close_folder(&path, "lock").unwrap();
        assert_eq!(mode(&path), 0o700, "a new file system");
        fs::write(path.join("photo"), "").unwrap();
        open_to_all(&path);
        assert!(close_folder(&path, "lock").unwrap_err().contains("more than flitch's own"));
        assert_eq!(mode(&path), 0o755);
        fs::write(path.join("lock"), "").unwrap();
        close_folder(&path, "lock").unwrap();
        assert_eq!(mode(&path), 0o700, "one with the mark");
    }
}
