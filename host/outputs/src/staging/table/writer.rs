//! Rows become a Parquet file in memory.

use std::collections::HashSet;
use std::hash::Hash;

use ahash::RandomState;
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::super::Compression;

/// Level of zstd: see the text of other objects.
const ZSTD: i32 = 1;

/// Bytes of a page before it is compressed, about: zstd takes pieces up to this the fastest.
const PAGE: usize = 256 << 10;

/// Writes a file. It is opened by the first rows that come, which tell how its columns are best written.
pub(super) struct Writer {
    schema: SchemaRef,
    compression: Compression,
    open: Option<ArrowWriter<Vec<u8>>>,
}

impl Writer {
    pub fn new(schema: SchemaRef, compression: Compression) -> Writer {
        Writer { schema, compression, open: None }
    }

    fn open(&mut self, first: &RecordBatch) -> Result<&mut ArrowWriter<Vec<u8>>, ParquetError> {
        let writer = match self.open.take() {
            Some(writer) => writer,
            None => open(first, self.schema.clone(), self.compression)?,
        };
        Ok(self.open.insert(writer))
    }

    /// Adds rows. The pages go by the calls.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        self.open(rows)?.write(rows)
    }

    /// Bytes of memory of the row group.
    pub fn memory(&self) -> usize {
        self.open.as_ref().map_or(0, ArrowWriter::memory_size)
    }

    /// About how many bytes the row group has.
    pub fn group(&self) -> usize {
        self.open.as_ref().map_or(0, ArrowWriter::in_progress_size)
    }

    /// Ends the row group. Its bytes go to the end of `out`.
    pub fn end_group(&mut self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        if let Some(writer) = &mut self.open {
            writer.flush()?;
            writer.sync()?;
            out.append(writer.inner_mut());
        }
        Ok(())
    }

    /// Ends the file. Its last bytes go to the end of `out`.
    pub fn end(mut self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        self.open(&RecordBatch::new_empty(self.schema.clone()))?;
        if let Some(writer) = self.open {
            out.append(&mut writer.into_inner()?);
        }
        Ok(())
    }
}

fn open(
    first: &RecordBatch,
    schema: SchemaRef,
    compression: Compression,
) -> Result<ArrowWriter<Vec<u8>>, ParquetError> {
    let codec = match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Gzip => Codec::GZIP(GzipLevel::default()),
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(ZSTD)?),
    };
    let mut properties = WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(None)
        .set_data_page_size_limit(PAGE);
    for (field, column) in schema.fields().iter().zip(first.columns()) {
        if is_varied(column) {
            let path = ColumnPath::from(vec![field.name().clone()]);
            properties = properties.set_column_dictionary_enabled(path, false);
        }
    }
    // What Arrow knows of the schema Parquet says too.
    let options =
        ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), schema, options)
}

/// Whether most values of a column stand in it once: a dictionary of them costs a look at each, and then holds no less than
/// the column would by itself.
fn is_varied(column: &dyn Array) -> bool {
    let present = column.len() - column.null_count();
    let distinct = match column.data_type() {
        DataType::Utf8 => distinct(column.as_string::<i32>().iter().flatten()),
        DataType::Binary => distinct(column.as_binary::<i32>().iter().flatten()),
        // Numbers and times, by their bits. What stands in the place of a null is mostly 0.
        kind if kind.primitive_width() == Some(size_of::<u64>()) => {
            distinct(column.to_data().buffer::<u64>(0)[..column.len()].iter())
        }
        _ => 0,
    };
    distinct > present / 2
}

fn distinct<T: Hash + Eq>(values: impl Iterator<Item = T>) -> usize {
    values.collect::<HashSet<T, RandomState>>().len()
}
