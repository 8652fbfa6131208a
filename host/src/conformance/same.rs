//! A JSON object is the same record whether the host reads it, as a line, or a filter does with the SDK, out of a field.

use std::collections::BTreeMap;

use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::mixed::canonical;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::value::Scalar;
use flitch_sdk::ColumnSet;
use flitch_sdk::json::{Limits, MAX_NAMES, flatten};
use proptest::prelude::*;
use serde_json::value::RawValue;

/// The fields of a record, each in words that tell its kind.
type Fields = BTreeMap<String, String>;

fn words(value: Scalar<'_>) -> String {
    match value {
        Scalar::Json(text) => {
            // Half a surrogate pair is no text to serde: here it is one that looks like it.
            let text = canonical(text).replace(r"\ud800", r"\\ud800").replace(r"\udc00", r"\\udc00");
            format!("json {}", ordered(&text))
        }
        other => format!("{other:?}"),
    }
}

/// A JSON text without what is free in it: white space, escapes, the order of members, and of those of one name all but
/// the last. Numbers stay as they are.
fn ordered(text: &str) -> String {
    let text = text.trim();
    match text.as_bytes()[0] {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).expect(text);
            let members = members.iter().map(|(name, value)| format!("{name:?}:{}", ordered(value.get())));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        b'[' => {
            let values: Vec<&RawValue> = serde_json::from_str(text).expect(text);
            format!("[{}]", values.iter().map(|value| ordered(value.get())).collect::<Vec<_>>().join(","))
        }
        b'"' => format!("{:?}", serde_json::from_str::<String>(text).expect(text)),
        _ => text.to_owned(),
    }
}

fn by_the_host(text: &str) -> Option<Fields> {
    let mut builder = Builder::new();
    decode_line(&mut builder, text.as_bytes()).ok()?;
    let records = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
    let fields =
        records.iter().filter_map(|column| Some((column.field().name().clone(), words(column.scalar(0)?))));
    Some(fields.collect())
}

fn by_the_sdk(text: &str) -> Option<Fields> {
    let mut columns = ColumnSet::default();
    flatten(text, "", 0, &mut columns, Limits::default()).ok()?;
    Some(columns.row(0).map(|(name, value)| (name.to_owned(), words(value.into()))).collect())
}

/// What stands between the quotes of a name: odd ones often enough that they come twice in one object.
fn name() -> impl Strategy<Value = String> {
    let odd =
        ["", "a.b", r"a\\b", r"\u0061", r"\ud800", r"x\udc00.", "@timestamp", "@tag", "@rest", "@x", "ä"];
    prop_oneof![3 => "[a-c]{1,2}", 1 => prop::sample::select(vec!["@timestamp", "_@tag", "@tag"]).prop_map(str::to_owned), 1 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned)]
}

fn scalar() -> impl Strategy<Value = String> {
    let odd = [
        "null",
        "true",
        "false",
        "{}",
        "[]",
        r#""""#,
        r#""\ud83d\ude00""#,
        r#""\ud800""#,
        r#""x\n\u0000\/""#,
        r#""2020-11-16T08:31:47.5Z""#,
        r#""2016-12-31T23:59:60Z""#,
        r#""2020-11-16 08:31:47+01:00""#,
        r#""2020-11-16T08:31:47.1234567891Z""#,
        "-0",
        "9223372036854775808",
        "1e400",
        "0.00",
        "5e-324",
        "01",
        "1.",
        "tru",
        r#""\x""#,
        "\"\t\"",
    ];
    prop_oneof![
        2 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        2 => "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        2 => "\"[a-zä ]{0,5}\"",
    ]
}

/// A value, and one more time as a value that is wide.
fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(10, 60, 5, |inner| {
        let wide = (60_usize..70).prop_map(|count| object(&members(count)));
        prop_oneof![
            3 => prop::collection::vec((name(), inner.clone()), 0..5).prop_map(|all| object(&all)),
            1 => prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(" , "))),
            1 => wide,
        ]
    })
}

fn members(count: usize) -> Vec<(String, String)> {
    (0..count).map(|n| (format!("m{n}"), n.to_string())).collect()
}

fn object(members: &[(String, String)]) -> String {
    let all: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\" : {value}")).collect();
    format!("{{{}}}", all.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]
    #[test]
    fn an_object_is_one_record_to_host_and_sdk(all in prop::collection::vec((name(), value()), 0..7)) {
        let text = object(&all);
        prop_assert_eq!(by_the_host(&text), by_the_sdk(&text), "{}", text);
    }

    /// So many members stand before the others that the limit falls among them, inside of objects or between them.
    #[test]
    fn and_so_it_is_where_it_has_all_the_names_that_become_columns(
        before in MAX_NAMES - 90..MAX_NAMES + 2,
        all in prop::collection::vec((name(), value()), 1..7),
        behind in 0_usize..3,
    ) {
        let more = |n: usize| (format!("n{n}"), n.to_string());
        let all: Vec<_> = members(before).into_iter().chain(all).chain((0..behind).map(more)).collect();
        let text = object(&all);
        prop_assert_eq!(by_the_host(&text), by_the_sdk(&text), "{}", text);
    }
}
