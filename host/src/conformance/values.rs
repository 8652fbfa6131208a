//! Single values, in the columns of records.

use std::sync::Arc;

use arrow_array::StringArray;

use super::*;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::template::Template;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::value::Scalar;
use flitch_core::batch::{Kind, Records, TIMESTAMP, texts};
use flitch_core::router::{Condition, Mask};

/// The cases of a file, each by its line.
fn cases(name: &str) -> Vec<(String, Json)> {
    let file = folder("values").join(name);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let case = |line: &str| (line.to_owned(), serde_json::from_str(line).expect(line));
    text.lines().map(case).collect()
}

fn finish(mut builder: Builder) -> Records {
    builder.finish(InvalidUtf8::Bytes, &Constants::new()).records
}

/// The record of one line of JSON.
fn decoded(line: &str) -> Option<Records> {
    let mut builder = Builder::new();
    decode_line(&mut builder, line.as_bytes()).ok()?;
    Some(finish(builder))
}

/// A record of values with their kinds, each in the column of its path.
fn record(fields: &Json) -> Records {
    let column = |(name, value): (&String, &Json)| {
        let mut builder = Builder::new();
        builder.begin_record();
        put(builder.key(b"value"), value);
        builder.end_record();
        let alone = finish(builder);
        let column = alone.column("value").expect("a value");
        let kind = Kind::of(column.field()).expect("a kind");
        (Arc::new(kind.field(name)), column.array().clone())
    };
    let columns = fields.as_object().expect("a record").iter().map(column).collect();
    Records::of(1, columns, Vec::new()).expect("a record")
}

fn put(builder: &mut Builder, value: &Json) {
    let (kind, value) =
        value.as_object().and_then(|object| object.iter().next()).expect("a kind and a value");
    match kind.as_str() {
        "text" => builder.text(text(value).as_bytes()),
        "bytes" => builder.bytes_value(&bytes(text(value))),
        "int64" => builder.int(value.as_i64().expect("a whole number")),
        "float64" => builder.float(value.as_f64().expect("a number")),
        "boolean" => builder.boolean(value.as_bool().expect("a boolean")),
        "timestamp" => builder.timestamp(value.as_i64().expect("nanoseconds")),
        "json" => builder.json(text(value)),
        other => panic!("there is no kind {other}"),
    }
}

#[test]
fn a_number_has_the_kind_and_the_form_of_its_case() {
    for (line, case) in cases("numbers.ndjson") {
        let records = decoded(&format!("{{\"n\":{}}}", text(&case["in"])));
        assert_eq!(records.is_none(), case.get("wrong").is_some(), "{line}");
        let Some(records) = records else { continue };
        let kind = match Kind::of(records.column("n").expect(&line).field()) {
            Some(Kind::Int64) => "int64",
            Some(Kind::Float64) => "float64",
            _ => "json",
        };
        assert_eq!(kind, text(&case["kind"]), "{line}");
        let expected = format!("{{\"n\":{}}}\n", text(&case["out"]));
        assert_eq!(String::from_utf8_lossy(records.ndjson().row(0)), expected, "{line}");
    }
}

#[test]
fn a_time_is_the_event_s_or_stands_beside_it() {
    for (line, case) in cases("times.ndjson") {
        let written = text(&case["in"]);
        let records = decoded(&serde_json::json!({ TIMESTAMP: written }).to_string()).expect(&line);
        let expected = match case["ns"].as_i64() {
            Some(ns) => {
                let time = records.column(TIMESTAMP).and_then(|column| column.scalar(0));
                assert_eq!(time, Some(Scalar::Time(ns)), "{line}");
                serde_json::json!({ TIMESTAMP: case["out"] })
            }
            None => serde_json::json!({ "_@timestamp": written }),
        };
        let found: Json = serde_json::from_slice(records.ndjson().row(0)).expect(&line);
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn a_path_leads_to_the_value_below_its_names() {
    for (line, case) in cases("paths.ndjson") {
        let Some(names) = case.get("names").and_then(Json::as_array) else { continue };
        let names = case.get("json").and_then(Json::as_array).unwrap_or(names).iter();
        let quoted = |name: &Json| match case.get("json") {
            Some(_) => format!("\"{}\"", text(name)),
            None => name.to_string(),
        };
        let nested = names.rev().fold("7".to_owned(), |inner, name| format!("{{{}:{inner}}}", quoted(name)));
        let records = decoded(&nested).expect(&line);
        let canonical = text(case.get("canonical").unwrap_or(&case["path"]));
        assert_eq!(
            records.iter().map(|c| c.field().name().clone()).collect::<Vec<_>>(),
            [canonical],
            "{line}"
        );
        let found = String::from_utf8_lossy(records.ndjson().row(0)).to_lowercase();
        assert_eq!(found.trim_end(), nested.to_lowercase(), "{line}");
    }
}

#[test]
fn a_json_text_from_outside_gets_the_one_form() {
    for (line, case) in cases("json.ndjson") {
        let array = texts::check(StringArray::from(vec![text(&case["in"])]), 0).expect(&line);
        assert_eq!(array.value(0), text(&case["out"]), "{line}");
    }
}

#[test]
fn a_template_gives_the_text_of_its_case() {
    for (line, case) in cases("templates.ndjson") {
        let Ok(template) = Template::parse(text(&case["template"])) else {
            assert!(case.get("wrong").is_some(), "{line}");
            continue;
        };
        let template = if case.get("paths").is_some() { template.for_paths() } else { template };
        let rendered = record(&case["record"]).render(&template);
        let found = rendered.row(0).map(String::from_utf8_lossy);
        assert_eq!(found.as_deref(), case.get("out").and_then(Json::as_str), "{line}");
    }
}

#[test]
fn a_condition_holds_for_the_record_of_its_case() {
    for (line, case) in cases("conditions.ndjson") {
        let Ok(condition) = serde_json::from_value::<Condition>(case["condition"].clone()) else {
            assert!(case.get("wrong").is_some(), "{line}");
            continue;
        };
        let holds = match condition.test(&Arc::new(record(&case["record"]))) {
            Mask::All => true,
            Mask::None => false,
            Mask::Rows(bits) => bits.value(0),
        };
        assert_eq!(Json::Bool(holds), case["holds"], "{line}");
    }
}
