//! The rows of a batch, by their plan.

use super::TimestampFormat;
use super::plan::{Bytes, Cells, Leaf, Plan, Step};
use crate::batch::json::{write_escaped, write_string};
use crate::batch::number::{write_float, write_int};
use crate::batch::{Encoded, lossless, mixed, time};

/// What is remembered from row to row.
#[derive(Default)]
pub(super) struct Scratch {
    time: time::Writer,
    /// For each object that is open, where it began, its name included, and where its first member's comma stands.
    open: Vec<(usize, usize)>,
    merged: Vec<u8>,
}

pub(super) fn rows(plan: &Plan<'_>, rows: usize) -> Encoded {
    let mut out = Vec::with_capacity(room(plan, rows));
    let mut ends = Vec::with_capacity(rows);
    let mut scratch = Scratch::default();
    for row in 0..rows {
        let start = out.len();
        for step in &plan.steps {
            match step {
                Step::Fixed(text) => copy(&mut out, text, 0, text.len()),
                Step::Leaf(leaf) => write_cell(leaf, row, &mut out, &mut scratch),
                Step::Open(key) => {
                    let before = out.len();
                    out.extend_from_slice(key);
                    scratch.open.push((before, out.len()));
                }
                Step::Close(leaf) => close(leaf.as_ref(), row, &mut out, &mut scratch),
                Step::Members(leaf) => write_members(leaf, row, &mut out),
            }
        }
        match out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => out.push(b'{'),
        }
        out.extend_from_slice(b"}\n");
        ends.push(u32::try_from(out.len()).expect("a batch's text is below 4 GiB"));
    }
    Encoded { text: out.into(), ends, frame: 1, refused: Vec::new() }
}

/// About how many bytes the rows will take, a little more rather than less. A name counts where there is a value: a
/// batch may have as many names as rows, each in one row only.
fn room(plan: &Plan<'_>, rows: usize) -> usize {
    let (mut leaves, mut objects) = (0, 0);
    for step in &plan.steps {
        match step {
            Step::Fixed(text) => leaves += text.len() * rows,
            Step::Leaf(leaf) => {
                let absent = leaf.nulls.map_or(0, |nulls| nulls.null_count());
                leaves += (leaf.key.len() + 1) * rows.saturating_sub(absent);
            }
            Step::Open(key) => objects += (key.len() + 2) * rows,
            Step::Close(_) | Step::Members(_) => {}
        }
    }
    plan.bytes + plan.bytes / 16 + leaves + objects.min(leaves + plan.bytes) + 3 * rows + 64
}

/// Appends comma, name and value; nothing where the row has none.
#[inline]
pub(super) fn write_cell(leaf: &Leaf<'_>, row: usize, out: &mut Vec<u8>, scratch: &mut Scratch) {
    if leaf.nulls.is_some_and(|nulls| nulls.is_null(row)) {
        return;
    }
    copy(out, &leaf.key, 0, leaf.key.len());
    match &leaf.cells {
        Cells::Text { offsets, data, plain } => {
            let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
            if *plain {
                copy(out, data, start, end);
            } else {
                write_escaped(&data[start..end], out);
            }
            out.push(b'"');
        }
        Cells::Json { offsets, data, plain, bytes, times } => {
            let text = &data[offsets[row] as usize..offsets[row + 1] as usize];
            if text.first() == Some(&b' ') {
                write_mixed(text, *bytes, *times, out, scratch);
            } else if *plain {
                copy(out, data, offsets[row] as usize, offsets[row + 1] as usize);
            } else {
                write_json(text, *bytes, out);
            }
        }
        Cells::Bytes { offsets, data, as_written } => {
            write_bytes(&data[offsets[row] as usize..offsets[row + 1] as usize], *as_written, out);
        }
        Cells::Int(values) => write_int(values[row], out),
        Cells::Float(values) => write_float(values[row], out),
        Cells::Boolean(values) => {
            out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
        }
        Cells::Timestamp(values, format) => write_time(values[row], *format, out, scratch),
    }
}

fn write_bytes(value: &[u8], as_written: Bytes, out: &mut Vec<u8>) {
    match as_written {
        Bytes::Replaced => write_string(String::from_utf8_lossy(value).as_bytes(), out),
        Bytes::Base64 => lossless::write_bytes(value, out),
    }
}

/// Appends a JSON text on one line.
fn write_json(json: &[u8], as_written: Bytes, out: &mut Vec<u8>) {
    let start = out.len();
    match as_written {
        Bytes::Replaced => out.extend_from_slice(json),
        Bytes::Base64 => lossless::write_marked(json, out),
    }
    // In JSON a newline is never more than white space.
    out[start..].iter_mut().filter(|b| **b == b'\n').for_each(|b| *b = b' ');
}

fn write_time(ns: i64, format: TimestampFormat, out: &mut Vec<u8>, scratch: &mut Scratch) {
    match format {
        TimestampFormat::Rfc3339 => {
            out.push(b'"');
            scratch.time.write(ns, out);
            out.push(b'"');
        }
        TimestampFormat::Unix => write_int(ns.div_euclid(1_000_000_000), out),
        TimestampFormat::UnixMs => write_int(ns.div_euclid(1_000_000), out),
        TimestampFormat::UnixUs => write_int(ns.div_euclid(1000), out),
        TimestampFormat::UnixNs => write_int(ns, out),
    }
}

/// Writes a time or bytes that stand among values of other kinds: see [`mixed`].
#[cold]
fn write_mixed(
    text: &[u8],
    as_written: Bytes,
    times: TimestampFormat,
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
) {
    if let Some(ns) = mixed::time(text) {
        write_time(ns, times, out, scratch);
    } else if let Some(bytes) = mixed::bytes(text) {
        write_bytes(&bytes, as_written, out);
    } else {
        out.extend_from_slice(text.trim_ascii_start());
    }
}

/// Appends the members of an object, each behind a comma; nothing where the row has none.
fn write_members(leaf: &Leaf<'_>, row: usize, out: &mut Vec<u8>) {
    if let Cells::Json { bytes, .. } = &leaf.cells
        && leaf.nulls.is_none_or(|nulls| nulls.is_valid(row))
        && let Some(inside) = members(leaf, row)
    {
        out.push(b',');
        write_json(inside, *bytes, out);
    }
}

/// What stands between the braces of an object that has members; none where the value is none.
fn members<'a>(leaf: &Leaf<'a>, row: usize) -> Option<&'a [u8]> {
    let Cells::Json { offsets, data, .. } = leaf.cells else { return None };
    match data[offsets[row] as usize..offsets[row + 1] as usize].trim_ascii() {
        [b'{', inside @ .., b'}'] => Some(inside.trim_ascii()).filter(|inside| !inside.is_empty()),
        _ => None,
    }
}

/// Ends the innermost object. Without members it was none, and the value at the path itself is written, if there is
/// one. A value that is a JSON object joins the members; any other gives way to them.
fn close(leaf: Option<&Leaf<'_>>, row: usize, out: &mut Vec<u8>, scratch: &mut Scratch) {
    let Some((before, first)) = scratch.open.pop() else { return };
    let row = if leaf.is_some_and(|leaf| leaf.constant) { 0 } else { row };
    if out.len() == first {
        out.truncate(before);
        if let Some(leaf) = leaf {
            write_cell(leaf, row, out, scratch);
        }
        return;
    }
    out[first] = b'{';
    if let Some(leaf) = leaf
        && let Cells::Json { bytes, .. } = &leaf.cells
        && leaf.nulls.is_none_or(|nulls| nulls.is_valid(row))
        && let Some(inside) = members(leaf, row)
    {
        let mut merged = std::mem::take(&mut scratch.merged);
        merged.clear();
        write_json(inside, *bytes, &mut merged);
        merged.push(b',');
        out.splice(first + 1..first + 1, merged.iter().copied());
        scratch.merged = merged;
    }
    out.push(b'}');
}

/// Appends `from[start..end]`. Most values are short, and copying a fixed 16 or 32 bytes, more than asked for, is
/// several times faster than a copy of just so many.
#[inline(always)]
pub(super) fn copy(out: &mut Vec<u8>, from: &[u8], start: usize, end: usize) {
    let length = end - start;
    if length <= 32 && start + 32 <= from.len() && out.capacity() - out.len() >= 32 {
        // SAFETY: the 32 bytes from `start` lie in `from`, `out` has room for 32 more, and the two do not overlap, one
        // being borrowed for writing. The length grows by at most the 32 bytes that are now initialised.
        unsafe {
            let to = out.as_mut_ptr().add(out.len()).cast::<[u8; 32]>();
            to.write_unaligned(from.as_ptr().add(start).cast::<[u8; 32]>().read_unaligned());
            out.set_len(out.len() + length);
        }
    } else {
        out.extend_from_slice(&from[start..end]);
    }
}
