//! The values of `wit/cases`, as filters meet them in the SDK.

use flitch_sdk::json::{Decoded, Limits, decode, flatten, mixed_text, text_of};
use flitch_sdk::{ColumnSet, Value, path, time};
use serde_json::Value as Json;

#[path = "../../../model/tests/cases/read.rs"]
mod read;

use read::{cases, text, texts};

/// The columns of one JSON object.
fn columns(object: &str) -> Option<ColumnSet> {
    let mut columns = ColumnSet::default();
    flatten(object, "", 0, &mut columns, Limits::default()).ok()?;
    Some(columns)
}

#[test]
fn paths() {
    for (line, case) in cases("paths.ndjson") {
        if let Some(names) = case.get("names") {
            let written = text(&case["path"]);
            assert_eq!(path::split(written), texts(names), "{line}");
            let canonical = case.get("canonical").map_or(written, text);
            // An object inside of another for each name.
            let names = case.get("json").unwrap_or(names);
            let quoted = |name: &&str| match case.get("json") {
                Some(_) => format!("\"{name}\""),
                None => Json::from(*name).to_string(),
            };
            let nested = texts(names)
                .iter()
                .rev()
                .fold("7".to_owned(), |inner, name| format!("{{{}:{inner}}}", quoted(name)));
            let columns = columns(&nested).expect(&line);
            assert_eq!(columns.row(0).collect::<Vec<_>>(), [(canonical, Value::Int64(7))], "{line}");
        } else if let Some(above) = case.get("and_above") {
            assert_eq!(path::and_above(text(&case["path"])).collect::<Vec<_>>(), texts(above), "{line}");
        } else if let Some(below) = case.get("below") {
            let (inner, outer) = (text(&case["inner"]), text(&case["outer"]));
            assert_eq!(Json::Bool(path::is_below(inner, outer)), *below, "{line}");
        } else {
            let found = path::contradiction(texts(&case["paths"])).map(|(a, b)| vec![a, b]);
            let wanted = Some(&case["contradiction"]).filter(|wanted| !wanted.is_null()).map(texts);
            assert_eq!(found, wanted, "{line}");
        }
    }
}

#[test]
fn numbers() {
    for (line, case) in cases("numbers.ndjson") {
        let columns = columns(&format!("{{\"n\":{}}}", text(&case["in"])));
        assert_eq!(columns.is_none(), case.get("wrong").is_some(), "{line}");
        let Some(columns) = columns else { continue };
        let value = columns.get(0, "n").expect(&line);
        let kind = match value {
            Value::Int64(_) => "int64",
            Value::Float64(_) => "float64",
            _ => "json",
        };
        assert_eq!((kind, &*text_of(value)), (text(&case["kind"]), text(&case["out"])), "{line}");
    }
}

#[test]
fn times() {
    for (line, case) in cases("times.ndjson") {
        let written = text(&case["in"]);
        assert_eq!(time::parse_exact(written.as_bytes()), case["ns"].as_i64(), "{line}");
        let lenient = case.get("lenient").unwrap_or(&case["ns"]);
        assert_eq!(time::parse_rfc3339(written.as_bytes()), lenient.as_i64(), "{line}");
        let columns = columns(&serde_json::json!({ "@timestamp": written }).to_string()).expect(&line);
        match case["ns"].as_i64() {
            Some(ns) => {
                assert_eq!(time::format_rfc3339(ns), text(&case["out"]), "{line}");
                assert_eq!(columns.get(0, "@timestamp"), Some(Value::Timestamp(ns)), "{line}");
            }
            None => assert_eq!(columns.get(0, "_@timestamp"), Some(Value::Text(written)), "{line}"),
        }
    }
}

#[test]
fn json_texts() {
    for (line, case) in cases("json.ndjson") {
        // The host hands over the canonical form.
        let given = text(&case["out"]);
        let decoded = decode(given);
        let found = match &decoded {
            Decoded::Text(text) => serde_json::json!({ "text": text }),
            Decoded::Bytes(bytes) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                serde_json::json!({ "bytes": hex })
            }
            Decoded::Other(value) => match value {
                Value::Int64(number) => serde_json::json!({ "int64": number }),
                Value::Float64(number) => serde_json::json!({ "float64": number }),
                Value::Boolean(boolean) => serde_json::json!({ "boolean": boolean }),
                Value::Timestamp(nanos) => serde_json::json!({ "timestamp": nanos }),
                Value::Json(text) => serde_json::json!({ "json": text }),
                Value::Text(_) | Value::Bytes(_) => panic!("{line}: {value:?}"),
            },
        };
        assert_eq!(found, case["value"], "{line}");
        let plain = case.get("plain").map_or(given.trim_start(), text);
        assert_eq!(text_of(Value::Json(given)), plain, "{line}");
        let again = mixed_text(decoded.value()).into_owned();
        assert_eq!(decode(&again), decoded, "{line}: {again}");
    }
}
