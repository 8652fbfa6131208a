use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::batch::Kind;

fn condition(settings: Json) -> Condition {
    serde_json::from_value(settings).unwrap()
}

fn wrong(settings: Json) -> String {
    serde_json::from_value::<Condition>(settings).unwrap_err().to_string()
}

fn column(name: &str, kind: Kind, array: ArrayRef) -> (arrow_schema::FieldRef, ArrayRef) {
    (Arc::new(kind.field(name)), array)
}

/// Five rows with a column of each kind.
fn records() -> Records {
    let day = 86_400_000_000_000;
    let times = TimestampNanosecondArray::from(vec![0, day, 2 * day, 3 * day, 4 * day]).with_timezone("UTC");
    let bytes: Vec<Option<&[u8]>> = vec![Some(b"\xff"), Some(b"a"), None, Some(b""), Some(b"ab")];
    Records::of(
        5,
        vec![
            column(
                "status",
                Kind::Int64,
                Arc::new(Int64Array::from(vec![Some(200), Some(404), None, Some(500), Some(-1)])),
            ),
            column(
                "code",
                Kind::Text,
                Arc::new(StringArray::from(vec![Some("200"), Some("404"), Some("-"), None, Some("5e2")])),
            ),
            column(
                "ratio",
                Kind::Float64,
                Arc::new(Float64Array::from(vec![0.5, 200.0, f64::NAN, 1e300, -0.0])),
            ),
            column(
                "ok",
                Kind::Boolean,
                Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(false)])),
            ),
            column("raw", Kind::Bytes, Arc::new(BinaryArray::from(bytes))),
            column(
                "more",
                Kind::Json,
                Arc::new(StringArray::from(vec![
                    Some("\"x\""),
                    Some("null"),
                    Some("[1]"),
                    Some("18446744073709551616"),
                    None,
                ])),
            ),
            column("@timestamp", Kind::Timestamp, Arc::new(times)),
        ],
        vec![column("@tag", Kind::Text, Arc::new(StringArray::from(vec!["nginx.access"])))],
    )
    .unwrap()
}

fn rows(settings: Json) -> Vec<usize> {
    match condition(settings).test(&records()) {
        Mask::All => (0..5).collect(),
        Mask::None => vec![],
        Mask::Rows(bits) => bits.set_indices().collect(),
    }
}

#[test]
fn values_are_compared_by_what_they_are() {
    assert_eq!(rows(json!({"field": "status", "equals": 404})), [1]);
    assert_eq!(rows(json!({"field": "status", "equals": "404"})), [1]);
    assert_eq!(rows(json!({"field": "code", "equals": 404})), [1]);
    assert_eq!(rows(json!({"field": "code", "equals": 500})), [4]);
    assert_eq!(rows(json!({"field": "code", "equals": "500"})), [0usize; 0]);
    assert_eq!(rows(json!({"field": "ratio", "equals": 200})), [1]);
    assert_eq!(rows(json!({"field": "ratio", "equals": 0})), [4]);
    assert_eq!(rows(json!({"field": "ok", "equals": true})), [0, 3]);
    assert_eq!(rows(json!({"field": "ok", "equals": "false"})), [1, 4]);
    assert_eq!(rows(json!({"field": "raw", "equals": "a"})), [1]);
    assert_eq!(rows(json!({"field": "more", "equals": "x"})), [0]);
    assert_eq!(rows(json!({"field": "status", "in": [200, "500", true]})), [0, 3]);
}

#[test]
fn bounds_hold_for_numbers_texts_and_times() {
    assert_eq!(rows(json!({"field": "status", "at_least": 200, "at_most": 404})), [0, 1]);
    assert_eq!(rows(json!({"field": "code", "at_least": 400})), [1, 4]);
    assert_eq!(rows(json!({"field": "ratio", "at_least": 200})), [1, 3]);
    assert_eq!(rows(json!({"field": "more", "at_least": 1e19})), [3]);
    assert_eq!(rows(json!({"field": "raw", "at_least": "ab"})), [0, 4]);
    assert_eq!(rows(json!({"field": "@timestamp", "at_least": "1970-01-04T00:00:00Z"})), [3, 4]);
    assert_eq!(rows(json!({"field": "@timestamp", "at_most": "1970-01-02T02:00:00+02:00"})), [0, 1]);
}

#[test]
fn patterns_fit_texts_and_what_is_written_as_text() {
    assert_eq!(rows(json!({"field": "code", "glob": "2?0"})), [0]);
    assert_eq!(rows(json!({"field": "code", "glob": ["2*", "4*"]})), [0, 1]);
    assert_eq!(rows(json!({"field": "code", "glob": "{200,404}"})), [0, 1]);
    assert_eq!(rows(json!({"field": "status", "regex": "^[45]"})), [1, 3]);
    assert_eq!(rows(json!({"field": "raw", "regex": "(?-u:\\xff)"})), [0]);
    assert_eq!(rows(json!({"field": "more", "glob": "x"})), [0]);
    assert_eq!(rows(json!({"field": "ratio", "glob": ["200.0", "1e*300"]})), [1, 3]);
    assert_eq!(rows(json!({"field": "@timestamp", "glob": "1970-01-0[12]T*"})), [0, 1]);
}

#[test]
fn a_constant_is_tested_once_for_all_rows() {
    assert_eq!(condition(json!({"field": "@tag", "glob": "nginx.*"})).test(&records()), Mask::All);
    assert_eq!(condition(json!({"field": "@tag", "equals": "docker"})).test(&records()), Mask::None);
    assert_eq!(condition(json!({"field": "@tag", "exists": false})).test(&records()), Mask::None);
}

#[test]
fn absent_is_not_null() {
    assert_eq!(rows(json!({"field": "more", "exists": true})), [0, 1, 2, 3]);
    assert_eq!(rows(json!({"field": "more", "exists": false})), [4]);
    assert_eq!(rows(json!({"field": "nothing", "exists": false})), [0, 1, 2, 3, 4]);
    assert_eq!(rows(json!({"field": "nothing", "equals": 1})), [0usize; 0]);
    assert_eq!(rows(json!({"not": {"field": "status", "equals": 200}})), [1, 2, 3, 4]);
}

#[test]
fn conditions_combine() {
    let errors = json!({"field": "status", "at_least": 500});
    let missing = json!({"field": "status", "equals": 404});
    assert_eq!(rows(json!({"any": [errors, missing]})), [1, 3]);
    assert_eq!(rows(json!({"all": [errors, missing]})), [0usize; 0]);
    assert_eq!(rows(json!({"field": "ok", "equals": true, "not": errors})), [0]);
    assert_eq!(rows(json!({"all": []})), [0, 1, 2, 3, 4]);
    assert_eq!(rows(json!({"any": []})), [0usize; 0]);
}

#[test]
fn a_wrong_condition_says_what_is_wrong() {
    assert!(wrong(json!({})).contains("empty condition"));
    assert!(wrong(json!({"field": "x"})).contains("tests nothing"));
    assert!(wrong(json!({"equals": 1})).contains("names no `field`"));
    assert!(wrong(json!({"field": "x", "regex": "("})).contains("`regex`"));
    assert!(wrong(json!({"field": "x", "glob": "[a"})).contains("`glob`"));
    assert!(wrong(json!({"field": "x", "equal": 1})).contains("unknown field `equal`"));
    assert!(wrong(json!({"any": [{"field": "x", "regex": "["}]})).starts_with("any[0]: `regex`"));
}

/// What the settings say, one record at a time, on JSON.
fn naive(settings: &ConditionSettings, record: &serde_json::Map<String, Json>) -> bool {
    let ConditionSettings { field, equals, one_of, glob, regex, exists, at_least, at_most, all, any, not } =
        settings;
    let value = field.as_ref().and_then(|field| record.get(field));
    let as_text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let as_number = |value: &Json| match value {
        Json::Number(n) => n.as_f64(),
        Json::String(text) if text.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)) => {
            text.parse().ok().filter(|f: &f64| f.is_finite())
        }
        _ => None,
    };
    let order = |value: &Json, bound: &Scalar| {
        let bound = serde_json::to_value(bound).unwrap();
        match (as_number(value), as_number(&bound)) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ if value.is_string() && bound.is_string() => Some(as_text(value).cmp(&as_text(&bound))),
            _ => None,
        }
    };
    let same = |value: &Json, wanted: &Scalar| match (value, wanted) {
        (Json::String(a), Scalar::Text(b)) => a == b,
        (Json::Bool(a), Scalar::Text(b)) => a.to_string() == *b,
        (Json::String(a), Scalar::Boolean(b)) => *a == b.to_string(),
        (Json::Bool(a), Scalar::Boolean(b)) => a == b,
        (Json::Bool(_), _) | (_, Scalar::Boolean(_)) => false,
        _ => order(value, wanted) == Some(Ordering::Equal),
    };
    let value_is = |test: &dyn Fn(&Json) -> bool| value.is_some_and(test);
    equals.as_ref().is_none_or(|wanted| value_is(&|v| same(v, wanted)))
        && one_of.as_ref().is_none_or(|all| value_is(&|v| all.iter().any(|w| same(v, w))))
        && glob.as_ref().is_none_or(|glob| {
            let OneOrMore::One(glob) = glob else { unreachable!() };
            let glob = globset::Glob::new(glob).unwrap().compile_matcher();
            value_is(&|v| glob.is_match(as_text(v)))
        })
        && regex.as_ref().is_none_or(|r| value_is(&|v| regex::Regex::new(r).unwrap().is_match(&as_text(v))))
        && exists.is_none_or(|wanted| value.is_some() == wanted)
        && at_least.as_ref().is_none_or(|b| value_is(&|v| order(v, b).is_some_and(Ordering::is_ge)))
        && at_most.as_ref().is_none_or(|b| value_is(&|v| order(v, b).is_some_and(Ordering::is_le)))
        && all.as_ref().is_none_or(|all| all.iter().all(|c| naive(c, record)))
        && any.as_ref().is_none_or(|any| any.iter().any(|c| naive(c, record)))
        && not.as_ref().is_none_or(|c| !naive(c, record))
}

fn scalars() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<bool>().prop_map(Scalar::Boolean),
        (-3i64..4).prop_map(Scalar::Int),
        (-6i32..8).prop_map(|n| Scalar::Float(f64::from(n) / 2.0)),
        texts().prop_map(Scalar::Text),
    ]
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,2}", "-?[0-3](\\.5)?", Just("true".to_owned()), Just("-inf".to_owned())]
}

fn conditions() -> impl Strategy<Value = ConditionSettings> {
    let field = prop_oneof![
        Just("int"),
        Just("float"),
        Just("text"),
        Just("flag"),
        Just("json"),
        Just("tag"),
        Just("none")
    ];
    let test = prop_oneof![
        scalars().prop_map(|v| ConditionSettings { equals: Some(v), ..Default::default() }),
        prop::collection::vec(scalars(), 0..3)
            .prop_map(|v| ConditionSettings { one_of: Some(v), ..Default::default() }),
        "[ab*?]{0,3}".prop_map(|g| ConditionSettings { glob: Some(OneOrMore::One(g)), ..Default::default() }),
        "\\^?[ab1.]{0,2}\\$?".prop_map(|r| ConditionSettings { regex: Some(r), ..Default::default() }),
        any::<bool>().prop_map(|e| ConditionSettings { exists: Some(e), ..Default::default() }),
        scalars().prop_map(|v| ConditionSettings { at_least: Some(v), ..Default::default() }),
        (scalars(), scalars()).prop_map(|(a, b)| ConditionSettings {
            at_least: Some(a),
            at_most: Some(b),
            ..Default::default()
        }),
    ];
    let leaf = (field, test).prop_map(|(f, test)| ConditionSettings { field: Some(f.to_owned()), ..test });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|all| ConditionSettings { all: Some(all), ..Default::default() }),
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|any| ConditionSettings { any: Some(any), ..Default::default() }),
            inner.prop_map(|not| ConditionSettings { not: Some(Box::new(not)), ..Default::default() }),
        ]
    })
}

type Row = (Option<i64>, Option<i32>, Option<String>, Option<bool>, Option<Scalar>);

fn table() -> impl Strategy<Value = (Vec<Row>, String)> {
    let maybe = prop::option::of::<BoxedStrategy<Scalar>>;
    let row = (
        prop::option::of(-3i64..4),
        prop::option::of(-6i32..8),
        prop::option::of(texts()),
        prop::option::of(any::<bool>()),
        maybe(scalars().boxed()),
    );
    (prop::collection::vec(row, 1..20), texts())
}

proptest! {
    #[test]
    fn columns_are_tested_as_rows_would_be((table, tag) in table(), settings in conditions()) {
        let json = |v: &Scalar| serde_json::to_string(v).unwrap();
        let records = Records::of(
            table.len(),
            vec![
                column("int", Kind::Int64, Arc::new(table.iter().map(|r| r.0).collect::<Int64Array>())),
                column("float", Kind::Float64, Arc::new(table.iter().map(|r| r.1.map(|n| f64::from(n) / 2.0)).collect::<Float64Array>())),
                column("text", Kind::Text, Arc::new(table.iter().map(|r| r.2.clone()).collect::<StringArray>())),
                column("flag", Kind::Boolean, Arc::new(table.iter().map(|r| r.3).collect::<BooleanArray>())),
                column("json", Kind::Json, Arc::new(table.iter().map(|r| r.4.as_ref().map(json)).collect::<StringArray>())),
            ],
            vec![column("tag", Kind::Text, Arc::new(StringArray::from(vec![tag.as_str()])))],
        ).unwrap();
        let mask = Condition::try_from(settings.clone()).unwrap().test(&records);
        for (row, values) in table.iter().enumerate() {
            let mut record = serde_json::Map::new();
            record.extend(values.0.map(|v| ("int".to_owned(), json!(v))));
            record.extend(values.1.map(|v| ("float".to_owned(), json!(f64::from(v) / 2.0))));
            record.extend(values.2.clone().map(|v| ("text".to_owned(), json!(v))));
            record.extend(values.3.map(|v| ("flag".to_owned(), json!(v))));
            record.extend(values.4.as_ref().map(|v| ("json".to_owned(), serde_json::to_value(v).unwrap())));
            record.insert("tag".to_owned(), json!(tag));
            let found = match &mask {
                Mask::All => true,
                Mask::None => false,
                Mask::Rows(bits) => bits.value(row),
            };
            prop_assert_eq!(found, naive(&settings, &record), "row {} {:?}", row, record);
        }
    }
}
