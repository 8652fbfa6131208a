//! A filter's answer, checked and applied to the records.

use super::{Outcome, TAG, json_of};
use crate::{Batch, Changes, Column, Removal, Value, Values, bitmap, path};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

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
fn check(column: &Column, rows: usize) {
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
    let mut fields: BTreeMap<&str, Value<'_>> = BTreeMap::new();
    for column in &batch.columns {
        if let Some(value) = column.value(from) {
            fields.insert(&column.name, value);
        }
    }
    for Removal { name, rows } in &changes.remove {
        if rows.as_ref().is_none_or(|rows| bitmap::get(rows, to)) {
            fields.retain(|field, _| field != name && !path::is_below(field, name));
        }
    }
    let mut written = BTreeMap::new();
    for column in &changes.set {
        if let Some(value) = column.value(to) {
            fields.retain(|field, _| !path::overlap(field, &column.name));
            written.insert(column.name.as_str(), value);
        }
    }
    fields.append(&mut written);
    nest(fields)
}

/// Fields under their paths as a nested object.
fn nest(fields: BTreeMap<&str, Value<'_>>) -> Json {
    let mut record = Map::new();
    for (name, value) in fields {
        let silent = match name {
            "@timestamp" => value == Value::Timestamp(0),
            "@tag" => value == Value::Text(TAG),
            _ => false,
        };
        if silent {
            continue;
        }
        let mut members = path::split(name);
        let last = members.pop().unwrap_or_default();
        let mut object = &mut record;
        for member in members {
            let below = object.entry(member).or_insert_with(|| Json::Object(Map::new()));
            object = below.as_object_mut().expect("no value above another");
        }
        object.insert(last, json_of(value));
    }
    Json::Object(record)
}
