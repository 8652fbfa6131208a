//! Random records, most of them a little wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use serde_json::{Map, Value as Json, json};

use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::origin::{Origins, Root};
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Records, json};

/// The field that numbers a record. No filter of a case touches it.
pub const ID: &str = "number of the record";

/// The fields that records have, and that conditions and templates look at.
pub const FIELDS: &[&str] = &[
    "@timestamp",
    "@tag",
    "@version",
    "message",
    "time",
    "status",
    "host",
    "n",
    "o",
    "o.x",
    "o.m3",
    "n299",
    "k",
    "user",
];

/// One record.
pub struct Record {
    /// Its number.
    pub id: u64,
    /// It, where `{"$time": ns}` and `{"$bytes": [1, 2]}` stand for what JSON does not know.
    pub json: Json,
}

/// Random records with the usual fields.
pub fn random(seed: u64, count: usize) -> Vec<Record> {
    let fields: Vec<String> = FIELDS.iter().filter(|f| !f.contains('.')).map(|f| (*f).to_owned()).collect();
    let mut all = random_of(seed, count, &fields);
    number(&mut all);
    all
}

/// Random records with some of these fields.
pub fn random_of(seed: u64, count: usize, fields: &[String]) -> Vec<Record> {
    let mut random = fastrand::Rng::with_seed(seed);
    let one = |_| {
        let mut members = Map::new();
        for _ in 0..random.usize(0..7) {
            let field = match random.usize(0..4) {
                0 => FIELDS[random.usize(0..FIELDS.len())].split('.').next().unwrap_or_default().to_owned(),
                _ if fields.is_empty() => "message".to_owned(),
                _ => fields[random.usize(0..fields.len())].clone(),
            };
            members.insert(field, value(&mut random, 2));
        }
        if random.usize(0..25) == 0 {
            members.extend((0..300).map(|n| (format!("n{n}"), json!(n))));
        }
        Record { id: 0, json: Json::Object(members) }
    };
    (0..count).map(one).collect()
}

fn value(random: &mut fastrand::Rng, depth: usize) -> Json {
    let texts = [
        "5",
        "5.0",
        "x",
        "",
        "true",
        "2026-11-25T10:00:00Z",
        "2026-11-25T11:00:00.5+01:00",
        "20/Nov/2026:13:55:36 +0100",
        "a b c",
        "[d] e",
        "a-1",
        "-",
        "null",
        "\u{fffd}ä",
        "line\nline",
        "5e0",
        "{\"n\":5,\"o\":{\"x\":1},\"@timestamp\":\"x\"}",
        "{\"n\":5.5,\"@version\":\"1\",\"version\":2}",
        "{\"n\":\"s\",\"message\":\"m\",\"o\":7}",
        "{\"n\":[1e-07]",
        "{}",
        "192.0.2.1 - - [20/Nov/2026:13:55:36 +0100] \"GET /a HTTP/1.1\" 200 5 \"-\" \"curl\"",
        "192.0.2.1 - bob [20/Nov/2026:13:55:36 +0100] \"bad\" 404 - \"-\" \"curl\"",
        "1605515507",
        "Nov 20 13:55:36",
    ];
    match random.usize(0..if depth > 0 { 16 } else { 13 }) {
        0 => json!(5),
        1 => json!(random.i64(-10..1000)),
        2 => json!(5.5),
        3 => json!(5.0),
        4 => json!(1e300),
        5 => json!(random.bool()),
        6 => Json::Null,
        7 => json!({"$time": 1_795_600_800_000_000_000_i64 + random.i64(0..5)}),
        8 => json!({"$bytes": [b'5', random.u8(b'a'..b'd')]}),
        9 => json!({"$bytes": [0xff, b'"', random.u8(..)]}),
        10..=12 => json!(texts[random.usize(0..texts.len())]),
        13 => json!([1, "x", value(random, depth - 1).to_string()]),
        14 => Json::Object(
            (0..random.usize(0..4))
                .map(|n| (["x", "m3", "y.z", "m"][n].to_owned(), value(random, depth - 1)))
                .collect(),
        ),
        _ => Json::Object(
            (0..70).map(|n| (format!("m{n}"), if n == 3 { value(random, 0) } else { json!(n) })).collect(),
        ),
    }
}

/// The records of NDJSON.
pub fn of_lines(text: &str) -> Vec<Record> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| Record { id: 0, json: json::read(line).unwrap() }).collect()
}

/// The names that records have at their top, but those of a record with very many.
pub fn fields_of(records: &[Record]) -> Vec<String> {
    let objects = records.iter().filter_map(|record| record.json.as_object()).filter(|o| o.len() < 50);
    let names: BTreeSet<String> = objects.flat_map(|object| object.keys().cloned()).collect();
    names.into_iter().collect()
}

/// Gives each record its number.
pub fn number(records: &mut [Record]) {
    for (id, record) in records.iter_mut().enumerate() {
        record.id = id as u64;
        // The first member, so that it has its place also where there are very many.
        let members = std::mem::take(record.json.as_object_mut().expect("an object"));
        let mut numbered = Map::new();
        numbered.insert(ID.to_owned(), json!(id));
        numbered.extend(members);
        record.json = Json::Object(numbered);
    }
}

/// The records in one batch.
pub fn batch(records: &[Record]) -> Arc<Records> {
    let mut builder = Builder::new();
    for record in records {
        builder.begin_record();
        builder.key(ID.as_bytes()).int(record.id as i64);
        let members = record.json.as_object().expect("an object");
        for (name, value) in members.iter().filter(|(name, _)| *name != ID) {
            builder.key(name.as_bytes());
            add(&mut builder, value);
        }
        builder.end_record();
    }
    let constants = Constants::new()
        .timestamp("@timestamp", 7)
        .text("@tag", "test")
        .text("host", "this host")
        .text("file", "f");
    let origins = Origins::of(Root::of("test", &[]), records.iter().map(|record| record.id).collect());
    Arc::new(builder.finish(InvalidUtf8::Bytes, &constants).records.with_origins(Some(origins)))
}

fn add(builder: &mut Builder, value: &Json) {
    match value {
        Json::Null => builder.null(),
        Json::Bool(flag) => builder.boolean(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(int) => builder.int(int),
            None => builder.float(number.as_f64().expect("a float")),
        },
        Json::String(text) => builder.text(text.as_bytes()),
        Json::Array(_) => builder.json(&value.to_string()),
        Json::Object(members) => match (members.get("$time"), members.get("$bytes")) {
            (Some(ns), _) => builder.timestamp(ns.as_i64().expect("ns")),
            (_, Some(bytes)) => {
                let bytes: Vec<u8> = serde_json::from_value(bytes.clone()).expect("bytes");
                // As text that is perhaps no UTF-8, or as bytes.
                if bytes[0] == 0xff { builder.text(&bytes) } else { builder.bytes_value(&bytes) }
            }
            (None, None) => {
                builder.begin_object();
                for (name, value) in members {
                    builder.key(name.as_bytes());
                    add(builder, value);
                }
                builder.end_object();
            }
        },
    }
}

/// The numbers of a batch's records.
pub fn ids(records: &Records) -> Vec<u64> {
    let column = records.column(ID).expect("the numbers").array();
    column.as_primitive::<Int64Type>().values().iter().map(|id| *id as u64).collect()
}
