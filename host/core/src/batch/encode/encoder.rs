//! An encoding that an output is about to write in.

use std::sync::Arc;

use bytes::Bytes;

use super::fields::Fields;
use super::{Encoding, Format, Naming, TimestampFormat, cells, csv, ndjson_with};
use crate::batch::{Encoded, Records, path};
use crate::setting::wrong;

/// How an output keeps its records apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Each is a message of its own.
    Messages,
    /// Each is a line.
    Lines,
    /// The same, for a reader to whom an empty line is no record.
    FullLines,
}

/// Writes batches as an [`Encoding`] says, for an output that keeps records apart in its own way. Outputs that agree on
/// both share the text of a batch.
#[derive(Clone, Debug)]
pub struct Encoder(Arc<Manner>);

/// What makes texts of the same records the same.
#[derive(Debug, PartialEq)]
pub(in crate::batch) struct Manner {
    encoding: Encoding,
    /// None where it changes nothing.
    framing: Option<Framing>,
    is_default: bool,
}

impl Encoder {
    /// An encoder for an output that frames records like that.
    ///
    /// # Errors
    /// Keys of the encoding contradict each other, or one is missing.
    pub fn new(encoding: Encoding, framing: Framing) -> anyhow::Result<Encoder> {
        encoding.check()?;
        let framing = matches!(encoding.format, Format::Text).then_some(framing);
        let is_default = encoding == Encoding::default();
        Ok(Encoder(Arc::new(Manner { encoding, framing, is_default })))
    }

    /// The text of all records, which is made once for a batch.
    pub fn encode(&self, records: &Records) -> Arc<Encoded> {
        records.encoded(&self.0)
    }

    /// The records in columns, for files that have those.
    pub fn fields(&self, records: &Records) -> Fields {
        Fields::of(records, &self.0.encoding)
    }

    /// What stands before the first record, where the reader finds all of them one behind the other: the names of a CSV
    /// file's columns.
    pub fn header(&self) -> Option<Bytes> {
        let encoding = &self.0.encoding;
        (encoding.format == Format::Csv && encoding.header).then(|| csv::header(&encoding.columns))
    }

    /// How records are written.
    pub fn encoding(&self) -> &Encoding {
        &self.0.encoding
    }
}

impl Manner {
    /// Whether it is the form that every batch has one text of.
    pub fn is_default(&self) -> bool {
        self.is_default
    }

    /// The text of all records.
    pub fn encode(&self, records: &Records) -> Encoded {
        let encoding = &self.encoding;
        match encoding.format {
            // A row of columns has no text of its own; what it says is that.
            Format::Ndjson | Format::Parquet => ndjson_with(records, encoding),
            Format::Text | Format::Raw => {
                cells::encode(records, encoding, self.framing.unwrap_or(Framing::Messages))
            }
            Format::Csv => csv::encode(records, encoding),
        }
    }
}

impl Encoding {
    /// Whether the keys make sense together.
    ///
    /// # Errors
    /// Which do not.
    fn check(&self) -> anyhow::Result<()> {
        self.check_names()?;
        self.check_naming()?;
        self.check_field()?;
        self.check_columns()?;
        anyhow::ensure!(
            self.format != Format::Parquet || self.timestamp_format != TimestampFormat::Unix,
            wrong!(
                "encoding.timestamp_format",
                ": Parquet has no timestamps of seconds: take `unix_ms`, `unix_us` or `unix_ns`"
            )
        );
        Ok(())
    }

    /// Whether all that names a field is a name of one.
    fn check_names(&self) -> anyhow::Result<()> {
        let Encoding { only, except, rename, field, columns, .. } = self;
        let names = |list: &[String]| list.iter().try_for_each(|name| path::check_exact(name));
        let renamed =
            rename.iter().try_for_each(|(old, new)| path::check_exact(old).and(path::check_exact(new)));
        for (key, checked) in [
            ("only", names(only)),
            ("except", names(except)),
            ("columns", names(columns)),
            ("field", names(field.as_slice())),
            ("rename", renamed),
        ] {
            checked.map_err(|error| wrong!("encoding.{key}", ": {error}"))?;
        }
        Ok(())
    }

    /// Keys that choose and name fields are for formats that write names.
    fn check_naming(&self) -> anyhow::Result<()> {
        let named = [
            ("timestamp", self.timestamp != Naming::default()),
            ("tag", self.tag != Naming::default()),
            ("only", !self.only.is_empty()),
            ("except", !self.except.is_empty()),
            ("rename", !self.rename.is_empty()),
        ];
        if !matches!(self.format, Format::Ndjson | Format::Parquet)
            && let Some((key, _)) = named.into_iter().find(|(_, set)| *set)
        {
            anyhow::bail!(wrong!(
                "encoding.{key}",
                " is for `format: ndjson` and `parquet`: with `format: {}` other keys say what is written",
                self.format.name()
            ));
        }
        Ok(())
    }

    /// `field` is for formats that write the value of one.
    fn check_field(&self) -> anyhow::Result<()> {
        let name = self.format.name();
        match (self.format, &self.field) {
            (Format::Text | Format::Raw, None) => {
                anyhow::bail!(wrong!(
                    "encoding",
                    ": `format: {name}` needs `field`, the one that is written: `field: message`"
                ))
            }
            (Format::Text | Format::Raw, Some(field)) => {
                anyhow::ensure!(!field.is_empty(), wrong!("encoding.field", " is empty"));
            }
            (Format::Ndjson | Format::Csv | Format::Parquet, Some(_)) => {
                anyhow::bail!(wrong!(
                    "encoding.field",
                    " is for `format: text` and `format: raw`, not for `format: {name}`"
                ))
            }
            (Format::Ndjson | Format::Csv | Format::Parquet, None) => {}
        }
        Ok(())
    }

    /// `columns` and `header` are for CSV.
    fn check_columns(&self) -> anyhow::Result<()> {
        if self.format == Format::Csv {
            anyhow::ensure!(
                !self.columns.is_empty(),
                wrong!(
                    "encoding",
                    ": `format: csv` needs `columns`, the fields that are written: `columns: [\"@timestamp\", message]`"
                )
            );
            for (place, column) in self.columns.iter().enumerate() {
                anyhow::ensure!(!column.is_empty(), wrong!("encoding.columns", " has an empty name"));
                let twice = self.columns[..place].contains(column);
                anyhow::ensure!(!twice, wrong!("encoding.columns", ": `{column}` stands there twice"));
            }
        } else {
            anyhow::ensure!(
                self.columns.is_empty(),
                wrong!(
                    "encoding.columns",
                    " is for `format: csv`; `only` picks the fields of `format: ndjson`"
                )
            );
            anyhow::ensure!(self.header, wrong!("encoding.header", " is for `format: csv`"));
        }
        Ok(())
    }
}
