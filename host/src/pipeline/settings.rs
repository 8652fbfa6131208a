//! What a pipeline is made of. A route may be written short: `to: [events]` is `to: [{ output: events }]`.

use std::fmt;

use schemars::{JsonSchema, Schema};
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use flitch_core::router::Condition;

/// A way from sources through filters to outputs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineSettings {
    /// Names of the sources. A source may feed several pipelines; each gets every record.
    pub from: Vec<String>,
    /// Names of the filters, in the order in which they run.
    #[serde(default)]
    pub filters: Vec<String>,
    /// Where the records go. A record goes to every output whose condition holds; one that no output takes is
    /// counted as dropped. An output may stand here more than once where each time has a condition of its own.
    pub to: Vec<RouteSettings>,
    /// Threads that run the filters; as many as the machine has cores where this is not set. One, where a filter
    /// has `instances: 1`.
    #[schemars(range(min = 1, max = 1024))]
    #[serde(default)]
    pub workers: Option<usize>,
}

/// One output of a pipeline.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(transform = with_short_form)]
pub struct RouteSettings {
    /// Name of the output.
    pub output: String,
    /// Which records go there; all of them where this is not set.
    #[serde(default)]
    pub when: Option<Condition>,
}

impl PipelineSettings {
    /// How many threads run its filters, where they allow as many.
    pub fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl<'de> Deserialize<'de> for RouteSettings {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<RouteSettings, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = RouteSettings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an output, or a map with the key `output`")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<RouteSettings, E> {
                RouteSettings::deserialize(MapDeserializer::new(std::iter::once(("output", name))))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RouteSettings, A::Error> {
                RouteSettings::deserialize(MapAccessDeserializer::new(map))
            }
        }

        d.deserialize_any(Form)
    }
}

impl Serialize for RouteSettings {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        RouteSettings::serialize(self, s)
    }
}

/// Adds the short form to the schema.
fn with_short_form(schema: &mut Schema) {
    let long = std::mem::take(schema);
    let description = long.get("description").cloned();
    *schema = schemars::json_schema!({ "anyOf": [
        { "type": "string", "description": "The name of the output." },
        long,
    ]});
    if let Some(description) = description {
        schema.insert("description".to_owned(), description);
    }
}
