//! Objects that are tables: Parquet files, built a row group at a time.
//!
//! Rows wait in blocks, in memory or, where that is short, in a file beside the object, until a row group is full of
//! them. The first row group decides the columns: those that its rows have, each of a kind that holds all its values. A
//! row that does not fit these begins another object. All of that goes by the rows alone, and not by how they came, so
//! that the same rows make the same file, byte for byte.
//!
//! Where rows are to outlast the process they wait in a file of another form until the object is closed: see
//! [`StoredTable`].
//!
//! Once the columns are known, and while memory is not short, rows go into the row group as they come: that makes the same
//! file, and nothing is copied on the way, nor read again when no cache has it any more.

use std::fs::File;
use std::io::{self, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow_schema::TimeUnit;
use blake3::Hasher;
use parquet::errors::ParquetError;

use self::block::Block;
use self::columns::Shape;
use self::layout::Layout;
use super::Compression;
use super::content::Broken;
use super::growing::Growing;
use flitch_core::batch::encode::Fields;

mod block;
mod columns;
mod layout;
mod rows;
mod stored;
mod uncut;
mod writer;

pub(super) use rows::{FORMAT, format};
pub(super) use stored::{StoredTable, make};
pub(super) use uncut::Uncut;

/// Bytes of values in a row group.
const GROUP: u64 = 16 << 20;
/// Bytes of blocks that go together into a row group which is in memory.
const DIRECT: usize = 256 << 10;
/// By how much the memory of blocks grows at most.
const STEP: usize = 1 << 20;

/// What is to be known of tables.
#[derive(Clone, Copy, Debug)]
pub struct TablePlan {
    /// Of timestamps.
    pub unit: TimeUnit,
    /// Whether each column holds values of one kind alone, or numbers: where what becomes of a value goes by the type of its
    /// column, it would go by its neighbours else.
    pub is_strict: bool,
}

/// A Parquet file in the making.
pub(super) struct Table {
    compression: Compression,
    shape: Shape,
    /// Rows of the next row group, behind those of `spilled`.
    blocks: Vec<u8>,
    spilled: Growing,
    /// Bytes of their values.
    pending: u64,
    /// Since the first row group.
    layout: Option<Layout>,
    /// Whether rows go into the row group as they come.
    is_direct: bool,
    may_be_direct: bool,
    /// Why rows did not go into it.
    failed: Option<String>,
    file: Growing,
    /// What the file has not taken yet.
    ready: Vec<u8>,
    /// Of the file, `ready` included.
    digest: Hasher,
    is_whole: bool,
}

impl Table {
    pub fn new(plan: TablePlan, compression: Compression, path: PathBuf) -> Table {
        let spilled = Growing::new(path.with_extension("rows"));
        Table {
            compression,
            shape: Shape::new(plan),
            blocks: Vec::new(),
            spilled,
            pending: 0,
            layout: None,
            is_direct: false,
            may_be_direct: false,
            failed: None,
            file: Growing::new(path),
            ready: Vec::new(),
            digest: Hasher::new(),
            is_whole: false,
        }
    }

    /// How many bytes of values the row group takes that is being filled.
    pub fn room(&self) -> u64 {
        if self.failed.is_some() { 0 } else { GROUP.saturating_sub(self.pending) }
    }

    /// Says whether the next row group may be in memory while it is filled.
    pub fn may_be_direct(&mut self, may: bool) {
        self.may_be_direct = may;
    }

    /// How many of these rows fit, from the first on.
    pub fn takes(&self, fields: &Fields, rows: Range<usize>) -> usize {
        let fit = self.shape.takes(fields, rows);
        // One that nothing is in takes any row.
        if self.bytes() == 0 { fit.max(1) } else { fit }
    }

    pub fn add(&mut self, fields: &Fields, rows: Range<usize>) {
        let start = if rows.start == 0 { 0 } else { fields.ends[rows.start - 1] };
        self.pending += u64::from(fields.ends[rows.end - 1] - start);
        // Few rows of a batch are copied, so that they do not hold all of it.
        if self.is_direct && 2 * rows.len() >= fields.ends.len() {
            for (kind, column) in fields.columns.iter().filter(|(_, column)| column.is_in(rows.clone())) {
                self.shape.slots.slot(*kind, column, rows.clone());
            }
            return self.direct(|layout| layout.add_fields(fields, rows));
        }
        let mut block = Block::begin(&mut self.blocks, rows.clone());
        for (kind, column) in &fields.columns {
            if column.is_in(rows.clone()) {
                block.column(self.shape.slots.slot(*kind, column, rows.clone()), *kind, column);
            }
        }
        block.end();
        if self.is_direct && self.blocks.len() >= DIRECT {
            self.direct(|_| Ok(()));
        }
    }

    /// Does something with the row group that has all rows that came before.
    fn direct(&mut self, work: impl FnOnce(&mut Layout) -> Result<(), ParquetError>) {
        let Some(layout) = self.layout.as_mut().filter(|_| self.failed.is_none()) else { return };
        let done = layout.add_blocks(&self.shape.slots, &self.blocks).and_then(|()| work(layout));
        self.blocks = Vec::new();
        self.failed = done.err().map(|error| error.to_string());
    }

    /// Puts the rows that wait on the disk.
    pub fn relieve(&mut self) -> io::Result<()> {
        if self.is_direct {
            self.direct(|_| Ok(()));
        }
        if !self.blocks.is_empty() {
            self.spilled.append(&self.blocks)?;
            self.blocks = Vec::new();
        }
        self.push()
    }

    /// Makes a row group of the rows that wait.
    pub fn write(&mut self) -> Result<(), Broken> {
        self.push()?;
        if let Some(why) = self.failed.take() {
            return Err(Broken::Lost(why));
        }
        let mut layout = match self.layout.take() {
            Some(layout) => layout,
            None => Layout::new(self.shape.columns(), self.compression),
        };
        let slots = &self.shape.slots;
        if self.spilled.length() > 0 {
            let mut file = BufReader::new(File::open(self.spilled.path()).map_err(lost)?);
            let mut block = Vec::new();
            while block::next(&mut file, &mut block).map_err(lost)? {
                layout.add(slots, &block).map_err(lost)?;
            }
        }
        layout.add_blocks(slots, &self.blocks).map_err(lost)?;
        self.blocks = Vec::new();
        self.spilled.remove();
        self.pending = 0;
        layout.end_group(&mut self.ready).map_err(lost)?;
        self.digest.update(&self.ready);
        self.layout = Some(layout);
        self.is_direct = self.may_be_direct;
        Ok(self.push()?)
    }

    /// Makes the last row group, and the end of the file.
    pub fn finish(&mut self) -> Result<(), Broken> {
        if !self.is_whole && (self.pending > 0 || self.layout.is_none()) {
            self.write()?;
        }
        self.push()?;
        if let Some(layout) = self.layout.take_if(|_| !self.is_whole) {
            layout.end(&mut self.ready).map_err(lost)?;
            self.digest.update(&self.ready);
            self.is_whole = true;
        }
        Ok(self.push()?)
    }

    /// Writes what is ready. Where that fails it stays.
    fn push(&mut self) -> io::Result<()> {
        if !self.ready.is_empty() {
            self.file.append(&self.ready)?;
            self.ready = Vec::new();
        }
        Ok(())
    }

    /// Bytes of memory of what is not written.
    pub fn memory(&self) -> usize {
        let direct = self.layout.as_ref().map_or(0, Layout::in_progress);
        self.blocks.capacity() + self.ready.capacity() + direct
    }

    /// Bytes of memory that it takes beside that.
    pub fn beside(&self) -> usize {
        let columns = self.shape.memory() + self.layout.as_ref().map_or(0, Layout::memory);
        size_of::<Table>() + self.spilled.path().as_os_str().len() + columns
    }

    /// Bytes in memory and on disk.
    pub fn bytes(&self) -> u64 {
        let direct = self.layout.as_ref().map_or(0, Layout::in_progress);
        (self.blocks.len() + self.ready.len() + direct) as u64 + self.spilled.length() + self.file.length()
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    pub fn into_file(self) -> (Growing, Hasher) {
        (self.file, self.digest)
    }

    /// Removes what is on disk.
    pub fn remove(&mut self) {
        self.spilled.remove();
        self.file.remove();
    }
}

fn lost(error: impl std::fmt::Display) -> Broken {
    Broken::Lost(error.to_string())
}

/// Makes room for `more`: twice as much as there is, but no more than by [`STEP`].
fn reserve(out: &mut Vec<u8>, more: usize) {
    if out.capacity() - out.len() < more {
        out.reserve_exact(more.max(out.len().min(STEP)));
    }
}

#[cfg(test)]
pub(crate) mod tests;
