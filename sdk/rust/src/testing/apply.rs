//! A filter's answer, checked and applied to the records.

use super::{Outcome, TAG, json_of};
use crate::json::REST;
use crate::{Batch, Changes, Column, Removal, Value, Values, bitmap, path};
use serde_json::{Map, Value as Json};

pub(super) fn apply(batch: &Batch, changes: Changes) -> Outcome {
    let take = changes.going_on(batch.len());
    for rejection in &changes.rejected {
        assert!(rejection.row < batch.rows, "row {} was rejected, of {}", rejection.row, batch.rows);
        assert!(!take.contains(&rejection.row), "row {} is both taken and rejected", rejection.row);
    }
    for row in &take {
        assert!(*row < batch.rows, "row {row} was taken, of {}", batch.rows);
    }
    for column in &changes.set {
        check(column, take.len());
    }
    for Removal { name, rows } in &changes.remove {
        assert!(
            rows.as_ref().is_none_or(|rows| rows.len() == bitmap::bytes_for(take.len())),
            "the rows of the removal of {name}"
        );
    }
    let records = take.iter().enumerate().map(|(to, from)| record(batch, *from as usize, to, &changes));
    Outcome {
        records: records.collect(),
        rejected: changes
            .rejected
            .iter()
            .map(|rejection| (rejection.row, rejection.reason.clone()))
            .collect(),
    }
}

/// Checks a column as the host does.
pub(super) fn check(column: &Column, rows: usize) {
    let name = &column.name;
    let found = match &column.values {
        Values::Text(blobs) | Values::Bytes(blobs) | Values::Json(blobs) => {
            assert!(blobs.ends.is_sorted(), "the ends of {name} grow");
            assert_eq!(
                blobs.ends.last().map_or(0, |end| *end as usize),
                blobs.data.len(),
                "the last end of {name}"
            );
            blobs.ends.len()
        }
        Values::Int64(numbers) | Values::Timestamp(numbers) => numbers.len(),
        Values::Float64(numbers) => numbers.len(),
        Values::Boolean(bits) => {
            assert_eq!(bits.len(), bitmap::bytes_for(rows), "the bytes of {name}");
            rows
        }
    };
    assert_eq!(found, rows, "the rows of {name}");
    if let Some(present) = &column.present {
        assert_eq!(present.len(), bitmap::bytes_for(rows), "the bitmap of {name}");
    }
    for row in 0..rows {
        match column.value(row) {
            Some(Value::Json(text)) => {
                assert!(
                    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
                    "{text} in {name} is no JSON"
                )
            }
            Some(Value::Text(text)) => {
                assert!(std::str::from_utf8(text.as_bytes()).is_ok(), "{name} is not UTF-8")
            }
            _ => {}
        }
    }
}

fn record(batch: &Batch, from: usize, to: usize, changes: &Changes) -> Json {
    let mut record = Map::new();
    for column in &batch.columns {
        if let Some(value) = column.value(from) {
            put(&mut record, &column.name, value);
        }
    }
    for Removal { name, rows } in &changes.remove {
        if !rows.as_ref().is_none_or(|rows| bitmap::get(rows, to)) {
            continue;
        }
        if name == REST {
            let members = batch.column(REST).and_then(|rest| rest.value(from)).map(json_of);
            let members = members.as_ref().and_then(Json::as_object).into_iter().flatten();
            members.for_each(|(member, _)| drop(record.remove(member)));
        } else {
            remove(&mut record, &path::split(name));
        }
    }
    for column in &changes.set {
        if let Some(value) = column.value(to) {
            put(&mut record, &column.name, value);
        }
    }
    record.retain(|name, value| match name.as_str() {
        "@timestamp" => *value != json_of(Value::Timestamp(0)),
        "@tag" => *value != json_of(Value::Text(TAG)),
        _ => true,
    });
    Json::Object(record)
}

/// Writes a value at its path: it replaces what stands there and below, and what stands above unless that is an object.
fn put(record: &mut Map<String, Json>, name: &str, value: Value<'_>) {
    let value = json_of(value);
    if name == REST {
        record.extend(value.as_object().cloned().unwrap_or_default());
        return;
    }
    let mut members = path::split(name);
    let last = members.pop().unwrap_or_default();
    let mut object = record;
    for member in members {
        let below = object.entry(member).or_insert_with(|| Json::Object(Map::new()));
        if !below.is_object() {
            *below = Json::Object(Map::new());
        }
        object = below.as_object_mut().expect("an object");
    }
    object.insert(last, value);
}

/// Removes what stands at a path, and the objects above in which nothing is left.
fn remove(object: &mut Map<String, Json>, names: &[String]) {
    let Some((first, rest)) = names.split_first() else { return };
    match object.get_mut(first) {
        Some(Json::Object(inner)) if !rest.is_empty() => {
            remove(inner, rest);
            if inner.is_empty() {
                object.remove(first);
            }
        }
        Some(_) if rest.is_empty() => drop(object.remove(first)),
        _ => {}
    }
}
