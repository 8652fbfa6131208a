//! Reads a route, which may be written short: `to: [events]` is `to: [{ output: events }]`.

use std::fmt;

use schemars::Schema;
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RouteSettings;

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
pub(super) fn with_short_form(schema: &mut Schema) {
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
