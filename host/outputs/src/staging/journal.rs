//! What a yard whose objects are to outlast its process (`ack: stored`) writes down of them: how far each is synced. The
//! records up to there are safe for their sources, and whoever finds the journal finishes the objects.
//!
//! A journal is a file of lines, a JSON object each, of which the last of a file counts. A line says no more than what is
//! synced already, so that one which a crash has cut says nothing: what is behind it comes again from its source.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::trace::Trace;
use super::{Compression, disk};
use flitch_core::private;

/// Its name in the folder of the yard.
pub(super) const NAME: &str = "journal";
/// From how many bytes on it is written anew, without what is finished.
const LONG: u64 = 4 << 20;
/// From how many files on all of the file system is synced at once.
const MANY: usize = 64;

/// What is in the file of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// Text, compressed in pieces: as much of the object as there is.
    #[default]
    Text,
    /// The rows of which a table is to be made.
    Rows,
    /// A table that is whole.
    Table,
    /// What a later flitch may know.
    #[serde(other)]
    Unknown,
}

/// How far an object is synced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The name of its file. An object may have several, one after the other, which differ behind a dot.
    pub file: String,
    #[serde(default)]
    pub form: Form,
    /// How its name begins: its key.
    pub begin: String,
    /// What its name ends in.
    pub end: String,
    pub compression: Compression,
    /// Bytes of the file.
    pub length: u64,
    /// Bytes of its text, before it is compressed: those of a header, and those of its records.
    pub header: u64,
    pub text: u64,
    /// A digest of its text, or of the table: a file that has another is not what was synced. None for rows, which have
    /// checksums of their own.
    #[serde(default)]
    pub id: String,
    /// Where its records come from, for its name; not known by the flitch that stored it.
    #[serde(default)]
    pub origins: Option<Trace>,
    /// Whether its text is what dead letters of its records have.
    #[serde(default)]
    pub is_kept: bool,
    /// How many records of which source.
    pub rows: BTreeMap<String, u64>,
}

/// What the names of all files of an object begin with.
pub(super) fn object(file: &str) -> &str {
    file.split_once('.').map_or(file, |(object, _)| object)
}

/// What is found of a journal.
#[derive(Debug)]
pub(super) enum Left {
    /// There is none.
    None,
    /// Somebody has it.
    Taken,
    /// One that nobody has, and what it says of files that are there.
    Found(Journal, Vec<Entry>),
}

/// The journal of one yard. While it lives it is locked, so that nobody takes what is in the folder for a leftover.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    file: File,
    length: u64,
    /// After how many bytes it is written anew.
    most: u64,
}

impl Journal {
    /// A new one.
    ///
    /// # Errors
    /// The system's.
    pub fn new(folder: &Path) -> io::Result<Journal> {
        let path = folder.join(NAME);
        let file = private::open(OpenOptions::new().read(true).write(true).create_new(true), &path)?;
        file.try_lock()?;
        for above in folder.ancestors().take(5) {
            disk::sync_folder(above)?;
        }
        Ok(Journal { folder: folder.to_owned(), file, length: 0, most: LONG })
    }

    /// The one that is in a folder.
    ///
    /// # Errors
    /// The system's.
    pub fn left(folder: &Path) -> io::Result<Left> {
        let file = match OpenOptions::new().read(true).write(true).open(folder.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Left::None),
            file => file?,
        };
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => return Ok(Left::Taken),
            locked => locked?,
        }
        let mut journal = Journal { folder: folder.to_owned(), file, length: 0, most: LONG };
        let (entries, length) = journal.read()?;
        journal.length = length;
        Ok(Left::Found(journal, entries))
    }

    /// The last entries of files that are there, and where what can be read ends.
    fn read(&self) -> io::Result<(Vec<Entry>, u64)> {
        let mut text = vec![0; self.file.metadata()?.len() as usize];
        self.file.read_exact_at(&mut text, 0)?;
        let (mut last, mut length) = (HashMap::<String, Entry>::new(), 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else { break };
            let Ok(entry) = serde_json::from_slice::<Entry>(line) else { break };
            length += line.len() as u64 + 1;
            last.insert(object(&entry.file).to_owned(), entry);
        }
        let is_there = |entry: &Entry| self.folder.join(&entry.file).exists();
        let mut entries: Vec<Entry> = last.into_values().filter(is_there).collect();
        entries.sort_by(|a, b| a.file.cmp(&b.file));
        Ok((entries, length))
    }

    /// Writes down how far these files are, which are synced here first, and is synced itself.
    ///
    /// # Errors
    /// The system's; then nothing of it counts.
    pub fn write(&mut self, entries: &[Entry]) -> io::Result<()> {
        if entries.len() > MANY {
            disk::sync_all(&self.folder)?;
        } else {
            for entry in entries {
                let path = self.folder.join(&entry.file);
                disk::sync(&File::open(&path)?, &path)?;
            }
            disk::sync_folder(&self.folder)?;
        }
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        // What a write left that failed must not be read behind this one.
        disk::cut(&self.file, self.length)?;
        disk::write_at(&self.file, &text, self.length)?;
        disk::sync(&self.file, &self.folder.join(NAME))?;
        self.length += text.len() as u64;
        if self.length > self.most {
            self.shorten()?;
        }
        Ok(())
    }

    /// Writes it anew, without what is finished.
    fn shorten(&mut self) -> io::Result<()> {
        let mut text = Vec::new();
        for entry in self.read()?.0 {
            serde_json::to_writer(&mut text, &entry)?;
            text.push(b'\n');
        }
        let (path, fresh) = (self.folder.join(NAME), self.folder.join("journal.new"));
        let options = &mut OpenOptions::new();
        let file = private::open(options.read(true).write(true).create(true).truncate(true), &fresh)?;
        file.try_lock()?;
        disk::write_at(&file, &text, 0)?;
        disk::sync(&file, &fresh)?;
        disk::rename(&fresh, &path)?;
        // From here on nobody finds the other one.
        (self.file, self.length) = (file, text.len() as u64);
        self.most = LONG.max(2 * self.length);
        disk::sync_folder(&self.folder)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // The last thing in the folder, where all objects are finished; else it stays for the next one.
        let is_last = std::fs::read_dir(&self.folder).is_ok_and(|entries| entries.count() == 1);
        if is_last {
            let _ = std::fs::remove_file(self.folder.join(NAME));
            let _ = std::fs::remove_dir(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(folder: &Path, file: &str, rows: u64) -> Entry {
        let path = folder.join(file);
        if !path.exists() {
            std::fs::write(path, "text").unwrap();
        }
        Entry {
            file: file.to_owned(),
            form: Form::Text,
            begin: "a/".to_owned(),
            end: ".ndjson".to_owned(),
            compression: Compression::None,
            length: 4,
            header: 0,
            text: 4,
            id: String::new(),
            origins: None,
            is_kept: false,
            rows: [("in".to_owned(), rows)].into(),
        }
    }

    fn found(folder: &Path) -> (Journal, Vec<Entry>) {
        match Journal::left(folder).unwrap() {
            Left::Found(journal, entries) => (journal, entries),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_line_of_a_file_counts_and_one_that_is_cut_does_not() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("own");
        std::fs::create_dir(&folder).unwrap();
        let mut journal = Journal::new(&folder).unwrap();
        let (one, other) = (entry(&folder, "1", 1), entry(&folder, "2", 2));
        journal.write(&[one.clone(), other.clone()]).unwrap();
        journal.write(&[entry(&folder, "1", 3)]).unwrap();
        assert!(matches!(Journal::left(&folder).unwrap(), Left::Taken));
        drop(journal);
        let path = folder.join(NAME);
        let whole = std::fs::read(&path).unwrap();
        let left = || found(&folder).1;
        assert_eq!(left(), [entry(&folder, "1", 3), other.clone()]);
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(left(), [one, other.clone()]);
        let (mut journal, _) = found(&folder);
        journal.write(&[entry(&folder, "1", 9)]).unwrap();
        drop(journal);
        assert_eq!(left(), [entry(&folder, "1", 9), other.clone()]);
        std::fs::remove_file(folder.join("1")).unwrap();
        assert_eq!(left(), [other]);
    }

    #[test]
    fn one_that_has_grown_is_written_anew_and_one_that_is_over_goes_with_its_folder() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("own");
        std::fs::create_dir(&folder).unwrap();
        let mut journal = Journal::new(&folder).unwrap();
        journal.most = 1_000;
        for rows in 1..100 {
            journal.write(&[entry(&folder, "1", rows)]).unwrap();
            assert!(journal.length < 2_000, "{}", journal.length);
            journal.most = 1_000;
        }
        assert!(matches!(Journal::left(&folder).unwrap(), Left::Taken), "the new file is locked too");
        drop(journal);
        assert_eq!(found(&folder).1, [entry(&folder, "1", 99)]);
        std::fs::remove_file(folder.join("1")).unwrap();
        drop(found(&folder));
        assert!(!folder.exists());
    }
}
