//! Records as the language's values, and the time of an event.

use chrono::{DateTime, Utc};
use flitch_sdk::Value as Field;
use flitch_sdk::json;
use flitch_sdk::rewrite::{Before, Rewriter, Tree};
use vrl::value::{ObjectMap, Value};

/// The name by which a program knows when the event was, and the one that Vector's programs have for it.
const TIMESTAMP: &str = "@timestamp";
const ALIAS: &str = "timestamp";

/// The language's values.
#[derive(Debug)]
pub enum Remap {}

impl Tree for Remap {
    type Node = Value;

    fn object<'m>(members: impl Iterator<Item = (&'m str, Value)>) -> Value {
        Value::Object(members.map(|(name, node)| (name.into(), node)).collect())
    }

    fn of(field: Field<'_>) -> Value {
        match field {
            Field::Text(text) => Value::from(text),
            Field::Bytes(bytes) => Value::Bytes(bytes.to_vec().into()),
            Field::Int64(number) => Value::Integer(number),
            Field::Float64(number) => Value::from_f64_or_zero(number),
            Field::Boolean(is) => Value::Boolean(is),
            Field::Timestamp(nanos) => Value::Timestamp(DateTime::from_timestamp_nanos(nanos)),
            // What is too deep for a value is a text: it is written as that where a program moves it.
            Field::Json(text) => json::read(text).unwrap_or_else(|_| Value::from(text)),
        }
    }

    fn is(node: &Value, field: Field<'_>) -> bool {
        match (node, field) {
            (Value::Bytes(own), Field::Text(text)) => own == text.as_bytes(),
            (node, field) => *node == Self::of(field),
        }
    }

    fn members(node: &Value) -> Option<impl ExactSizeIterator<Item = (&str, &Value)>> {
        let members = node.as_object()?;
        Some(members.iter().map(|(name, node)| (name.as_str(), node)))
    }

    fn member<'n>(node: &'n Value, name: &str) -> Option<&'n Value> {
        node.as_object()?.get(name)
    }

    fn put(node: &mut Value, name: &str, value: Value) {
        if let Some(members) = node.as_object_mut() {
            members.insert(name.into(), value);
        }
    }

    fn remove(node: &mut Value, name: &str) -> Option<Value> {
        node.as_object_mut()?.remove(name)
    }

    fn field(node: &Value) -> Option<Field<'_>> {
        Some(match node {
            Value::Bytes(bytes) => std::str::from_utf8(bytes).map_or(Field::Bytes(bytes), Field::Text),
            Value::String(text) => Field::Text(text),
            Value::Integer(number) => Field::Int64(*number),
            Value::Float(number) if number.is_finite() => Field::Float64(number.into_inner()),
            Value::Boolean(is) => Field::Boolean(*is),
            Value::Timestamp(time) => Field::Timestamp(nanos(time)?),
            _ => return None,
        })
    }

    fn json(node: &Value) -> String {
        serde_json::to_string(node).unwrap_or_else(|_| "null".to_owned())
    }
}

/// The instant, where it lies in the years 1677 to 2262.
fn nanos(time: &DateTime<Utc>) -> Option<i64> {
    time.timestamp_nanos_opt()
}

/// The record of a row as a program sees it: its time also stands under the name that Vector has for it, where no field
/// of the record has that name.
pub fn before(rewriter: &Rewriter<'_, Remap>, row: usize) -> Before<Value> {
    let mut before = rewriter.before(row);
    if let Value::Object(members) = &mut before.record
        && let Some(time) = members.get(TIMESTAMP).cloned()
    {
        members.entry(ALIAS.into()).or_insert(time);
    }
    before
}

/// The records that a program left, each with the time of the event where it is a new one.
pub fn after(rewriter: &Rewriter<'_, Remap>, row: usize, after: Value) -> Vec<(Value, Option<i64>)> {
    let events = match after {
        Value::Array(events) => events,
        event => vec![event],
    };
    let (came, own) = (rewriter.value(row, TIMESTAMP), rewriter.value(row, ALIAS));
    let event = |event| {
        let mut members = match event {
            Value::Object(members) => members,
            // As Vector does it.
            other => ObjectMap::from([("message".into(), other)]),
        };
        let time = time(came.as_ref(), own.as_ref(), &mut members);
        (Value::Object(members), time)
    };
    events.into_iter().map(event).collect()
}

/// The event's time where the program has changed it; the names that hold it are taken out of the event.
fn time(came: Option<&Value>, own: Option<&Value>, members: &mut ObjectMap) -> Option<i64> {
    let mut time = None;
    match members.remove(TIMESTAMP) {
        None => {}
        Some(same) if came == Some(&same) => {}
        Some(Value::Timestamp(at)) if nanos(&at).is_some() => time = nanos(&at),
        // What is no time of an event, one of another century among it, is a field.
        Some(other) => _ = members.insert(format!("_{TIMESTAMP}").as_str().into(), other),
    }
    if let Some(alias @ Value::Timestamp(at)) = members.get(ALIAS)
        && own != Some(alias)
        && let Some(nanos) = nanos(at)
    {
        if came != Some(alias) {
            time = Some(nanos);
        }
        members.remove(ALIAS);
    }
    time
}
