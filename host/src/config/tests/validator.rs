//! As much of JSON Schema (draft 2020-12) as the schema of the configuration uses. A keyword that is not here fails the
//! test that meets it.
//!
//! By hand, and not `jsonschema`: that passes over keywords that it does not know, and brings 22 crates of which nothing
//! else here has use, for the sake of one test.

use regex::Regex;
use serde_json::{Map, Value};

/// Keywords that say nothing about whether a value fits.
const NOTES: [&str; 9] =
    ["$schema", "$defs", "title", "description", "default", "format", "writeOnly", "deprecated", "x-aliases"];

/// What of `value` does not fit `root`, with the path of the place; empty where all does.
pub fn errors(root: &Value, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    Validator { root }.check(root, value, "", &mut wrong);
    wrong
}

struct Validator<'a> {
    root: &'a Value,
}

impl Validator<'_> {
    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let mut wrong = Vec::new();
        self.check(schema, value, "", &mut wrong);
        wrong.is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
        let schema = match schema {
            Value::Bool(true) => return,
            Value::Bool(false) => return wrong.push(format!("{path}: nothing may stand here")),
            Value::Object(schema) => schema,
            other => panic!("no schema: {other}"),
        };
        for (keyword, says) in schema {
            let mut expect = |fits: bool| {
                if !fits {
                    let says = if says.is_array() { String::new() } else { says.to_string() };
                    wrong.push(format!("{path}: {value} does not fit {keyword} {says}"));
                }
            };
            match keyword.as_str() {
                "$ref" => {
                    let pointer = says.as_str().and_then(|r| r.strip_prefix('#')).expect("a local reference");
                    self.check(self.root.pointer(pointer).expect("it leads somewhere"), value, path, wrong);
                }
                "type" => expect(match says {
                    Value::Array(names) => names.iter().any(|name| is(name, value)),
                    name => is(name, value),
                }),
                "const" => expect(value == says),
                "enum" => expect(says.as_array().expect("a list").contains(value)),
                "anyOf" => expect(self.fitting(says, value) > 0),
                "allOf" => expect(self.fitting(says, value) == says.as_array().map_or(0, Vec::len)),
                "oneOf" => expect(self.fitting(says, value) == 1),
                "minimum" => expect(value.as_f64().is_none_or(|v| v >= says.as_f64().expect("a number"))),
                "maximum" => expect(value.as_f64().is_none_or(|v| v <= says.as_f64().expect("a number"))),
                "pattern" => {
                    let pattern = Regex::new(says.as_str().expect("a pattern")).expect("a pattern");
                    expect(value.as_str().is_none_or(|text| pattern.is_match(text)));
                }
                "items" => {
                    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(says, item, &format!("{path}[{number}]"), wrong);
                    }
                }
                "required" => {
                    if let Value::Object(object) = value {
                        let names = says.as_array().expect("a list").iter();
                        expect(names.flat_map(Value::as_str).all(|name| object.contains_key(name)));
                    }
                }
                "properties" | "patternProperties" | "additionalProperties" => {}
                note if NOTES.contains(&note) => {}
                other => panic!("the keyword {other} is not known here: add it"),
            }
        }
        if let Value::Object(object) = value {
            self.members(schema, object, path, wrong);
        }
    }

    fn fitting(&self, schemas: &Value, value: &Value) -> usize {
        schemas.as_array().expect("a list").iter().filter(|schema| self.fits(schema, value)).count()
    }

    fn members(
        &self,
        schema: &Map<String, Value>,
        object: &Map<String, Value>,
        path: &str,
        wrong: &mut Vec<String>,
    ) {
        let named = |keyword: &str| schema.get(keyword).and_then(Value::as_object);
        let (properties, patterns) = (named("properties"), named("patternProperties"));
        for (name, member) in object {
            let path = format!("{path}.{name}");
            let known = properties.and_then(|properties| properties.get(name));
            let patterns = patterns.into_iter().flatten();
            let by_pattern: Vec<_> =
                patterns.filter(|(p, _)| Regex::new(p).expect("a pattern").is_match(name)).collect();
            for schema in known.into_iter().chain(by_pattern.iter().map(|(_, schema)| *schema)) {
                self.check(schema, member, &path, wrong);
            }
            if known.is_none()
                && by_pattern.is_empty()
                && let Some(schema) = schema.get("additionalProperties")
            {
                self.check(schema, member, &path, wrong);
            }
        }
    }
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("no type: {other}"),
    }
}
