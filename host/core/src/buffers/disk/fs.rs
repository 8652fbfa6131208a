//! What a buffer wants of a file system; tests bring one that fails.

use std::any::Any;
use std::fmt::Debug;
use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;

use arrow_buffer::Buffer;

use crate::{durable, file_stamp, private};

/// Most parts of one call to write (`IOV_MAX` of Linux).
const PARTS: usize = 1024;

/// Folders and the names in them.
pub trait Fs: Debug + Send + Sync {
    /// Makes a folder that nobody but its owner can enter, if it is not there.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// Takes a file's lock, and makes the file if it is not there, for as long as the answer lives.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where another process, or another buffer, has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send>>;

    /// The names of all files in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Makes a file to read and write; one that is there is emptied.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens a file to read, and to write where it may be written.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Gives a file another name; a file of that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder outlive a crash.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file.
pub trait File: Send {
    /// Whether `path` leads to it: somebody may have taken it away.
    fn is_at(&self, path: &Path) -> bool;

    /// How many bytes it has.
    fn length(&self) -> io::Result<u64>;

    /// Reads exactly so many bytes from there.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where there are fewer.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;

    /// Writes all parts, one after the other, from there.
    fn write_at(&self, parts: &[Buffer], at: u64) -> io::Result<()>;

    /// Cuts it off.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes what was written outlive a crash.
    fn sync(&self) -> io::Result<()>;
}

/// The machine's.
#[derive(Debug)]
pub struct Real;

impl Fs for Real {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        private::folder(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send>> {
        let mut options = OpenOptions::new();
        let file = private::open(options.read(true).write(true).create(true).truncate(false), path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(folder)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut options = OpenOptions::new();
        Ok(Box::new(private::open(options.read(true).write(true).create(true).truncate(true), path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Ok(Box::new(fs::File::open(path)?))
            }
            opened => Ok(Box::new(opened?)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        durable::sync_folder(folder)
    }
}

impl File for fs::File {
    fn is_at(&self, path: &Path) -> bool {
        file_stamp::is_at(self, path)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, at)
    }

    fn write_at(&self, parts: &[Buffer], mut at: u64) -> io::Result<()> {
        for parts in parts.chunks(PARTS) {
            let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            let mut left = slices.as_mut_slice();
            IoSlice::advance_slices(&mut left, 0);
            while !left.is_empty() {
                let written = match rustix::io::pwritev(self, left, at) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => written,
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                };
                at += written as u64;
                IoSlice::advance_slices(&mut left, written);
            }
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
