//! What all rows of a batch have in common, worked out once.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, NullBuffer};

use super::TimestampFormat;
use super::tree::{Group, Tree};
use super::write::{Scratch, write_cell};
use crate::batch::json::plain_prefix;
use crate::batch::lossless;
use crate::batch::path::write_json_name;
use crate::batch::{Column, Kind};

/// How the values of bytes columns are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// As text, with U+FFFD for what is not UTF-8.
    Replaced,
    /// As [`lossless`] has them.
    Base64,
}

/// The values of a column that has one per row, or a constant's one value.
#[derive(Debug)]
pub(super) enum Cells<'a> {
    /// `plain`: nothing in it needs an escape.
    Text {
        offsets: &'a [i32],
        data: &'a [u8],
        plain: bool,
    },
    /// `plain`: no newline in it, and no name that `bytes` marks. Times and bytes among other values are written as those
    /// of their own columns.
    Json {
        offsets: &'a [i32],
        data: &'a [u8],
        plain: bool,
        bytes: Bytes,
        times: TimestampFormat,
    },
    Bytes {
        offsets: &'a [i32],
        data: &'a [u8],
        as_written: Bytes,
    },
    Int(&'a [i64]),
    Float(&'a [f64]),
    Boolean(&'a BooleanBuffer),
    Timestamp(&'a [i64], TimestampFormat),
}

/// Key and values of one member.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    /// `,"name":`, for text with the quote that opens it.
    pub key: Vec<u8>,
    pub cells: Cells<'a>,
    pub nulls: Option<&'a NullBuffer>,
    /// Whether its one value holds for every row.
    pub constant: bool,
}

/// What to do for each row, in this order. Each member begins with a comma; whoever closes the object puts the brace
/// in the place of the first.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// The same in each row.
    Fixed(Vec<u8>),
    Leaf(Leaf<'a>),
    /// `,"name":`; the members follow.
    Open(Vec<u8>),
    /// Ends the object, with the value that stands at the path itself, if there is such a column.
    Close(Option<Leaf<'a>>),
    /// The members of objects, at the top of the record.
    Members(Leaf<'a>),
}

#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub steps: Vec<Step<'a>>,
    /// Bytes that the values take, about.
    pub bytes: usize,
}

impl<'a> Plan<'a> {
    pub fn new(
        columns: impl Iterator<Item = (String, Column<'a>)>,
        bytes: Bytes,
        format: TimestampFormat,
    ) -> Plan<'a> {
        let Tree { root, rest, bytes: size } = Tree::of(columns);
        let mut steps = Vec::new();
        add_steps(root, bytes, format, &mut steps);
        let rest = rest.and_then(|column| leaf(column, Vec::new(), bytes, format));
        steps.extend(rest.filter(|leaf| matches!(leaf.cells, Cells::Json { .. })).map(Step::Members));
        Plan { steps, bytes: size }
    }
}

fn add_steps<'a>(group: Group<'a>, bytes: Bytes, format: TimestampFormat, steps: &mut Vec<Step<'a>>) {
    for member in group.members {
        let mut key = vec![b','];
        match bytes {
            Bytes::Base64 if lossless::is_marked(member.name.as_bytes()) => {
                write_json_name(&format!("${}", member.name), &mut key);
            }
            _ => write_json_name(&member.name, &mut key),
        }
        key.push(b':');
        let leaf = member.value.and_then(|column| leaf(column, key.clone(), bytes, format));
        if member.group.members.is_empty() {
            match (leaf, member.value) {
                (Some(leaf), Some(Column::Constant(..))) => add_fixed(fixed(&leaf), steps),
                (Some(leaf), _) => steps.push(Step::Leaf(leaf)),
                (None, _) => {}
            }
            continue;
        }
        let mut inner = Vec::new();
        add_steps(member.group, bytes, format, &mut inner);
        match (&mut inner[..], &leaf) {
            ([], None) => {}
            ([Step::Fixed(text)], None) => {
                text[0] = b'{';
                text.push(b'}');
                key.extend_from_slice(text);
                add_fixed(key, steps);
            }
            _ => {
                steps.push(Step::Open(key));
                steps.append(&mut inner);
                steps.push(Step::Close(leaf));
            }
        }
    }
}

fn add_fixed(text: Vec<u8>, steps: &mut Vec<Step<'_>>) {
    match steps.last_mut() {
        Some(Step::Fixed(before)) => before.extend_from_slice(&text),
        _ if text.is_empty() => {}
        _ => steps.push(Step::Fixed(text)),
    }
}

/// A constant as it is written in each row; nothing if it is absent.
fn fixed(leaf: &Leaf<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    write_cell(leaf, 0, &mut text, &mut Scratch::default());
    text
}

fn leaf<'a>(column: Column<'a>, mut key: Vec<u8>, bytes: Bytes, format: TimestampFormat) -> Option<Leaf<'a>> {
    let array: &'a ArrayRef = column.array();
    let cells = match Kind::of(column.field())? {
        kind @ (Kind::Text | Kind::Json) => {
            let array = array.as_string::<i32>();
            let (offsets, data) = (&array.offsets()[..], array.value_data());
            let used = &data[offsets[0] as usize..offsets[offsets.len() - 1] as usize];
            if kind == Kind::Text {
                key.push(b'"');
                Cells::Text { offsets, data, plain: plain_prefix(used) == used.len() }
            } else {
                let plain = memchr::memchr(b'\n', used).is_none() && bytes == Bytes::Replaced;
                Cells::Json { offsets, data, plain, bytes, times: format }
            }
        }
        Kind::Bytes => {
            let array = array.as_binary::<i32>();
            Cells::Bytes { offsets: &array.offsets()[..], data: array.value_data(), as_written: bytes }
        }
        Kind::Int64 => Cells::Int(array.as_primitive::<Int64Type>().values()),
        Kind::Float64 => Cells::Float(array.as_primitive::<Float64Type>().values()),
        Kind::Boolean => Cells::Boolean(array.as_boolean().values()),
        Kind::Timestamp => Cells::Timestamp(array.as_primitive::<TimestampNanosecondType>().values(), format),
    };
    let nulls = array.nulls().filter(|n| n.null_count() > 0);
    Some(Leaf { key, cells, nulls, constant: matches!(column, Column::Constant(..)) })
}
