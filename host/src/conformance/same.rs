//! A JSON object is the same record whether the host reads it, as a line, or a filter does with the SDK, out of a field.

use std::collections::BTreeMap;

use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::mixed::canonical;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::value::Scalar;
use flitch_sdk::ColumnSet;
use flitch_sdk::json::{Limits, flatten};
use proptest::prelude::*;

/// The fields of a record, each in words that tell its kind.
type Fields = BTreeMap<String, String>;

fn words(value: Scalar<'_>) -> String {
    match value {
        // White space, the order of members and names that stand twice are free inside of a JSON text.
        Scalar::Json(text) => format!("json {}", flitch_core::fuzzing::value(canonical(text).as_bytes())),
        other => format!("{other:?}"),
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

/// What stands between the quotes of a name.
fn name() -> impl Strategy<Value = String> {
    let odd =
        ["", "a.b", r"a\\b", r"\u0061", r"\ud800", r"x\udc00.", "@timestamp", "@tag", "@rest", "@x", "ä"];
    prop_oneof![4 => "[a-c]{1,2}", 1 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned)]
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
        // With more names than become columns it is the same record, but each side folds objects as it meets the limit.
        prop_assume!(text.matches(':').count() < 200);
        prop_assert_eq!(by_the_host(&text), by_the_sdk(&text), "{}", text);
    }
}
