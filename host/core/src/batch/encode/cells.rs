//! Values by themselves, without names: what `format: text` and `raw` write, and the cells of CSV.

use arrow_array::Array;
use arrow_array::cast::AsArray;

use super::{Encoding, Format, Framing, TimestampFormat};
use crate::batch::value::Scalar;
use crate::batch::{Column, Encoded, Kind, Records, time};

/// Why a value is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwritten {
    /// It is absent or null.
    Absent,
    /// It is an object, whose members have values.
    Object,
}

/// Writes values.
pub(super) struct Writer {
    pub times: TimestampFormat,
    time: time::Writer,
}

impl Writer {
    pub fn new(times: TimestampFormat) -> Writer {
        Writer { times, time: time::Writer::default() }
    }

    /// Appends a value: text and bytes as they are, a number, a boolean or an array as JSON has it.
    pub fn write(&mut self, column: Column<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), Unwritten> {
        let array = column.array();
        let place = column.place(row);
        if array.is_null(place) {
            return Err(Unwritten::Absent);
        }
        match Kind::of(column.field()) {
            Some(Kind::Text) => out.extend_from_slice(array.as_string::<i32>().value(place).as_bytes()),
            Some(Kind::Bytes) => out.extend_from_slice(array.as_binary::<i32>().value(place)),
            _ => match column.scalar(row).ok_or(Unwritten::Absent)? {
                Scalar::Time(ns) => self.write_time(ns, out),
                Scalar::Json(text) if text.starts_with('{') => return Err(Unwritten::Object),
                scalar => {
                    if !scalar.write_text(out) {
                        return Err(Unwritten::Absent);
                    }
                }
            },
        }
        Ok(())
    }

    fn write_time(&mut self, ns: i64, out: &mut Vec<u8>) {
        let whole = match self.times {
            TimestampFormat::Rfc3339 => return self.time.write(ns, out),
            TimestampFormat::Unix => ns.div_euclid(1_000_000_000),
            TimestampFormat::UnixMs => ns.div_euclid(1_000_000),
            TimestampFormat::UnixUs => ns.div_euclid(1000),
            TimestampFormat::UnixNs => ns,
        };
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    }
}

/// The value of one field of each record.
pub(super) fn encode(records: &Records, encoding: &Encoding, framing: Framing) -> Encoded {
    let lines = framing != Framing::Messages;
    let field = encoding.field.as_deref().unwrap_or_default();
    let rows = records.rows();
    let found = records.find(field);
    let column = found.as_ref().map(|found| found.column());
    let mut out = Vec::with_capacity(column.map_or(0, |column| bytes_of(column, rows)) + rows);
    let mut ends = Vec::with_capacity(rows);
    let mut refused = Vec::new();
    let mut writer = Writer::new(encoding.timestamp_format);
    for row in 0..rows {
        let start = out.len();
        let written = column.ok_or(Unwritten::Absent).and_then(|column| writer.write(column, row, &mut out));
        let wrong = match written {
            Ok(()) if lines && memchr::memchr(b'\n', &out[start..]).is_some() => Some(format!(
                "a line feed in `{field}` would make two lines of it (`encoding.format: {})",
                Format::Text.name()
            )),
            Ok(()) if framing == Framing::FullLines && out.len() == start => Some(format!(
                "`{field}`, which `encoding.field` names, is empty, and an empty line is no record there"
            )),
            Ok(()) => None,
            Err(Unwritten::Absent) => {
                Some(format!("the record has no `{field}`, which `encoding.field` names"))
            }
            Err(Unwritten::Object) => {
                Some(format!("`{field}`, which `encoding.field` names, is an object and no value"))
            }
        };
        match wrong {
            None if lines => out.push(b'\n'),
            None => {}
            Some(reason) => {
                out.truncate(start);
                refused.push((row as u32, reason.into()));
            }
        }
        ends.push(u32::try_from(out.len()).expect("a batch's text is below 4 GiB"));
    }
    Encoded { text: out.into(), ends, frame: usize::from(lines), refused }
}

/// About how many bytes the values of a column take.
fn bytes_of(column: Column<'_>, rows: usize) -> usize {
    match (column, Kind::of(column.field())) {
        (Column::Rows(_, array), Some(Kind::Text | Kind::Json)) => {
            let offsets = array.as_string::<i32>().offsets();
            (offsets[offsets.len() - 1] - offsets[0]) as usize
        }
        (Column::Rows(_, array), Some(Kind::Bytes)) => {
            let offsets = array.as_binary::<i32>().offsets();
            (offsets[offsets.len() - 1] - offsets[0]) as usize
        }
        _ => 16 * rows,
    }
}
