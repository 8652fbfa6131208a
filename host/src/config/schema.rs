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

/// Where a property names the other keys that stand for it: `#[schemars(extend("x-aliases" = ["topic"]))]` beside
/// `#[serde(alias = "topic")]`, which schemars passes over.
pub const ALIASES: &str = "x-aliases";

/// The schema of the settings as they are once placeholders are replaced.
pub fn plain() -> Value {
    let mut schema =
        SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<Config>().to_value();
    aliases(&mut schema);
    schema
}

/// Puts the other names of keys beside them.
fn aliases(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(aliases),
        Value::Object(object) => {
            object.values_mut().for_each(aliases);
            name_twice(object);
        }
        _ => {}
    }
}

fn name_twice(object: &mut Map<String, Value>) {
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let aliased: Vec<(String, Value)> = properties
        .iter()
        .filter(|(_, property)| property.get(ALIASES).is_some())
        .map(|(name, property)| (name.clone(), property.clone()))
        .collect();
    for (name, property) in aliased {
        let mut other = property.clone();
        let names = other.as_object_mut().and_then(|other| other.remove(ALIASES)).unwrap_or_default();
        other["description"] = format!("Another name of `{name}`.").into();
        let Value::Array(names) = names else { continue };
        if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
            properties.extend(
                names.iter().filter_map(Value::as_str).map(|alias| (alias.to_owned(), other.clone())),
            );
        }
        let required = object.get_mut("required").and_then(Value::as_array_mut);
        if let Some(required) = required
            && let Some(place) = required.iter().position(|required| *required == *name)
        {
            required.remove(place);
            let each = std::iter::once(Value::from(name))
                .chain(names)
                .map(|name: Value| json!({ "required": [name] }));
            let one = json!({ "oneOf": each.collect::<Vec<_>>() });
            match object.entry("allOf").or_insert_with(|| json!([])) {
                Value::Array(all) => all.push(one),
                other => *other = json!([one]),
            }
        }
    }
}

/// The keys of an object that must be there, each by its first name.
pub fn required(object: &Map<String, Value>) -> Vec<&str> {
    let keys = object.get("required").and_then(Value::as_array).into_iter().flatten();
    let of_several = object.get("allOf").and_then(Value::as_array).into_iter().flatten();
    let of_several = of_several.filter_map(|one| one.pointer("/oneOf/0/required/0"));
    keys.chain(of_several).filter_map(Value::as_str).collect()
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
