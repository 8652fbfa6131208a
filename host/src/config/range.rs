//! Holds the numbers of a configuration against the least and the most that the schema of the settings takes.

use serde_json::Value as Schema;

use super::schema;
use super::tree::{Location, Node, Scalar, Value};

/// A number that is out of its range.
#[derive(Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// Where it stands.
    pub location: Location,
    /// What is wrong, without the number where it must not be shown.
    pub message: String,
}

/// All numbers of a configuration that are out of their ranges.
pub fn check(root: &Node) -> Vec<OutOfRange> {
    let schema = schema::plain();
    let mut wrong = Vec::new();
    walk(&schema, &schema, root, &mut wrong);
    wrong
}

fn walk(root: &Schema, schema: &Schema, node: &Node, wrong: &mut Vec<OutOfRange>) {
    if let Some(there) = schema.get("$ref").and_then(Schema::as_str).and_then(|path| root.pointer(&path[1..]))
    {
        walk(root, there, node, wrong);
    }
    for forms in ["oneOf", "anyOf"] {
        for form in schema.get(forms).and_then(Schema::as_array).into_iter().flatten() {
            if fits(form, node) {
                walk(root, form, node, wrong);
            }
        }
    }
    match &node.value {
        Value::Scalar(scalar) => wrong.extend(number(schema, scalar, node.location)),
        Value::Seq(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter().for_each(|item| walk(root, schema, item, wrong));
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let known = schema.get("properties").and_then(|properties| properties.get(&entry.key));
                if let Some(schema) = known.or_else(|| schema.get("additionalProperties")) {
                    walk(root, schema, &entry.value, wrong);
                }
            }
        }
    }
}

/// Whether a form is that of the map's `type`, if it has one.
fn fits(form: &Schema, node: &Node) -> bool {
    let wanted = form.pointer("/properties/type/const").and_then(Schema::as_str);
    let found = node.get("type").map(|kind| &kind.value);
    match (wanted, found) {
        (Some(wanted), Some(Value::Scalar(found))) => wanted == found.text,
        _ => true,
    }
}

fn number(schema: &Schema, scalar: &Scalar, location: Location) -> Option<OutOfRange> {
    if schema.get("type").and_then(Schema::as_str) == Some("number") {
        return fraction(schema, scalar, location);
    }
    let limit = |name| schema.get(name).and_then(Schema::as_u64);
    let (least, most) = (limit("minimum").unwrap_or(0), limit("maximum").unwrap_or(u64::MAX));
    let found: u64 = scalar.text.parse().ok()?;
    if (least..=most).contains(&found) {
        return None;
    }
    let range = match most {
        u64::MAX => format!("{least} or more"),
        most => format!("from {least} to {most}"),
    };
    let found = scalar.hidden().map_or_else(|| format!("found `{found}`"), |_| "found another".to_owned());
    Some(OutOfRange { location, message: format!("expected a whole number {range}, {found}") })
}

/// The same for numbers that need not be whole.
fn fraction(schema: &Schema, scalar: &Scalar, location: Location) -> Option<OutOfRange> {
    let limit = |name| schema.get(name).and_then(Schema::as_f64);
    let (least, most) = (limit("minimum").unwrap_or(f64::MIN), limit("maximum").unwrap_or(f64::MAX));
    let found: f64 = scalar.text.parse().ok()?;
    if (least..=most).contains(&found) {
        return None;
    }
    let range =
        if most < f64::MAX { format!("from {least} to {most}") } else { format!("of {least} or more") };
    let found = scalar.hidden().map_or_else(|| format!("found `{found}`"), |_| "found another".to_owned());
    Some(OutOfRange { location, message: format!("expected a number {range}, {found}") })
}
