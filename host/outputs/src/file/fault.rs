//! Whose fault an error is: that of one path, which costs the records that go there, or that of the disk or of the whole
//! output, which is waited out.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;

use super::super::WriteError;
use super::rotate::Stuck;

/// What becomes of the lines for one path that were not written.
#[derive(Debug)]
pub(super) enum Fault {
    /// They can never be written there: their records are refused, with this reason.
    Refused(String),
    /// They are to be written again.
    Again(WriteError),
}

/// What an error says about the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// No file can have this name.
    Name,
    /// Something at this path, or its rights, is in the way.
    Path,
    /// Nothing: the disk, the process, or another path.
    Disk,
}

fn kind(error: &io::Error) -> Kind {
    let error = Stuck::cause(error);
    match Errno::from_io_error(error) {
        Some(Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ) => Kind::Name,
        // A path with a NUL does not reach the kernel.
        None if error.kind() == io::ErrorKind::InvalidInput => Kind::Name,
        Some(
            Errno::ISDIR
            | Errno::NOTDIR
            | Errno::NOENT
            | Errno::LOOP
            | Errno::ACCESS
            | Errno::PERM
            | Errno::ROFS
            | Errno::NXIO
            | Errno::NODEV
            | Errno::TXTBSY
            | Errno::FBIG,
        ) => Kind::Path,
        None if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::NotADirectory) => {
            Kind::Path
        }
        _ => Kind::Disk,
    }
}

/// Where the paths of an output begin.
#[derive(Clone, Debug)]
pub(super) struct Root {
    /// The folder before the first field.
    folder: PathBuf,
    /// Whether records choose among paths: with one path for all there is no record that is at fault.
    pub many: bool,
}

impl Root {
    /// For paths that begin with `prefix`, an absolute path up to the first field.
    pub fn new(prefix: &str, many: bool) -> Root {
        let folder = Path::new(&prefix[..=prefix.rfind('/').unwrap_or(0)]);
        // Without a slash at its end: with one, a file in its place would count as not there.
        Root { folder: folder.components().collect(), many }
    }

    /// Judges an error of opening or making `path`.
    pub fn of_path(&self, path: &Path, error: &io::Error) -> Fault {
        let reason = format!("{}: {error}", path.display());
        match kind(error) {
            Kind::Name => Fault::Refused(reason),
            Kind::Path if !self.many => Fault::Again(WriteError::Denied { reason }),
            Kind::Path => match self.look(path.parent() == Some(&*self.folder)) {
                Ok(()) => Fault::Refused(reason),
                Err(wrong) => Fault::Again(classify(&wrong)),
            },
            Kind::Disk => Fault::Again(classify(&io::Error::new(error.kind(), reason))),
        }
    }

    /// Judges an error of writing to `path`, which is open.
    pub fn of_write(&self, path: &Path, error: &io::Error) -> Fault {
        match kind(error) {
            Kind::Path => self.of_path(path, error),
            _ => {
                Fault::Again(classify(&io::Error::new(error.kind(), format!("{}: {error}", path.display()))))
            }
        }
    }

    /// Looks whether the folder is there and can be used, or can be made; with `files` also whether it takes files. It
    /// makes none.
    pub fn look(&self, files: bool) -> io::Result<()> {
        let there = self.folder.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", there.display()));
        if !there.is_dir() {
            return Err(named(Errno::NOTDIR.into()));
        }
        let access = |wanted| rustix::fs::access(there, wanted).map_err(io::Error::from);
        access(Access::EXEC_OK).map_err(named)?;
        match access(Access::WRITE_OK) {
            // Folders below it may be others' gifts.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied && !files && there == self.folder => Ok(()),
            other => other.map_err(named),
        }
    }
}

/// What a disk's error means for the delivery loop.
pub(super) fn classify(error: &io::Error) -> WriteError {
    let reason = error.to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::Busy { after: None, reason },
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory => WriteError::Denied { reason },
        _ => WriteError::Unreachable { reason },
    }
}
