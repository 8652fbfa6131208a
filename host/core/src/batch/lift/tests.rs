use super::*;
use crate::batch::builder::{Builder, MAX_MEMBERS, MAX_NAMES};
use crate::batch::constants::Constants;
use crate::batch::decode::decode_line;
use crate::batch::encode::{Encoding, ndjson_with};
use crate::batch::utf8::InvalidUtf8;

fn records(lines: &[String]) -> Records {
    let mut builder = Builder::new();
    for line in lines {
        decode_line(&mut builder, line.as_bytes()).expect("JSON");
    }
    builder.finish(InvalidUtf8::Replace, &Constants::new().text("host", "h")).records
}

/// An object of so many members `m0`, `m1`, …, each the number in its name.
fn wide(members: usize) -> String {
    let members: Vec<_> = (0..members).map(|n| format!("\"m{n}\":{n}")).collect();
    format!("{{{}}}", members.join(","))
}

fn texts(records: &Records, path: &str) -> Vec<Option<String>> {
    let found = records.find(path);
    let at = |row| found.as_ref().and_then(|f| f.column().text(row).map(|text| text.into_owned()));
    (0..records.rows()).map(at).collect()
}

#[test]
fn a_field_is_found_in_its_column_and_in_a_wide_object_alike() {
    let two = records(&[format!("{{\"o\":{}}}", wide(MAX_MEMBERS + 1)), r#"{"o":{"m3":"three"}}"#.into()]);
    assert_eq!(texts(&two, "o.m3"), [Some("3".into()), Some("three".into())]);
    assert_eq!(texts(&two, "o.m64"), [Some("64".into()), None]);
    assert_eq!(texts(&two, "o.m3.x"), [None, None]);
    assert_eq!(texts(&two, "absent"), [None, None]);
}

#[test]
fn a_whole_object_has_one_text_alone_and_beside_others_whatever_its_width() {
    let deep = format!("{}1{}", "{\"d\":".repeat(12), "}".repeat(12));
    let values = [
        r#"{"y":{"z":[1]},"x":"a"}"#,
        r#"{"x":1,"w":null,"y":2}"#,
        &wide(MAX_MEMBERS + 1),
        &deep,
        "\"text\"",
        "5",
    ];
    let lines: Vec<String> = values.iter().map(|value| format!("{{\"o\":{value}}}")).collect();
    let whole = |records: &Records| -> Vec<Option<String>> {
        let found = records.find_whole("o");
        let at = |row| found.as_ref().and_then(|f| f.column().text(row).map(|text| text.into_owned()));
        (0..records.rows()).map(at).collect()
    };
    let alone: Vec<_> = lines.iter().flat_map(|line| whole(&records(std::slice::from_ref(line)))).collect();
    for (text, value) in alone.iter().zip(values) {
        let text = text.as_deref().expect("a value");
        let said = serde_json::from_str(text).unwrap_or(serde_json::Value::from(text));
        assert_eq!(said, serde_json::from_str::<serde_json::Value>(value).expect("JSON"));
    }
    assert_eq!(whole(&records(&lines)), alone);
    let backwards: Vec<String> = lines.iter().rev().cloned().collect();
    assert_eq!(whole(&records(&backwards)), alone.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn a_field_past_the_names_of_its_record_is_found_all_the_same() {
    let wide = wide(MAX_NAMES + 50);
    let two = records(&[wide.clone(), r#"{"m300":"x"}"#.into()]);
    assert_eq!(texts(&two, "m300"), [Some("300".into()), Some("x".into())]);
    let line = two.ndjson();
    let written: serde_json::Value = serde_json::from_slice(line.row(0)).expect("JSON");
    let mut came: serde_json::Value = serde_json::from_str(&wide).expect("JSON");
    came["host"] = "h".into();
    assert_eq!(written, came);
}

#[test]
fn a_record_that_brings_a_constant_past_its_names_keeps_its_own() {
    let wide = wide(MAX_NAMES + 1);
    let both = records(&[format!("{},\"host\":\"own\"}}", &wide[..wide.len() - 1]), "{}".into()]);
    assert_eq!(texts(&both, "host"), [Some("own".into()), Some("h".into())]);
    let written = both.ndjson();
    assert_eq!(memchr::memmem::find_iter(written.row(0), "\"host\":").count(), 1);
    assert_eq!(written.row(1), b"{\"host\":\"h\"}\n");
}

#[test]
fn an_encoding_reaches_into_objects_that_stayed_json() {
    let line = format!("{{\"o\":{},\"x\":1}}", wide(MAX_MEMBERS + 1));
    let both = records(&[line, r#"{"o":{"m3":"three","m4":4},"x":1}"#.into()]);
    let encoding = |text: &str| serde_json::from_str::<Encoding>(text).expect("settings");
    let rows = |records: &Records, encoding: &Encoding| -> Vec<serde_json::Value> {
        let encoded = ndjson_with(records, encoding);
        (0..records.rows()).map(|row| serde_json::from_slice(encoded.row(row)).expect("JSON")).collect()
    };
    let only = rows(&both, &encoding(r#"{"only":["o.m3","o.m4"]}"#));
    assert_eq!(only[0], serde_json::json!({"o": {"m3": 3, "m4": 4}}));
    assert_eq!(only[1], serde_json::json!({"o": {"m3": "three", "m4": 4}}));
    let renamed = rows(&both, &encoding(r#"{"rename":{"o.m3":"three"},"except":["o.m4","host"]}"#));
    assert_eq!(renamed[0]["three"], 3);
    assert_eq!(renamed[0]["o"].as_object().map(|o| o.len()), Some(MAX_MEMBERS - 1));
    assert_eq!(renamed[1], serde_json::json!({"three": "three", "x": 1}));
}
