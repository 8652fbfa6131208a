//! A table that is to outlast the process.
//!
//! A Parquet file is worth nothing before its end is written, which tells where its columns are. So all rows go into a file
//! of their own ([`rows`]), which is whole wherever it is synced. The table is made of it when the object is closed, or by
//! the next process, and is the same, byte for byte, as one that was made while its rows came.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blake3::Hasher;

use super::super::Compression;
use super::super::content::Broken;
use super::super::growing::Growing;
use super::block::Block;
use super::columns::{Columns, Shape, Slots};
use super::layout::Layout;
use super::rows::{self, Item, Reader};
use super::{GROUP, TablePlan, lost};
use flitch_core::batch::encode::Fields;

/// Bytes of rows that are written at once.
const PIECE: usize = 1 << 20;

/// A table in the making, of which all rows that are in the file outlast the process.
pub(in super::super) struct StoredTable {
    plan: TablePlan,
    compression: Compression,
    shape: Shape,
    /// The next frame.
    frame: Vec<u8>,
    file: Growing,
    /// Bytes of values of the row group that is being filled.
    pending: u64,
    /// Where the table is made.
    path: PathBuf,
    table: Option<(Growing, Hasher)>,
}

impl StoredTable {
    pub fn new(plan: TablePlan, compression: Compression, path: PathBuf) -> StoredTable {
        StoredTable {
            plan,
            compression,
            shape: Shape::new(plan),
            frame: Vec::new(),
            file: Growing::new(path.with_extension("rows")),
            pending: 0,
            path,
            table: None,
        }
    }

    /// How many bytes of values the row group takes that is being filled.
    pub fn room(&self) -> u64 {
        GROUP - self.pending
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
        if self.frame.is_empty() {
            self.frame.extend_from_slice(&[0; rows::FRAME]);
        }
        let mut slots = Vec::with_capacity(fields.columns.len());
        for (kind, column) in fields.columns.iter().filter(|(_, column)| column.is_in(rows.clone())) {
            let fresh = self.shape.slots.count();
            let slot = self.shape.slots.slot(*kind, column, rows.clone());
            if slot as usize == fresh {
                rows::define(&mut self.frame, *kind, &column.path);
            }
            slots.push((slot, *kind, column));
        }
        let mut block = Block::begin(&mut self.frame, rows);
        slots.into_iter().for_each(|(slot, kind, column)| block.column(slot, kind, column));
        block.end();
        if self.pending >= GROUP {
            self.frame.extend_from_slice(&rows::END);
            self.shape.columns();
            self.pending = 0;
        }
    }

    /// Whether it is worth to write what is in memory.
    pub fn is_due(&self) -> bool {
        self.frame.len() >= PIECE
    }

    /// Writes what is in memory. What the disk does not take stays there.
    pub fn write(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        if self.file.length() == 0 {
            self.file.append(&rows::head(self.plan.unit))?;
        }
        rows::close(&mut self.frame);
        self.file.append(&self.frame)?;
        self.frame = Vec::new();
        Ok(())
    }

    /// Makes the table.
    pub fn finish(&mut self) -> Result<(), Broken> {
        self.write()?;
        if self.table.is_none() {
            let rows = (self.file.path(), self.file.length());
            self.table = Some(make(rows, self.compression, &self.path)?);
        }
        Ok(())
    }

    /// Bytes of memory of what is not written.
    pub fn memory(&self) -> usize {
        self.frame.capacity()
    }

    /// Bytes of memory that it takes beside that.
    pub fn beside(&self) -> usize {
        size_of::<StoredTable>() + self.file.path().as_os_str().len() + self.shape.memory()
    }

    /// Bytes in memory and on disk.
    pub fn bytes(&self) -> u64 {
        let table = self.table.as_ref().map_or(0, |(table, _)| table.length());
        self.frame.len() as u64 + self.file.length() + table
    }

    /// The file with the rows.
    pub fn rows(&self) -> &Growing {
        &self.file
    }

    /// The table, once it is made.
    pub fn table(&self) -> Option<&(Growing, Hasher)> {
        self.table.as_ref()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The table, which does for the rows now.
    pub fn into_file(mut self) -> (Growing, Hasher) {
        self.file.remove();
        self.table.unwrap_or_else(|| (Growing::new(self.path), Hasher::new()))
    }

    /// Removes what is on disk.
    pub fn remove(&mut self) {
        self.file.remove();
        self.table.iter_mut().for_each(|(table, _)| table.remove());
    }
}

/// Makes the table of a file with rows that is whole up to a length. No more than a row group of it is in memory.
///
/// # Errors
/// See [`Broken`]; nothing is left of it then.
pub(in super::super) fn make(
    rows: (&Path, u64),
    compression: Compression,
    to: &Path,
) -> Result<(Growing, Hasher), Broken> {
    let remove = || match std::fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    // One that was cut while it was made.
    remove()?;
    let made = write(rows, compression, to);
    if made.is_err() {
        let _ = remove();
    }
    made
}

fn write(
    (path, length): (&Path, u64),
    compression: Compression,
    to: &Path,
) -> Result<(Growing, Hasher), Broken> {
    let mut layout = Layout::new(columns(path, length)?, compression);
    let (mut rows, mut slots) = (Reader::open(path, length)?, Slots::default());
    let (mut file, mut digest) = (Growing::new(to.to_owned()), Hasher::new());
    let mut put = |ready: Vec<u8>| {
        digest.update(&ready);
        file.append(&ready)
    };
    let mut has_rows = false;
    while let Some(item) = rows.next()? {
        match item {
            Item::Slot(kind, path) => slots.define(kind, path),
            Item::Rows(block) => {
                layout.add(&slots, block).map_err(lost)?;
                has_rows = true;
            }
            Item::End => {
                put(ended(&mut layout)?)?;
                has_rows = false;
            }
        }
    }
    if has_rows {
        put(ended(&mut layout)?)?;
    }
    let mut end = Vec::new();
    layout.end(&mut end).map_err(lost)?;
    put(end)?;
    Ok((file, digest))
}

/// The columns, which the rows of the first row group decide.
fn columns(path: &Path, length: u64) -> Result<Arc<Columns>, Broken> {
    let (mut rows, mut slots) = (Reader::open(path, length)?, Slots::default());
    loop {
        match rows.next()? {
            Some(Item::Slot(kind, path)) => slots.define(kind, path),
            Some(Item::Rows(block)) => slots.came(block).map_err(lost)?,
            Some(Item::End) | None => return Ok(Arc::new(Columns::new(&slots, rows.unit()))),
        }
    }
}

/// The bytes of a row group that has ended.
fn ended(layout: &mut Layout) -> Result<Vec<u8>, Broken> {
    let mut ready = Vec::new();
    layout.end_group(&mut ready).map_err(lost)?;
    Ok(ready)
}

#[cfg(test)]
mod tests;
