//! Tests of pipelines that stand in the configuration, for `flitch test`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::pipeline::PipelineSettings;
use flitch_core::batch::time;
use flitch_core::exact::{self, exactly};

/// A record, by its fields.
pub type Record = Map<String, Value>;

/// A test of a pipeline: records in, and what should become of them. `flitch test` runs it with the plugins, tables and
/// conditions of this file; `flitch run` passes over it. What becomes of a record may not depend on those beside it, so
/// the records run together, one by one, and in batches that are cut by chance.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestSettings {
    /// The records as they come: each a text, which the source reads by its `codec` (a line of a file, the body of a
    /// request, the value of a message), or a map of its fields.
    #[schemars(with = "Vec<Value>")]
    pub r#in: Vec<Given>,
    /// Name of the pipeline; it may be left out where there is one alone.
    #[serde(default)]
    pub pipeline: Option<String>,
    /// Name of the source whose records they are; the first one of the pipeline where this is not set.
    #[serde(default)]
    pub source: Option<String>,
    /// The `@tag` of records that bring none; that of the source where this is not set.
    #[serde(default)]
    pub tag: Option<String>,
    /// The `@timestamp` of records that bring none (RFC 3339); 1970-01-01T00:00:00Z where this is not set.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub time: Option<Moment>,
    /// Texts that the source puts into each record, by their fields: the `file` that a line comes from, the `host`.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// The records that arrive at each output, in order; `[]` for none. An output that is not named is not looked at.
    #[schemars(with = "BTreeMap<String, Vec<Record>>")]
    #[serde(default, deserialize_with = "exactly")]
    pub out: BTreeMap<String, Vec<Record>>,
    /// How records are compared with those of `out`. A tag and a time that a record did not bring are compared only
    /// where `out` has them.
    #[serde(default)]
    pub r#match: Match,
    /// The records that become dead letters, in any order; there may be no others.
    #[serde(default)]
    pub dead_letters: Vec<Letter>,
    /// How many records filters drop, or no output takes, 0 for none; not looked at where this is not set.
    #[serde(default)]
    pub dropped: Option<u64>,
}

impl TestSettings {
    /// The pipeline that it is about, among these.
    pub fn pipeline_of<'a>(
        &self,
        pipelines: &'a BTreeMap<String, PipelineSettings>,
    ) -> Option<(&'a String, &'a PipelineSettings)> {
        match &self.pipeline {
            Some(name) => pipelines.get_key_value(name),
            None => pipelines.first_key_value(),
        }
    }

    /// The source whose records they are, of those of its pipeline.
    pub fn source_of<'a>(&'a self, pipeline: &'a PipelineSettings) -> Option<&'a str> {
        self.source.as_ref().or(pipeline.from.first()).map(String::as_str)
    }
}

/// How a record is compared with what it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// It has these fields and no others.
    #[default]
    Exact,
    /// It has these fields, whatever else it has; `null` stands for one that is not there.
    Fields,
}

/// A record that should become a dead letter.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    /// Text that the reason has in it.
    pub reason: String,
    /// The filter or the source that gives the reason; any where this is not set.
    #[serde(default)]
    pub by: Option<String>,
    /// Fields that the record has, as it came to there; any where this is not set.
    #[serde(default, deserialize_with = "exactly")]
    pub record: Option<Record>,
}

/// A record that comes in.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// A text that the source reads.
    Text(String),
    /// Its fields.
    Fields(Record),
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Given, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = Given;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text (in quotes where it looks like something else), or a map of fields")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Given, E> {
                // A number is no text, however large it is.
                match exact::number_of(text) {
                    Some(_) => Err(E::invalid_type(Unexpected::Other("a number"), &self)),
                    None => Ok(Given::Text(exact::unmarked_text(text).to_owned())),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Given, A::Error> {
                Map::deserialize(MapAccessDeserializer::new(map)).map(Given::Fields)
            }
        }

        struct Exact(Given);

        impl<'de> Deserialize<'de> for Exact {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Exact, D::Error> {
                d.deserialize_any(Form).map(Exact)
            }
        }

        exactly(d).map(|Exact(given)| given)
    }
}

/// A time, in ns since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Moment(pub i64);

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Moment, String> {
        let ns = time::parse(text.as_bytes());
        ns.map(Moment)
            .ok_or_else(|| format!("`{text}` is no time: write it as RFC 3339 does, 2026-01-31T23:59:59Z"))
    }
}
