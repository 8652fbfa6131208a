//! The rows of a table, read from CSV and NDJSON.

use std::collections::{BTreeSet, HashMap};
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context, bail};
use arrow_array::cast::AsArray;

use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::lift::Found;
use flitch_core::batch::path;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::value::{Scalar, Value};
use flitch_core::batch::{Column, Kind, Records};
use flitch_core::named_file;

mod bounds;

/// The rows of a table, and where each key stands.
#[derive(Debug)]
pub struct Rows {
    records: Records,
    index: HashMap<Box<[u8]>, u32, ahash::RandomState>,
    /// All columns of the file, also those without any value.
    names: Vec<String>,
    /// Columns of JSON in which a row has an object: what such an object has inside is among no names.
    open: Vec<String>,
    /// Whether a row has the columns alone of which it has a value, so that one that no row has may be no mistake.
    optional: bool,
}

impl Rows {
    /// Reads a CSV file. An error says in which line.
    pub fn csv(path: &Path, key: &str) -> anyhow::Result<Rows> {
        // A name of the header is one name, so a dot in it is no path.
        Rows::read(path, || read_csv(path, key), &path_of(key), false)
    }

    /// Reads an NDJSON file. An error says in which line.
    pub fn ndjson(path: &Path, key: &str) -> anyhow::Result<Rows> {
        Rows::read(path, || read_ndjson(path), key, true)
    }

    fn read(
        path: &Path,
        read: impl FnOnce() -> anyhow::Result<(Records, Vec<String>)>,
        key: &str,
        optional: bool,
    ) -> anyhow::Result<Rows> {
        let (records, names) = read().with_context(|| format!("cannot read {}", path.display()))?;
        Rows::index(records, names, key, optional).with_context(|| path.display().to_string())
    }

    fn index(records: Records, names: Vec<String>, key: &str, optional: bool) -> anyhow::Result<Rows> {
        let mut index = HashMap::with_capacity_and_hasher(records.rows(), ahash::RandomState::default());
        // A row of very many names has some of them in one value of JSON.
        let found = records.find(key);
        let column = found.as_ref().map(Found::column);
        let mut text = Vec::new();
        for row in 0..records.rows() {
            let found = column.and_then(|column| key_text(column, row, &mut text));
            if found.is_none() {
                bail!("row {} has no `{key}`", row + 1);
            }
            index.insert(text.as_slice().into(), row as u32);
        }
        let open = records.iter().filter(has_objects).map(|column| column.field().name().clone()).collect();
        Ok(Rows { records, index, names, open, optional })
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.records.rows()
    }

    /// A column that `new` lacks, and should have.
    pub fn lost_by(&self, new: &Rows) -> Option<&str> {
        if self.optional && new.optional {
            return None;
        }
        self.names.iter().find(|name| !new.names.contains(name)).map(String::as_str)
    }

    /// The same after `old`: what filters may ask that for they may ask this for, though no row has a value of it any more.
    pub fn after(mut self, old: &Rows) -> Rows {
        if self.optional {
            add_missing(&mut self.names, &old.names);
            add_missing(&mut self.open, &old.open);
        }
        self
    }

    /// The names of all columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The path of the field that a name means: it is the path, or one name of a header that has dots in it, or leads into
    /// an object that was kept whole.
    pub fn path<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let of = |path: &str| self.names.iter().find(|own| *own == path).map(String::as_str);
        let inside = || self.open.iter().any(|column| path::is_above(column, name)).then_some(name);
        of(name).or_else(|| of(&path_of(name))).or_else(inside)
    }

    /// The values of one column; none where no row has one.
    pub fn column(&self, name: &str) -> Option<Column<'_>> {
        self.records.column(name)
    }

    /// The columns that have something of the field at this path, where that may be more than its own: members of an object,
    /// and JSON that has it inside. None where it is one column at the most.
    pub fn parts(&self, name: &str) -> Option<Vec<Column<'_>>> {
        let is_below = |column: &Column<'_>| path::is_below(column.field().name(), name);
        if !self.records.is_inside(name) && !self.records.iter().any(|column| is_below(&column)) {
            return None;
        }
        let is_part = |column: &Column<'_>| {
            let own = column.field().name();
            path::overlap(own, name) || path::is_above(own, name)
        };
        Some(self.records.iter().filter(is_part).collect())
    }

    /// Where a key stands.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        self.index.get(key).copied()
    }
}

/// Whether a row has an object in this column, which was kept whole there.
fn has_objects(column: &Column<'_>) -> bool {
    let is_object = |text: Option<&str>| text.is_some_and(|text| text.starts_with('{'));
    Kind::of(column.field()) == Some(Kind::Json) && column.array().as_string::<i32>().iter().any(is_object)
}

/// Adds those names of `old` that `names` lacks.
fn add_missing(names: &mut Vec<String>, old: &[String]) {
    let gone: Vec<_> = old.iter().filter(|name| !names.contains(name)).cloned().collect();
    names.extend(gone);
}

/// Writes the key of a row as text. None where the row has none.
fn key_text(column: Column<'_>, row: usize, text: &mut Vec<u8>) -> Option<()> {
    text.clear();
    write_key(column.value(row)?, text)
}

/// Appends a value as it stands for a key. None for null, which is no key.
pub fn write_key(value: Value<'_>, text: &mut Vec<u8>) -> Option<()> {
    Scalar::of_value(value).write_key(text).then_some(())
}

fn read_csv(path: &Path, key: &str) -> anyhow::Result<(Records, Vec<String>)> {
    let mut reader = csv::ReaderBuilder::new().from_reader(bounds::Lines::new(named_file::open(path)?));
    let header = reader.byte_headers()?.clone();
    bounds::check_names(header.len())?;
    let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    if !names.iter().any(|name| name == key) {
        bail!("its first line has no `{key}`; it has {}", names.join(", "));
    }
    let mut builder = Builder::new();
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        builder.begin_record();
        for (name, value) in header.iter().zip(&record).filter(|(_, value)| !value.is_empty()) {
            builder.key(name).text(value);
        }
        builder.end_record();
        bounds::check(&builder)?;
    }
    Ok((finish(builder), names.iter().map(|name| path_of(name)).collect()))
}

/// The path of one name.
fn path_of(name: &str) -> String {
    path::of_names([name])
}

fn read_ndjson(path: &Path) -> anyhow::Result<(Records, Vec<String>)> {
    let mut builder = Builder::new();
    let mut reader = std::io::BufReader::new(named_file::open(path)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if !line.trim_ascii().is_empty() {
            decode_line(&mut builder, &line).with_context(|| format!("line {number}"))?;
            bounds::check(&builder)?;
        }
    }
    let records = finish(builder);
    let columns = records.iter().map(|column| column.field().name());
    // An object has its members in columns, and may be asked for as a whole.
    let names: BTreeSet<&str> = columns.flat_map(|name| path::and_above(name)).collect();
    let names = names.into_iter().map(str::to_owned).collect();
    Ok((records, names))
}

fn finish(mut builder: Builder) -> Records {
    builder.finish(InvalidUtf8::Replace, &Constants::new()).records
}
