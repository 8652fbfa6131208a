//! The values of `wit/cases`, by the model itself.

use std::borrow::Cow;

use flitch_model::value::Scalar;
use flitch_model::{json, mixed, number, path, time};
use serde_json::Value as Json;

mod read;

use read::{cases, text, texts};

/// A value with its kind: `{"int64": 5}`.
fn scalar(json: &Json) -> Scalar<'_> {
    let (kind, value) = json.as_object().and_then(|object| object.iter().next()).expect("a kind and a value");
    match kind.as_str() {
        "text" => Scalar::Text(text(value).into()),
        "bytes" => Scalar::Bytes(Cow::Owned(bytes(text(value)))),
        "int64" => Scalar::Int(value.as_i64().expect("a whole number")),
        "float64" => Scalar::Float(value.as_f64().expect("a number")),
        "boolean" => Scalar::Boolean(value.as_bool().expect("a boolean")),
        "timestamp" => Scalar::Time(value.as_i64().expect("nanoseconds")),
        "json" => Scalar::of(text(value)),
        other => panic!("there is no kind {other}"),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// The path of names that stand as JSON has them between quotes.
fn path_of_json(names: &[&str]) -> String {
    let mut path = String::new();
    for (place, name) in names.iter().enumerate() {
        let mut wtf8 = Vec::new();
        json::unescape(name.as_bytes(), &mut wtf8).expect("escapes");
        path::push_name(&mut path, &wtf8, place == 0);
    }
    path
}

#[test]
fn paths() {
    for (line, case) in cases("paths.ndjson") {
        if let Some(names) = case.get("names") {
            let written = text(&case["path"]);
            let canonical = case.get("canonical").map_or(written, text);
            assert_eq!(path::names(written), texts(names), "{line}");
            assert_eq!(path::is_escaped(written), case.get("canonical").is_none(), "{line}");
            match case.get("json") {
                Some(names) => {
                    assert_eq!(path_of_json(&texts(names)), canonical, "{line}");
                    for (escaped, name) in path::split(written).zip(texts(names)) {
                        let mut out = Vec::new();
                        path::write_json_name(escaped, &mut out);
                        assert_eq!(String::from_utf8_lossy(&out), format!("\"{name}\""), "{line}");
                    }
                }
                None => assert_eq!(path::of_names(texts(names)), canonical, "{line}"),
            }
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
        let written = text(&case["in"]);
        let read = number::number(written.as_bytes()).ok().filter(|(_, length)| *length == written.len());
        assert_eq!(read.is_none(), case.get("wrong").is_some(), "{line}");
        let Some((number, _)) = read else { continue };
        let mut out = Vec::new();
        let kind = match number {
            number::Number::Int(value) => {
                number::write_int(value, &mut out);
                "int64"
            }
            number::Number::Float(value) => {
                number::write_float(value, &mut out);
                "float64"
            }
            number::Number::Other => {
                out.extend_from_slice(written.as_bytes());
                "json"
            }
        };
        assert_eq!(
            (kind, &*String::from_utf8_lossy(&out)),
            (text(&case["kind"]), text(&case["out"])),
            "{line}"
        );
        assert_eq!(mixed::canonical(written), text(&case["out"]), "{line}");
    }
}

#[test]
fn times() {
    for (line, case) in cases("times.ndjson") {
        let written = text(&case["in"]).as_bytes();
        assert_eq!(time::parse(written), case["ns"].as_i64(), "{line}");
        let lenient = case.get("lenient").unwrap_or(&case["ns"]);
        assert_eq!(time::parse_lenient(written), lenient.as_i64(), "{line}");
        if let Some(ns) = case["ns"].as_i64() {
            assert_eq!(time::to_text(ns), text(&case["out"]), "{line}");
        }
    }
}

#[test]
fn json_texts() {
    for (line, case) in cases("json.ndjson") {
        let canonical = mixed::canonical(text(&case["in"]));
        assert_eq!(canonical, text(&case["out"]), "{line}");
        let wanted = match &case["value"] {
            Json::Object(value) if value.contains_key("json") => Scalar::Json(text(&value["json"])),
            value => scalar(value),
        };
        assert_eq!(Scalar::of(&canonical), wanted, "{line}");
        let plain = case.get("plain").map_or(canonical.trim_ascii_start(), text);
        assert_eq!(String::from_utf8_lossy(&mixed::plain(canonical.as_bytes())), plain, "{line}");
        serde_json::from_str::<serde::de::IgnoredAny>(plain).expect(&line);
    }
}

#[cfg(feature = "templates")]
#[test]
fn templates() {
    use flitch_model::object::Whole;
    use flitch_model::template::{Clocks, Template, Written};
    for (line, case) in cases("templates.ndjson") {
        let template = match (Template::parse(text(&case["template"])), case.get("wrong")) {
            (Ok(template), None) => template,
            (Err(error), Some(wrong)) => {
                assert!(error.contains(text(wrong)), "{line}: {error}");
                continue;
            }
            (parsed, _) => panic!("{line}: {parsed:?}"),
        };
        let template = if case.get("paths").is_some() { template.for_paths() } else { template };
        let fields: Vec<&str> = template.fields().collect();
        let mut out = Vec::new();
        let record = case["record"].as_object().expect(&line);
        let names = |field: &str| {
            record
                .keys()
                .filter(move |name| *name == field || path::is_below(name, field))
                .collect::<Vec<_>>()
        };
        let wholes: Vec<Option<String>> = fields
            .iter()
            .map(|field| {
                let names = names(field);
                let whole = Whole::of(field, names.iter().map(|name| name.as_str()));
                whole.of_row(|column| record.get(names[column]).map(scalar))
            })
            .collect();
        let value = |field: usize| match &wholes[field] {
            Some(whole) => Some(Scalar::Json(whole)),
            None => record.get(fields[field]).map(scalar),
        };
        match template.write(&mut Clocks::default(), &mut out, value) {
            Written::Whole => {
                assert_eq!(Some(&*String::from_utf8_lossy(&out)), case["out"].as_str(), "{line}")
            }
            Written::Without(field) => assert_eq!(Some(field.name()), case["missing"].as_str(), "{line}"),
            Written::Astray => assert!(case["out"].is_null() && case.get("missing").is_none(), "{line}"),
        }
    }
}

#[cfg(feature = "conditions")]
#[test]
fn conditions() {
    use flitch_model::condition::{Cell, Test};
    fn holds(test: &Test, record: &Json) -> bool {
        match test {
            Test::All(tests) => tests.iter().all(|test| holds(test, record)),
            Test::Any(tests) => tests.iter().any(|test| holds(test, record)),
            Test::Not(test) => !holds(test, record),
            Test::Exists(field, wanted) => {
                let names = record.as_object().expect("a record").keys();
                names.into_iter().any(|name| name == field || path::is_below(name, field)) == *wanted
            }
            Test::Value(field, test) => {
                record.get(field).map(scalar).is_some_and(|value| Cell::show(&value, |cell| test.holds(cell)))
            }
        }
    }
    for (line, case) in cases("conditions.ndjson") {
        let settings = serde_json::from_value(case["condition"].clone()).expect(&line);
        match (Test::new(&settings), case.get("wrong")) {
            (Ok(test), None) => {
                assert_eq!(Json::Bool(holds(&test, &case["record"])), case["holds"], "{line}")
            }
            (Err(error), Some(wrong)) => assert!(error.to_string().contains(text(wrong)), "{line}: {error}"),
            (test, _) => panic!("{line}: {test:?}"),
        }
    }
}
