//! Files that a configuration names and that are read whole: a key, a table, a plugin.
//!
//! Where a pipe stands in the place of one, to open it waits for somebody to write to it, and a device may never end. Both
//! are refused at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a regular file.
///
/// # Errors
/// There is none that may be read, or something else stands there.
pub fn open(path: &Path) -> io::Result<File> {
    // Without it a pipe that nobody writes to would be waited for here.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let there = file.metadata()?;
    if there.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    if !there.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// Reads all of a file.
///
/// # Errors
/// As of [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::with_capacity(file.metadata()?.len() as usize);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file as text, without the byte order mark that editors of Windows put before it.
///
/// # Errors
/// As of [`open`], and it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(read(path)?);
    let text = text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))?;
    Ok(without_mark(&text).to_owned())
}

/// A text without the byte order mark before it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_at_once_and_what_is_one_is_read_without_its_mark() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("plain"), "text\n").unwrap();
        std::fs::write(at("marked"), "\u{feff}text\n").unwrap();
        std::os::unix::fs::symlink(at("plain"), at("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        for name in ["plain", "marked", "link"] {
            assert_eq!(read_text(&at(name)).unwrap(), "text\n", "{name}");
        }
        assert_eq!(read(&at("marked")).unwrap(), "\u{feff}text\n".as_bytes());
        for path in [at("pipe"), "/dev/zero".into()] {
            assert_eq!(read(&path).unwrap_err().to_string(), "it is no regular file", "{path:?}");
        }
        assert_eq!(read(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(read(&at("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
