use super::*;

fn flat(texts: &[&str]) -> Vec<(String, Vec<Option<String>>)> {
    let mut columns = ColumnSet::default();
    for (row, text) in texts.iter().enumerate() {
        flatten(text, "", row, &mut columns, Limits::default()).expect("an object");
    }
    let columns = columns.finish(texts.len());
    let cells = |column: &crate::Column| {
        (0..texts.len()).map(|row| column.value(row).map(|value| format!("{value:?}"))).collect()
    };
    columns.iter().map(|column| (column.name.clone(), cells(column))).collect()
}

fn one(text: &str) -> Vec<(String, String)> {
    let cells = flat(&[text]).into_iter();
    cells.filter_map(|(name, mut cells)| Some((name, cells.remove(0)?))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

fn refused(text: &str) -> String {
    flatten(text, "", 0, &mut ColumnSet::default(), Limits::default()).expect_err(text).to_string()
}

#[test]
fn members_become_columns_named_by_their_path() {
    let text = r#" {"a":{"b":"x","c.d":-7},"t":true,"f":1.5,"l":[1, {"x":2}],"n":null,"e":{},"z":-0} "#;
    assert_eq!(
        one(text),
        pairs(&[
            ("a.b", r#"Text("x")"#),
            (r"a.c\.d", "Int64(-7)"),
            ("t", "Boolean(true)"),
            ("f", "Float64(1.5)"),
            ("l", r#"Json("[1, {\"x\":2}]")"#),
            ("n", r#"Json("null")"#),
            ("e", r#"Json("{}")"#),
            ("z", "Float64(-0.0)"),
        ])
    );
}

#[test]
fn a_number_that_no_type_holds_exactly_stays_json() {
    for (text, expected) in [
        ("9223372036854775807", "Int64(9223372036854775807)"),
        ("9223372036854775808", r#"Json("9223372036854775808")"#),
        ("0.1", "Float64(0.1)"),
        ("1e400", r#"Json("1e400")"#),
        ("-1e-400", r#"Json("-1e-400")"#),
        ("0.00", "Float64(0.0)"),
        ("5e-324", "Float64(5e-324)"),
        ("1.25e-3", "Float64(0.00125)"),
        ("0.1234567890123456789", r#"Json("0.1234567890123456789")"#),
        ("1000000000000000.50", "Float64(1000000000000000.5)"),
    ] {
        assert_eq!(one(&format!("{{\"n\":{text}}}")), pairs(&[("n", expected)]));
    }
}

#[test]
fn a_field_whose_type_differs_between_rows_becomes_json() {
    let rows = flat(&[r#"{"a":1}"#, r#"{}"#, r#"{"a":"x\n"}"#, r#"{"a":2.5}"#]);
    let cells = [Some(r#"Json("1")"#), None, Some(r#"Json("\"x\\n\"")"#), Some(r#"Json("2.5")"#)];
    assert_eq!(rows, [("a".to_owned(), cells.map(|cell| cell.map(str::to_owned)).to_vec())]);
}

#[test]
fn of_two_members_of_one_name_the_last_one_stays() {
    assert_eq!(one(r#"{"a":1,"a":"x"}"#), pairs(&[("a", r#"Json("\"x\"")"#)]));
    assert_eq!(one(r#"{"a":{"b":1},"a":2}"#), pairs(&[("a", "Int64(2)")]));
    assert_eq!(one(r#"{"a":2,"a":{"b":1}}"#), pairs(&[("a.b", "Int64(1)")]));
    assert_eq!(one(r#"{"a":{"b":1},"a":{"c":1}}"#), pairs(&[("a.c", "Int64(1)")]));
}

#[test]
fn escapes_are_read_and_a_lone_surrogate_stays_as_it_is_written() {
    assert_eq!(
        one(r#"{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}"#),
        pairs(&[("a", "Text(\"\\\"\\\\/\\u{8}\\u{c}\\n\\r\\té😀\")")])
    );
    assert_eq!(
        one(r#"{"a":"\ud83dx\u0041","b\uDC00.":"\ud83d\ude00"}"#),
        pairs(&[("a", r#"Json("\"\\ud83dx\\u0041\"")"#), (r"b\udc00\.", "Text(\"😀\")")])
    );
    assert_eq!(one(r#"{"a\u002eb":1}"#), pairs(&[(r"a\.b", "Int64(1)")]));
}

#[test]
fn an_object_that_is_too_deep_or_too_wide_stays_one_json_value() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(10), "}".repeat(10));
    assert_eq!(one(&deep), pairs(&[("a.a.a.a.a.a.a.a", r#"Json("{\"a\":{\"a\":1}}")"#)]));
    let members: Vec<_> = (0..65).map(|i| format!("\"{i}\":{i}")).collect();
    let wide = format!("{{\"w\":{{{}}}}}", members.join(","));
    assert_eq!(one(&wide)[0].0, "w");
    assert_eq!(one(&wide).len(), 1);
}

#[test]
fn what_is_no_json_object_is_refused_with_the_place() {
    for (text, reason) in [
        ("", "the text ends at byte 0 where a value should be"),
        ("[1]", "an array where an object should be"),
        (r#"{"a":1"#, "the text ends at byte 6 where a comma or the end of an object should be"),
        (r#"{"a":1}x"#, "'x' at byte 7 where the end should be"),
        (r#"{"a":01}"#, "'1' at byte 6 where no digit after a leading zero should be"),
        (r#"{"a":1.}"#, "'}' at byte 7 where a digit should be"),
        (r#"{"a":"x}"#, "the text ends at byte 8 where the end of a string should be"),
        (r#"{"a":"\"#, "the text ends at byte 7 where the end of a string should be"),
        (r#"{"a":"\x"}"#, r"\x is no escape of JSON"),
        (r#"{"a":["\u12g4"]}"#, r"\u without four hexadecimal digits"),
        ("{\"a\":\"\n\"}", "'\\n' at byte 6 where an escaped control character should be"),
        (r#"{"a" 1}"#, "'1' at byte 5 where a colon should be"),
        (r#"{"a":1,}"#, "'}' at byte 7 where the name of a member should be"),
        (r#"{"a":tru}"#, "'t' at byte 5 where true should be"),
        (r#"{"a":[1 2]}"#, "'2' at byte 8 where a comma or the end of an array should be"),
    ] {
        assert_eq!(refused(text), reason, "{text}");
    }
    assert_eq!(refused(&format!("{{\"a\":{}", "[".repeat(100_000))), "nested deeper than 128");
    let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(one(&nested(127)).len(), 1);
    assert_eq!(refused(&nested(128)), "nested deeper than 128");
    let below = |depth| {
        let mut columns = ColumnSet::default();
        flatten(&nested(depth), r"p.q\.r", 0, &mut columns, Limits::default()).map_err(String::from)
    };
    assert_eq!(below(125), Ok(()));
    assert_eq!(below(126), Err("nested deeper than 128".to_owned()));
}

#[test]
fn members_past_the_limit_stand_in_one_value_whatever_other_texts_have() {
    let limits = Limits { names: 2, ..Limits::default() };
    let mut columns = ColumnSet::default();
    let wide =
        r#"{"a":1,"o":{"x":1,"y":2},"@timestamp":"1970-01-01T00:00:00Z","c":[1, 2],"a":"last","c":null}"#;
    flatten(wide, "", 0, &mut columns, limits).expect("an object");
    let row = |columns: &ColumnSet, row| -> Vec<(String, String)> {
        columns.row(row).map(|(name, value)| (name.to_owned(), format!("{value:?}"))).collect()
    };
    let expected = pairs(&[
        ("o", r#"Json("{\"x\":1,\"y\":2}")"#),
        ("@timestamp", "Timestamp(0)"),
        (REST, r#"Json("{\"a\":\"last\",\"c\":null}")"#),
    ]);
    assert_eq!(row(&columns, 0), expected);
    flatten(r#"{"c":1,"d":2}"#, "", 1, &mut columns, limits).expect("an object");
    assert_eq!(row(&columns, 1), pairs(&[("c", "Int64(1)"), ("d", "Int64(2)")]));

    let mut below = ColumnSet::default();
    flatten(r#" {"a":1,"b":2,"c":3} "#, "p", 0, &mut below, limits).expect("an object");
    assert_eq!(row(&below, 0), pairs(&[("p", r#"Json("{\"a\":1,\"b\":2,\"c\":3}")"#)]));
}

#[test]
fn a_value_without_the_right_to_a_name_of_the_hosts_gets_another() {
    assert_eq!(
        one(r#"{"@timestamp":"yesterday","@tag":{"a":1},"@version":"1","@rest":2}"#),
        pairs(&[
            ("_@timestamp", r#"Text("yesterday")"#),
            ("_@tag.a", "Int64(1)"),
            ("@version", r#"Text("1")"#),
            ("_@rest", "Int64(2)"),
        ])
    );
    assert_eq!(one(r#"{"a":{"@timestamp":1}}"#), pairs(&[("a.@timestamp", "Int64(1)")]));
}

#[test]
fn a_value_keeps_its_type_among_others() {
    let bytes = b"a\xff\"\\\n\x01\xc3";
    for value in
        [Value::Text("5"), Value::Bytes(bytes), Value::Timestamp(-1), Value::Float64(5.0), Value::Int64(5)]
    {
        let text = mixed_text(value).into_owned();
        let again = match decode(&text) {
            Decoded::Text(text) => format!("{:?}", Value::Text(&text)),
            Decoded::Bytes(bytes) => format!("{:?}", Value::Bytes(&bytes)),
            Decoded::Other(value) => format!("{value:?}"),
        };
        assert_eq!(again, format!("{value:?}"));
        assert!(serde_json::from_str::<serde_json::Value>(&text_of(Value::Json(&text))).is_ok(), "{text}");
    }
}

/// What `text` becomes behind another text, or by itself, each value by its own type; or what is wrong with it.
fn behind(before: Option<&str>, text: &str, prefix: &str) -> Result<Vec<(String, String)>, String> {
    let mut columns = ColumnSet::default();
    let mut row = 0;
    if let Some(before) = before
        && flatten(before, prefix, row, &mut columns, Limits::default()).is_ok()
    {
        row = 1;
    }
    flatten(text, prefix, row, &mut columns, Limits::default()).map_err(|error| error.to_string())?;
    let cells = columns
        .row(row)
        .map(|(name, value)| (name.to_owned(), format!("{:?}", Decoded::from(value).value())));
    let mut cells: Vec<_> = cells.collect();
    cells.sort();
    Ok(cells)
}

#[test]
fn a_text_becomes_the_same_whatever_text_came_before_it() {
    let texts = [
        r#"{"a":"x","b":1,"c":{"d":"y","e":[1]},"f":null}"#,
        r#"{"a": "x", "b": 1, "c": {"d": "y", "e": [1]}, "f": null}"#,
        r#"{ "a" : "x" ,"b":  1,	"c":{"d" :"y"} }"#,
        r#"{"a":"x\"y","b":"\u00e9","c":{"d":"\ud800"}}"#,
        r#"{"a":{"a":"x"},"b":{"b":{"b":1}}}"#,
        r#"{"a":1,"a":"x","a":{"b":1},"a.b":2}"#,
        r#"{"ab":"x","a":"y","abcdefghi":"z","abcdefghijklmnopq":"z"}"#,
        r#"{"\u0061":"x","b\"":"y","b\\":"z","":"e"}"#,
        r#"{"@timestamp":"2026-01-01T00:00:00Z","@tag":"t","@rest":1,"a":1}"#,
        r#"{"@tag":1,"@tag":"t","@timestamp":"no"}"#,
        r#"{"a":"x" "b":1}"#,
        r#"{"a":"x","b":1"#,
        r#"{"a":"x,"b":1}"#,
        r#"{"a":"x","b":1} x"#,
        r#"{"a""x"}"#,
        r#"{,"a":"x"}"#,
        r#"{"a":"x",}"#,
        r#"{"a":"x\"#,
        r#"{"a":"#,
        r#"{"a""#,
        r#"{"a"#,
        "{\"a\":\"x\ty\"}",
        "{}",
    ];
    for prefix in ["", "p.q"] {
        for text in texts {
            let alone = behind(None, text, prefix);
            for before in texts {
                assert_eq!(behind(Some(before), text, prefix), alone, "{text} behind {before}");
            }
        }
    }
}
