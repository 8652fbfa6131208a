//! The JSON Schema of the configuration file.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::model::Config;

/// The schema, with descriptions and defaults.
pub fn json() -> Value {
    let mut schema = plain();
    schema["title"] = "flitch.yaml".into();
    schema["patternProperties"] = json!({ "^x-": true });
    placeholders(&mut schema);
    schema
}

/// The schema of the settings as they are once placeholders are replaced.
pub fn plain() -> Value {
    SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<Config>().to_value()
}

/// A number or a boolean may come from outside, and is text in the file then.
fn placeholders(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(placeholders),
        Value::Object(object) => {
            object.values_mut().for_each(placeholders);
            if object.get("type").is_some_and(is_typed) {
                let description = object.remove("description");
                let default = object.remove("default");
                let typed = Value::Object(std::mem::take(object));
                *object = Map::from_iter([(
                    "anyOf".to_owned(),
                    json!([typed, { "type": "string", "pattern": "\\$\\{.+\\}" }]),
                )]);
                object.extend(description.map(|d| ("description".to_owned(), d)));
                object.extend(default.map(|d| ("default".to_owned(), d)));
            }
        }
        _ => {}
    }
}

/// Whether a text is never of this type, or of these types: a name or a list of them.
fn is_typed(types: &Value) -> bool {
    let names: Vec<&str> = match types {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    };
    names.iter().any(|name| matches!(*name, "integer" | "number" | "boolean")) && !names.contains(&"string")
}
