//! CSV: a record a line, values quoted where they must be (RFC 4180). Lines end in a line feed.

use bytes::Bytes;
use csv::{Terminator, WriterBuilder};

use super::Encoding;
use super::cells::Writer;
use crate::batch::{Encoded, Records};

/// Writing to memory fails never.
const IN_MEMORY: &str = "rows of CSV are written to memory";

fn writer(text: Vec<u8>) -> csv::Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(text)
}

/// The line of the names.
pub(super) fn header(columns: &[String]) -> Bytes {
    let mut writer = writer(Vec::new());
    writer.write_record(columns).expect(IN_MEMORY);
    writer.into_inner().expect(IN_MEMORY).into()
}

/// A line for each record. What a record has not is empty.
pub(super) fn encode(records: &Records, encoding: &Encoding) -> Encoded {
    let rows = records.rows();
    let found: Vec<_> = encoding.columns.iter().map(|name| records.find(name)).collect();
    let mut csv = writer(Vec::with_capacity(records.memory()));
    let mut ends = Vec::with_capacity(rows);
    let mut cells = Writer::new(encoding.timestamp_format);
    let mut cell = Vec::new();
    for row in 0..rows {
        for found in &found {
            cell.clear();
            if let Some(found) = found {
                // What cannot be a cell is empty.
                let _ = cells.write(found.column(), row, &mut cell);
            }
            csv.write_field(&cell).expect(IN_MEMORY);
        }
        csv.write_record(None::<&[u8]>).expect(IN_MEMORY);
        csv.flush().expect(IN_MEMORY);
        ends.push(u32::try_from(csv.get_ref().len()).expect("a batch's text is below 4 GiB"));
    }
    let text = csv.into_inner().expect(IN_MEMORY);
    Encoded { text: text.into(), ends, frame: 1, refused: Vec::new() }
}
