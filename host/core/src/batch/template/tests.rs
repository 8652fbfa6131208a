use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampNanosecondArray};

use super::*;

fn records() -> Records {
    let column = |name: &str, kind: Kind, array: ArrayRef| (Arc::new(kind.field(name)), array);
    let times = TimestampNanosecondArray::from(vec![0, 86_400_000_000_000, 86_400_999_000_000]);
    Records::of(
        3,
        vec![
            column("host", Kind::Text, Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]))),
            column("status", Kind::Int64, Arc::new(Int64Array::from(vec![200, 404, -1]))),
            column("ratio", Kind::Float64, Arc::new(Float64Array::from(vec![0.5, 2.0, -1.25]))),
            column("more", Kind::Json, Arc::new(StringArray::from(vec!["\"x\\ty\"", "null", "[1,2]"]))),
            column("@timestamp", Kind::Timestamp, Arc::new(times.with_timezone("UTC"))),
        ],
        vec![column("@tag", Kind::Text, Arc::new(StringArray::from(vec!["nginx.access"])))],
    )
    .unwrap()
}

fn rows(template: &str) -> Vec<Option<String>> {
    let rendered = records().render(&Template::parse(template).unwrap());
    (0..3).map(|row| rendered.row(row).map(|t| String::from_utf8(t.to_vec()).unwrap())).collect()
}

fn text(values: [&str; 3]) -> Vec<Option<String>> {
    values.iter().map(|v| Some((*v).to_owned())).collect()
}

#[test]
fn fields_become_text_row_by_row() {
    assert_eq!(rows("s={status} r={ratio}"), text(["s=200 r=0.5", "s=404 r=2.0", "s=-1 r=-1.25"]));
}

#[test]
fn a_template_of_constants_is_evaluated_once() {
    let rendered = records().render(&Template::parse("logs-{@tag}").unwrap());
    assert_eq!(rendered, Rendered::Same(b"logs-nginx.access".to_vec()));
    assert_eq!(Template::parse("logs").unwrap().constant(), Some("logs"));
    assert_eq!(Template::parse("logs-{@tag}").unwrap().constant(), None);
}

#[test]
fn times_of_one_stretch_of_a_format_are_written_once_and_those_of_several_each() {
    let last_two = records().slice(1, 2);
    let render = |records: &Records, template: &str| records.render(&Template::parse(template).unwrap());
    assert_eq!(render(&last_two, "l-{@timestamp:%Y-%m-%d}"), Rendered::Same(b"l-1970-01-02".to_vec()));
    let each = render(&last_two, "{@timestamp:%H:%M:%S%.f}");
    assert_eq!(each.row(0), Some(&b"00:00:00"[..]));
    assert_eq!(each.row(1), Some(&b"00:00:00.999"[..]));
    let days = render(&records(), "{@timestamp:%d}");
    assert_eq!([0, 1, 2].map(|row| days.row(row).unwrap()), [b"01", b"02", b"02"]);
}

#[test]
fn a_missing_field_leaves_the_row_without_a_text() {
    let rendered = records().render(&Template::parse("h-{host}").unwrap());
    assert_eq!(rendered.missing(), [1]);
    assert_eq!(rows("h-{host}"), [Some("h-a".into()), None, Some("h-c".into())]);
    assert_eq!(rows("{nothing}"), [None, None, None]);
}

#[test]
fn a_default_stands_for_a_missing_field() {
    assert_eq!(rows("h-{host|unknown}"), text(["h-a", "h-unknown", "h-c"]));
    assert_eq!(rows("{nothing|}x"), text(["x", "x", "x"]));
}

#[test]
fn times_are_formatted_in_utc() {
    assert_eq!(rows("{@timestamp:%Y-%m-%d}"), text(["1970-01-01", "1970-01-02", "1970-01-02"]));
    assert_eq!(rows("{@timestamp:%S%.3f}"), text(["00.000", "00.000", "00.999"]));
    assert_eq!(rows("{@timestamp}")[1].as_deref(), Some("1970-01-02T00:00:00Z"));
}

#[test]
fn json_strings_lose_their_quotes_and_null_is_missing() {
    assert_eq!(rows("{more}"), [Some("x\ty".into()), None, Some("[1,2]".into())]);
}

#[test]
fn doubled_braces_are_braces() {
    assert_eq!(rows("{{{status}}}"), text(["{200}", "{404}", "{-1}"]));
}

#[test]
fn a_wrong_template_says_what_is_wrong() {
    for (template, wrong) in [
        ("a{b", "not closed"),
        ("a}b", "without a"),
        ("{}", "names no field"),
        ("{@timestamp:%!}", "is no time format"),
    ] {
        let error = Template::parse(template).unwrap_err();
        assert!(error.contains(wrong) && error.contains(template), "{error}");
    }
}

#[test]
fn a_value_cannot_lead_a_path_to_another_folder() {
    let values = ["../../etc/passwd", "..", "a/b"];
    let field: arrow_schema::FieldRef = Arc::new(Kind::Text.field("app"));
    let records =
        Records::of(3, vec![(field, Arc::new(StringArray::from(values.to_vec())))], vec![]).unwrap();
    let rendered = records.render(&Template::parse("/logs/{app}/x").unwrap().for_paths());
    assert_eq!(rendered.row(0), Some(&b"/logs/.._.._etc_passwd/x"[..]));
    assert_eq!(rendered.row(1), None);
    assert_eq!(rendered.row(2), Some(&b"/logs/a_b/x"[..]));
}

#[test]
fn a_path_with_an_empty_part_is_none() {
    let field: arrow_schema::FieldRef = Arc::new(Kind::Text.field("app"));
    let values = StringArray::from(vec!["", "a"]);
    let records = Records::of(2, vec![(field, Arc::new(values))], vec![]).unwrap();
    for template in ["/logs/{app}", "/logs/{app}/x", "/logs/{app}{app}/x", "//logs//{app}"] {
        let rendered = records.render(&Template::parse(template).unwrap().for_paths());
        assert_eq!(rendered.missing(), [0], "{template}");
    }
    let rendered = records.render(&Template::parse("//logs//a{app}").unwrap().for_paths());
    assert_eq!(rendered.row(0), Some(&b"/logs/a"[..]));
}

#[test]
fn a_name_at_best_has_a_letter_for_each_field_and_a_time_where_one_is_written() {
    for (template, name) in [
        ("", ""),
        ("logs", "logs"),
        ("Logs-{app}", "Logs-a"),
        ("{a}{b|None}.{{x}}", "aa.{x}"),
        ("{when:%Y.%m}-{@tag}", "1970.01-a"),
        ("{@timestamp}", "1970-01-01T00:00:00Z"),
        ("{@timestamp:%b}", "Jan"),
    ] {
        assert_eq!(at_best(&Template::parse(template).unwrap()), name, "{template}");
    }
}
