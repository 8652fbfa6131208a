//! Decodes Protocol Buffers messages into fields, by a descriptor set.

mod decode;
mod framing;
mod schema;
mod settings;
mod wire;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use decode::{Decoder, Show};
use flitch_sdk::json::{Flattener, Limits};
use flitch_sdk::parse::{Found, Policy, Reader, check_prefix, set_present};
use flitch_sdk::{Batch, Changes, ColumnFilter, ColumnSet, Fields, Result, Value, bail, err, host};
use framing::Framing;
use schema::{Known, Schema};
pub use settings::{Encoding, EnumValues, FieldNames, Settings, UnknownFields};

/// Names of messages that a refusal shows.
const SHOWN: usize = 10;

/// Takes base64 with its padding or without.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The filter.
#[derive(Debug)]
pub struct Protobuf {
    how: How,
    policy: Policy,
    /// How messages were written so far.
    flattener: Flattener,
}

/// How messages are read.
#[derive(Debug)]
struct How {
    schema: Schema,
    message: usize,
    show: Show,
    encoding: Encoding,
    framing: Framing,
    unknown: UnknownFields,
}

impl ColumnFilter for Protobuf {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let set: String = settings.descriptor_set.split_ascii_whitespace().collect();
        if set.is_empty() {
            bail!("settings: `descriptor_set` is missing: the set of file descriptors, as base64");
        }
        let set = base64(&set).map_err(|wrong| err!("settings.descriptor_set: {wrong}"))?;
        let schema = Schema::read(&set, settings.field_names == FieldNames::Json)
            .map_err(|wrong| err!("settings.descriptor_set: it is no set of file descriptors: {wrong}"))?;
        if settings.message.is_empty() {
            bail!("settings: `message` is missing: the full name of the message; {}", known_names(&schema));
        }
        let Some(message) = schema.message(settings.message.trim_start_matches('.')) else {
            bail!(
                "settings.message: there is no `{}` in the set; {}",
                settings.message,
                known_names(&schema)
            );
        };
        if !matches!(schema.messages[message].known, Known::No | Known::Struct) {
            bail!("settings.message: `{}` has no fields of its own", settings.message);
        }
        let policy = settings.policy();
        policy.check([])?;
        check_prefix(&settings.prefix)?;
        let how = How {
            schema,
            message,
            show: Show {
                enum_numbers: settings.enum_values == EnumValues::Number,
                defaults: settings.defaults,
            },
            encoding: settings.encoding,
            framing: settings.framing,
            unknown: settings.unknown_fields,
        };
        Ok(Self { how, policy, flattener: Flattener::new(settings.prefix, Limits::default()) })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.policy.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let Self { how, policy, flattener } = self;
        flattener.begin();
        let mut messages = Messages {
            how,
            decoder: Decoder::new(&how.schema, how.show),
            flattener,
            columns: ColumnSet::default(),
            rows: Vec::with_capacity(batch.len()),
            records: 0,
            unknown: 0,
        };
        policy.run(batch, changes, &mut messages);
        let Messages { columns, rows, records, unknown, .. } = messages;
        if unknown > 0 {
            host::count("unknown_fields", unknown);
        }
        if rows.len() > records as usize {
            changes.take_going_on(batch.len(), &rows);
        }
        set_present(changes, columns.finish(rows.len()));
        Ok(())
    }
}

/// The bytes that a text in base64 stands for, in either alphabet.
fn base64(text: &str) -> Result<Vec<u8>, String> {
    // All bytes, whatever the first ones are: without a way out of it the loop looks at many at once.
    let is_url_safe = text.bytes().fold(false, |is, byte| is | matches!(byte, b'-' | b'_'));
    let engine = if is_url_safe { &URL_SAFE } else { &STANDARD };
    engine.decode(text).map_err(|wrong| format!("it is no base64: {wrong}"))
}

/// What there is instead.
fn known_names(schema: &Schema) -> String {
    let names = schema.names();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    match names.is_empty() {
        true => "the set has no messages".to_owned(),
        false => format!("there are {}{more}", names[..names.len().min(SHOWN)].join(", ")),
    }
}

/// The messages of one batch.
struct Messages<'a> {
    how: &'a How,
    decoder: Decoder<'a>,
    flattener: &'a mut Flattener,
    columns: ColumnSet,
    /// For each row that is written, the number of its record among those that go on.
    rows: Vec<u32>,
    /// How many records go on.
    records: u32,
    /// Fields that the schema does not know, of records that go on.
    unknown: u64,
}

impl Messages<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        let How { schema, message, framing, .. } = self.how;
        let begin = self.rows.len();
        self.decoder.unknown = 0;
        let parts = framing.messages(bytes, &schema.messages[*message].place)?;
        for (number, part) in parts.iter().enumerate() {
            if let Err(wrong) = self.message(part) {
                self.columns.truncate(begin);
                self.rows.truncate(begin);
                return Err(if parts.len() > 1 { format!("message {number}: {wrong}") } else { wrong });
            }
        }
        self.records += 1;
        self.unknown += self.decoder.unknown;
        Ok(())
    }

    fn message(&mut self, bytes: &[u8]) -> Result<(), String> {
        let How { message, unknown, .. } = self.how;
        let text = self.decoder.decode(bytes, *message)?;
        self.flattener.flatten(text, 0, text.len(), self.rows.len(), &mut self.columns)?;
        if *unknown == UnknownFields::Reject && self.decoder.unknown > 0 {
            return Err(format!("fields that the schema does not know: {}", self.decoder.unknown));
        }
        self.rows.push(self.records);
        Ok(())
    }
}

impl Reader for Messages<'_> {
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<Found, String> {
        let text = &data[from..to];
        match self.how.encoding {
            Encoding::Binary => self.bytes(text.as_bytes())?,
            Encoding::Base64 => self.bytes(&base64(text)?)?,
        }
        Ok(Found::Something)
    }

    fn read_bytes(&mut self, bytes: &[u8]) -> Result<Found, String> {
        match self.how.encoding {
            Encoding::Binary => self.bytes(bytes).map(|()| Found::Something),
            Encoding::Base64 => self.read_other(Value::Bytes(bytes)),
        }
    }

    fn skip(&mut self) {
        self.rows.push(self.records);
        self.records += 1;
    }
}

flitch_sdk::export!(Protobuf);

#[cfg(test)]
mod tests;
