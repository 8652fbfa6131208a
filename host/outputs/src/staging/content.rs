//! What is in an object that is being built: text, or a table.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blake3::{Hash, Hasher};
use bytes::Bytes;

use super::Plan;
use super::growing::Growing;
use super::journal::Form;
use super::press::Press;
use super::table::{StoredTable, Table};
use flitch_core::batch::encode::Fields;
use flitch_core::batch::origin::Origins;
use flitch_core::batch::{Encoded, Records};

/// Text of one object that is compressed at once.
const PIECE: usize = 1 << 20;
/// From how many bytes on those of one batch are compressed where they stand. Shorter pieces compress less.
const WHOLE: usize = 256 << 10;
/// What stands behind the key in the name of an object: half of a BLAKE3, which costs a third of what a SHA-256 does and which
/// nobody finds two texts for either.
const ID: usize = 16;

/// Rows of a batch in the form in which objects take them.
pub(super) enum Rows {
    Text(Arc<Encoded>),
    Fields(Fields),
}

impl Rows {
    pub fn of(records: &Records, plan: &Plan) -> Rows {
        match plan.table {
            Some(_) => Rows::Fields(plan.encoder.fields(records)),
            None => Rows::Text(plan.encoder.encode(records)),
        }
    }

    /// For each row how many bytes all have up to it: the same for a record in whatever batch.
    pub fn ends(&self) -> &[u32] {
        match self {
            Rows::Text(text) => &text.ends,
            Rows::Fields(fields) => &fields.ends,
        }
    }

    /// Rows that cannot be written, in ascending order, and why.
    pub fn refused(&self) -> &[(u32, Arc<str>)] {
        match self {
            Rows::Text(text) => &text.refused,
            Rows::Fields(_) => &[],
        }
    }

    /// Whether the row is written, and not refused.
    pub fn has(&self, row: u32) -> bool {
        match self {
            Rows::Text(text) => text.has(row),
            Rows::Fields(_) => true,
        }
    }

    /// Where the bytes of a row begin.
    pub fn start(&self, row: usize) -> u32 {
        if row == 0 { 0 } else { self.ends()[row - 1] }
    }
}

/// A batch as it is written, as it is kept beside that, and where it comes from.
#[derive(Clone, Copy)]
pub(super) struct Texts<'t> {
    pub own: &'t Rows,
    pub whole: Option<&'t Encoded>,
    pub origins: &'t Origins,
}

impl std::ops::Deref for Texts<'_> {
    type Target = Rows;

    fn deref(&self) -> &Rows {
        self.own
    }
}

/// Why an object does not grow.
#[derive(Debug)]
pub(super) enum Broken {
    /// The disk has not taken it. All is as it was; it may be tried again.
    Disk(io::Error),
    /// What is in it cannot be made an object of.
    Lost(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Disk(error)
    }
}

/// What is in an object.
pub(super) enum Content {
    Text(Text),
    Table(Box<Table>),
    Stored(Box<StoredTable>),
}

/// What of an object is in a file.
pub(super) struct Mark<'c> {
    pub file: &'c Growing,
    pub form: Form,
    /// See [`super::journal::Entry::id`].
    pub id: String,
}

impl Content {
    /// Content that is built at `path`; it begins with `header`.
    pub fn new(plan: &Plan, header: &[u8], path: PathBuf) -> Content {
        match plan.table {
            Some(table) if plan.stored => {
                Content::Stored(Box::new(StoredTable::new(table, plan.compression, path)))
            }
            Some(table) => Content::Table(Box::new(Table::new(table, plan.compression, path))),
            None => {
                let file = Growing::new(path);
                let (batch, text, digest) = (Bytes::new(), header.to_vec(), Hasher::new());
                Content::Text(Text { file, batch, text, digest })
            }
        }
    }

    /// How many bytes of rows it takes before it is to be written.
    pub fn room(&self) -> u64 {
        match self {
            Content::Text(_) => u64::MAX,
            Content::Table(table) => table.room(),
            Content::Stored(table) => table.room(),
        }
    }

    /// How many of these rows it can hold, from the first on. None: they are for another object.
    pub fn takes(&self, rows: &Rows, range: Range<usize>) -> usize {
        match (self, rows) {
            (Content::Table(table), Rows::Fields(fields)) => table.takes(fields, range),
            (Content::Stored(table), Rows::Fields(fields)) => table.takes(fields, range),
            _ => range.len(),
        }
    }

    pub fn add(&mut self, rows: &Rows, range: Range<usize>) {
        match (self, rows) {
            (Content::Text(text), Rows::Text(rows)) => {
                let start = if range.start == 0 { 0 } else { rows.ends[range.start - 1] as usize };
                text.add(&rows.text, start..rows.ends[range.end - 1] as usize);
            }
            (Content::Table(table), Rows::Fields(fields)) => table.add(fields, range),
            (Content::Stored(table), Rows::Fields(fields)) => table.add(fields, range),
            _ => unreachable!("a yard builds objects of one kind"),
        }
    }

    /// Whether it is worth to write what is in memory.
    pub fn is_due(&self) -> bool {
        match self {
            Content::Text(text) => !text.batch.is_empty() || text.text.len() >= PIECE,
            Content::Table(table) => table.room() == 0,
            Content::Stored(table) => table.is_due(),
        }
    }

    /// Says whether what comes behind the next write may take memory that cannot be freed before the one after it.
    pub fn may_be_direct(&mut self, may: bool) {
        match self {
            Content::Text(_) | Content::Stored(_) => {}
            Content::Table(table) => table.may_be_direct(may),
        }
    }

    /// Writes what is in memory.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn write(&mut self, press: &mut Press) -> Result<(), Broken> {
        match self {
            Content::Text(text) => Ok(text.write(press)?),
            Content::Table(table) => table.write(),
            Content::Stored(table) => Ok(table.write()?),
        }
    }

    /// Puts what is in memory on the disk, in whatever form: there is no room for it.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn relieve(&mut self, press: &mut Press) -> Result<(), Broken> {
        match self {
            Content::Text(text) => Ok(text.write(press)?),
            Content::Table(table) => Ok(table.relieve()?),
            Content::Stored(table) => Ok(table.write()?),
        }
    }

    /// Writes the end.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn finish(&mut self, press: &mut Press) -> Result<(), Broken> {
        match self {
            Content::Text(text) => Ok(text.write(press)?),
            Content::Table(table) => table.finish(),
            Content::Stored(table) => table.finish(),
        }
    }

    /// Bytes of memory that it takes beside itself, however much is in it.
    pub fn beside(&self) -> usize {
        match self {
            Content::Text(_) => 0,
            Content::Table(table) => table.beside(),
            Content::Stored(table) => table.beside(),
        }
    }

    /// Bytes of memory of what is not written.
    pub fn memory(&self) -> usize {
        match self {
            Content::Text(text) => text.batch.len() + text.text.capacity(),
            Content::Table(table) => table.memory(),
            Content::Stored(table) => table.memory(),
        }
    }

    /// Bytes in memory and on disk.
    pub fn bytes(&self) -> u64 {
        match self {
            Content::Text(text) => (text.batch.len() + text.text.len()) as u64 + text.file.length(),
            Content::Table(table) => table.bytes(),
            Content::Stored(table) => table.bytes(),
        }
    }

    /// Where it is built.
    pub fn path(&self) -> &Path {
        match self {
            Content::Text(text) => text.file.path(),
            Content::Table(table) => table.path(),
            Content::Stored(table) => table.path(),
        }
    }

    /// The file, and the digest of what is in it: the same for the same rows.
    pub fn into_file(self) -> (Growing, String) {
        let (file, digest) = match self {
            Content::Text(text) => (text.file, text.digest),
            Content::Table(table) => table.into_file(),
            Content::Stored(table) => table.into_file(),
        };
        (file, id(&digest))
    }

    /// What of it is in a file; none where that is of no use to a process that comes after this one.
    pub fn mark(&self) -> Option<Mark<'_>> {
        match self {
            Content::Text(text) => Some(Mark { file: &text.file, form: Form::Text, id: id(&text.digest) }),
            Content::Table(_) => None,
            Content::Stored(table) => Some(match table.table() {
                Some((file, digest)) => Mark { file, form: Form::Table, id: id(digest) },
                None => Mark { file: table.rows(), form: Form::Rows, id: String::new() },
            }),
        }
    }

    /// Removes what is on disk.
    pub fn remove(&mut self) {
        match self {
            Content::Text(text) => text.file.remove(),
            Content::Table(table) => table.remove(),
            Content::Stored(table) => table.remove(),
        }
    }
}

/// How long what stands behind the key in a name is.
pub(super) const ID_LENGTH: usize = ID * 2;

/// Text, compressed in pieces.
pub(super) struct Text {
    file: Growing,
    /// What is not in the file yet: of one batch, as it stands in memory, and what comes behind that.
    batch: Bytes,
    text: Vec<u8>,
    /// Of all text that is in the file.
    digest: Hasher,
}

impl Text {
    fn add(&mut self, all: &Bytes, range: Range<usize>) {
        match self.batch.is_empty() && self.text.is_empty() && range.len() >= WHOLE {
            true => self.batch = all.slice(range),
            false => self.text.extend_from_slice(&all[range]),
        }
    }

    /// Writes what is in memory. What the disk does not take stays there.
    fn write(&mut self, press: &mut Press) -> io::Result<()> {
        let Text { file, batch, text, digest } = self;
        if !batch.is_empty() {
            press.press(batch, |bytes| file.append(bytes))?;
            digest.update(&std::mem::take(batch));
        }
        if !text.is_empty() {
            press.press(text, |bytes| file.append(bytes))?;
            digest.update(&std::mem::take(text));
        }
        Ok(())
    }
}

/// What is known of an object by what is in it.
pub(super) fn id(digest: &Hasher) -> String {
    hex(&digest.finalize())
}

/// As much of a hash as a name has.
pub(super) fn hex(hash: &Hash) -> String {
    flitch_core::hex::encode(&hash.as_bytes()[..ID])
}
