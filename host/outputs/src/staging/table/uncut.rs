//! A table that is cut: its rows are read again, and written as tables with the same columns.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::GROUP;
use super::columns::EXTENSION_METADATA;
use super::layout::SLICE;
use super::writer::Writer;
use crate::staging::Compression;
use flitch_core::batch::EXTENSION_NAME;

/// The rows of a table, to be read once from the first on.
pub(crate) struct Uncut {
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    /// What was read and not taken.
    rest: RecordBatch,
}

impl Uncut {
    /// # Errors
    /// The disk's, or what is there is no table.
    pub fn open(path: &Path) -> io::Result<Uncut> {
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(File::open(path)?).map_err(io::Error::other)?;
        let schema = whole(builder.schema());
        let reader = builder.with_batch_size(SLICE).build().map_err(io::Error::other)?;
        Ok(Uncut { reader, rest: RecordBatch::new_empty(schema.clone()), schema })
    }

    /// Writes the next so many rows as a table, and calls `put` with the bytes of it, piece by piece.
    ///
    /// # Errors
    /// As of `put`; the disk's, or there are not so many rows.
    pub fn split(
        &mut self,
        mut rows: u64,
        compression: Compression,
        mut put: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut table = Writer::new(self.schema.clone(), compression);
        let mut ready = Vec::new();
        while rows > 0 {
            if self.rest.num_rows() == 0 {
                let next = self.reader.next().ok_or(io::ErrorKind::UnexpectedEof)?;
                let columns = next.map_err(io::Error::other)?.columns().to_vec();
                self.rest = RecordBatch::try_new(self.schema.clone(), columns).map_err(io::Error::other)?;
            }
            let taken = (self.rest.num_rows() as u64).min(rows) as usize;
            table.write(&self.rest.slice(0, taken)).map_err(io::Error::other)?;
            self.rest = self.rest.slice(taken, self.rest.num_rows() - taken);
            rows -= taken as u64;
            if table.group() as u64 >= GROUP {
                table.end_group(&mut ready).map_err(io::Error::other)?;
                put(&std::mem::take(&mut ready))?;
            }
        }
        table.end(&mut ready).map_err(io::Error::other)?;
        put(&ready)
    }
}

/// The columns as they were written: of a JSON text Arrow's mark is whole.
fn whole(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        if metadata.contains_key(EXTENSION_NAME) {
            metadata.insert(EXTENSION_METADATA.to_owned(), String::new());
        }
        field.as_ref().clone().with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
