use proptest::prelude::*;

use super::*;
use crate::batch::builder::{MAX_COLUMNS, MAX_MEMBERS};
use crate::batch::constants::Constants;
use crate::batch::utf8::InvalidUtf8;
use crate::batch::{Kind, Records};
use value::{Value, records_of};

mod value;

fn decoded(lines: &[&str]) -> Records {
    let mut builder = Builder::new();
    for line in lines {
        decode_line(&mut builder, line.as_bytes()).unwrap_or_else(|e| panic!("{e} of {line}"));
    }
    builder.finish(InvalidUtf8::Replace, &Constants::new()).records
}

/// Checks that what comes out has the values of what went in, for this batch and for each record alone.
fn round_trip(lines: &[&str]) -> Result<(), TestCaseError> {
    let out = decoded(lines).ndjson();
    prop_assert_eq!(out.ends.len(), lines.len());
    for (row, line) in lines.iter().enumerate() {
        let text = out.row(row);
        prop_assert!(memchr::memchr(b'\n', text) == Some(text.len() - 1));
        prop_assert_eq!(
            Value::of_record(line.as_bytes()),
            Value::of_record(text),
            "{} became {}",
            line,
            String::from_utf8_lossy(text)
        );
    }
    Ok(())
}

/// Text of a JSON string with its quotes.
fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -!#-\\[\\]-~]{0,20}",
        2 => "\\PC{0,8}".prop_filter("needs escapes", |s| !s.contains(['"', '\\'])),
        3 => prop::sample::select(vec![
            r#"\""#, r"\\", r"\/", r"\b\f\n\r\t", r"\u0000", r"\u001f", r"\u00e4", r"\ud83d\ude00", r"\uD800", r"\udfff",
            r"\ud800\ud800", r"\udc00\ud800", r"\uD83Dx", r"\u2028", "\u{7f}", "é", "€", "😀", ".", "@",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn name() -> impl Strategy<Value = String> {
    let known = vec![
        "a",
        "b",
        "c",
        "",
        ".",
        "a.b",
        "..",
        r"\\",
        r"a\\.b",
        r"\\ud800",
        r"\ud800",
        r"\udc00.x",
        "@timestamp",
        "@tag",
        "n\\u0061me",
        "a\\u002eb",
    ];
    prop_oneof![5 => prop::sample::select(known).prop_map(|n| format!("\"{n}\"")), 1 => string()]
}

fn number() -> impl Strategy<Value = String> {
    let known = vec![
        "0",
        "-0",
        "-0.0",
        "0.0",
        "0e5",
        "-0e-400",
        "1",
        "1.0",
        "1e2",
        "1E+2",
        "0.1",
        "1.10",
        "123456789012345678901",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "9007199254740993",
        "9007199254740993.0",
        "1e400",
        "-1e400",
        "1e-400",
        "5e-324",
        "4.9e-324",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "0.1000000000000000055511151231257827",
        "3.141592653589793238",
        "1e22",
        "1e23",
        "123456789012345e22",
        "1e99999999999999999999",
        "1000000000000000000",
    ];
    prop_oneof![
        3 => prop::sample::select(known).prop_map(str::to_owned),
        2 => any::<i64>().prop_map(|n| n.to_string()),
        2 => any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| format!("{f:?}")),
        2 => "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?",
        2 => any::<i32>().prop_map(|n| (f64::from(n) / 100.0).to_string()),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => string(),
        4 => number(),
        2 => prop::sample::select(vec!["true", "false", "null", "{}", "[]", "[ ]", "{ }"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec![
            r#""2026-01-31T23:59:59Z""#, r#""2026-01-31T23:59:59.1234567891Z""#, r#""1970-01-01T00:00:00.5+01:00""#,
        ]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(10, 60, 6, |inner| {
        prop_oneof![
            3 => object(inner.clone(), 6),
            1 => prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(" ,"))),
        ]
    })
}

fn object(value: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec((name(), value, "[ \t\r]{0,2}"), 0..most).prop_map(|members| {
        let members: Vec<_> =
            members.iter().map(|(n, v, space)| format!("{space}{n}{space}:{space}{v}{space}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_ndjson_that_goes_in_comes_out_with_equal_values(lines in prop::collection::vec(object(value(), 8), 1..8)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        round_trip(&lines)?;
    }

    #[test]
    fn a_batch_after_another_is_not_touched_by_it(
        first in prop::collection::vec(object(value(), 5), 1..4),
        second in prop::collection::vec(object(value(), 5), 1..4),
        cancelled in object(value(), 5),
    ) {
        let mut builder = Builder::new();
        for lines in [&first, &second] {
            for line in lines {
                decode_line(&mut builder, line.as_bytes()).expect("JSON");
                let broken = &cancelled[..cancelled.len() - 1];
                prop_assert!(decode_line(&mut builder, broken.as_bytes()).is_err());
            }
            let out = builder.finish(InvalidUtf8::Replace, &Constants::new()).records.ndjson();
            prop_assert_eq!(out.ends.len(), lines.len());
            for (row, line) in lines.iter().enumerate() {
                prop_assert_eq!(Value::of_record(line.as_bytes()), Value::of_record(out.row(row)));
            }
        }
    }

    #[test]
    fn nothing_makes_the_decoder_panic(
        text in object(value(), 5),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut builder = Builder::new();
        for invalid in [InvalidUtf8::Replace, InvalidUtf8::Bytes] {
            for text in [&bytes[..], &bytes[..at], &noise] {
                let _ = decode_line(&mut builder, text);
                let _ = decode_lossless_line(&mut builder, text);
                let objects = Objects::new(text).fill(&mut builder, &Cut::default());
                let checked = Objects::new(text).check_rest();
                prop_assert_eq!(objects.map(drop), checked, "what is passed over can be read");
                let _ = check(text);
            }
            decode_lines(&mut builder, &noise, &Cut::default(), |_, _, _| {});
            let records = builder.finish(invalid, &Constants::new()).records;
            for row in 0..records.rows() {
                let text = records.ndjson().row(row).to_vec();
                prop_assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&text).is_ok());
            }
        }
    }

    #[test]
    fn the_decoder_takes_what_is_json_and_nothing_else(text in object(value(), 5), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let ours = decode_line(&mut Builder::new(), &bytes).is_ok();
            prop_assert_eq!(ours, Value::parse(&bytes).is_some_and(|v| v.is_object()), "{}", text);
            prop_assert_eq!(check(&bytes).is_ok(), Value::parse(&bytes).is_some());
        }
    }
}

#[test]
fn numbers_take_the_type_that_holds_them_exactly() {
    let cases = [
        ("1", Kind::Int64),
        ("-9223372036854775808", Kind::Int64),
        ("9223372036854775808", Kind::Json),
        ("-0", Kind::Float64),
        ("0.1", Kind::Float64),
        ("1e2", Kind::Float64),
        ("1e400", Kind::Json),
        ("5e-324", Kind::Float64),
        ("0.10000000000000000001", Kind::Json),
        ("123456789012345678", Kind::Int64),
        ("2.2250738585072014e-308", Kind::Float64),
        ("[1]", Kind::Json),
        ("\"\\ud800\"", Kind::Json),
        ("\"\\ud83d\\ude00\"", Kind::Text),
        ("null", Kind::Json),
        ("{}", Kind::Json),
        ("true", Kind::Boolean),
    ];
    for (text, kind) in cases {
        let records = decoded(&[&format!("{{\"v\":{text}}}")]);
        let column = records.column("v").unwrap_or_else(|| panic!("a column of {text}"));
        assert_eq!(Kind::of(column.field()), Some(kind), "{text}");
    }
}

#[test]
fn deep_and_wide_objects_come_out_equal() {
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    let members: Vec<_> =
        (0..3 * MAX_MEMBERS).map(|n| format!("\"m{n}\":{{\"x\":{n},\"\\ud800\":null}}")).collect();
    let wide = format!("{{\"o\":{{{}}},\"p\":1}}", members.join(","));
    let narrow = r#"{"o":{"m1":{"x":"text"}},"p":{"q":[]}}"#;
    round_trip(&[&deep, &wide, narrow]).expect("equal");
    round_trip(&[narrow, &wide, &deep]).expect("equal");
    let top: Vec<_> = (0..2 * MAX_COLUMNS).map(|n| format!("\"t{n}\":{n}")).collect();
    round_trip(&[narrow, &format!("{{{}}}", top.join(","))]).expect("equal");
}

#[test]
fn nesting_past_the_limit_is_refused() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(decode_line(&mut Builder::new(), nested(MAX_NESTING - 1).as_bytes()), Ok(()));
    let error = decode_line(&mut Builder::new(), nested(MAX_NESTING).as_bytes()).expect_err("too deep");
    assert_eq!(error.at, 5 + MAX_NESTING - 1);
    assert!(decode_line(&mut Builder::new(), "{\"a\":".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn an_error_says_where_and_what() {
    let cases = [
        ("", "the text ends too early at byte 0"),
        ("[1]", "a record is a JSON object; expected `{` at byte 0"),
        (r#"{"a" 1}"#, "expected `:` at byte 5"),
        (r#"{"a":1,}"#, "expected a name in quotes at byte 7"),
        (r#"{"a":01}"#, "expected a digit at byte 6"),
        (r#"{"a":1.}"#, "expected a digit at byte 7"),
        (r#"{"a":trux}"#, "expected a value at byte 8"),
        (r#"{"a":"x"#, "the text ends too early at byte 7"),
        ("{\"a\":\"\t\"}", "a control character in a string at byte 6"),
        (r#"{"a":"\x"}"#, "no such escape at byte 7"),
        (r#"{"a":"\u12g4"}"#, "expected four hexadecimal digits at byte 10"),
        (r#"{"a":1} {}"#, "more text after the value at byte 8"),
    ];
    for (text, expected) in cases {
        let error = decode_line(&mut Builder::new(), text.as_bytes()).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn lines_are_taken_to_the_cut_and_a_wrong_one_costs_itself_alone() {
    let mut builder = Builder::new();
    let chunk = b"{\"a\":1}\n\n  \r\n{\"a\":oops}\r\n{\"a\":2}\r\n{\"a\":3}\n{\"a\"";
    let mut wrong = Vec::new();
    let cut = Cut { rows: 3, ..Cut::default() };
    let taken = decode_lines(&mut builder, chunk, &cut, |b, line, error| {
        wrong.push((String::from_utf8_lossy(line).into_owned(), error.at));
        b.begin_record();
        b.key(b"message").text(line);
        b.end_record();
    });
    assert_eq!(wrong, [("{\"a\":oops}".to_owned(), 5)]);
    assert_eq!(&chunk[taken..], b"{\"a\":3}\n{\"a\"");
    let out = builder.finish(InvalidUtf8::Replace, &Constants::new()).records.ndjson();
    assert_eq!(out.text, &b"{\"a\":1}\n{\"message\":\"{\\\"a\\\":oops}\"}\n{\"a\":2}\n"[..]);
}

#[test]
fn a_text_of_objects_and_arrays_of_objects_is_records() {
    let text = b"\xef\xbb\xbf[{\"a\":1},\n {\"a\":[2,\n2]}]\n{\"a\":\n3}[]{\"a\":4}";
    let mut builder = Builder::new();
    let mut objects = Objects::new(text);
    objects.check_rest().expect("records");
    assert_eq!(objects.fill(&mut builder, &Cut::default()), Ok(false));
    assert_eq!(builder.rows(), 4);
    let out = builder.finish(InvalidUtf8::Replace, &Constants::new()).records.ndjson();
    assert_eq!(out.text, &b"{\"a\":1}\n{\"a\":[2, 2]}\n{\"a\":3}\n{\"a\":4}\n"[..]);
    let text = b"[{\"a\":1},\n{\"a\":1}\n{}]";
    let error = Objects::new(text).fill(&mut builder, &Cut::default()).expect_err("no comma");
    assert_eq!((error.line(text), error.what), (3, "expected `,` or `]`"));
    assert_eq!(Objects::new(text).check_rest(), Err(error));
    assert_eq!(builder.rows(), 2);
    builder.clear();
    assert_eq!((builder.rows(), builder.columns(), builder.bytes()), (0, 0, 0));
    for wrong in ["[1]", "[{},]", "1", "[[{}]]", "[{}"] {
        let error = Objects::new(wrong.as_bytes()).fill(&mut builder, &Cut::default()).expect_err(wrong);
        assert_eq!(Objects::new(wrong.as_bytes()).check_rest(), Err(error), "{wrong}");
    }
}

#[test]
fn a_text_is_read_a_batch_at_a_time_and_looked_through_from_there() {
    let cut = Cut { rows: 2, ..Cut::default() };
    let text = b"{\"a\":1}[{\"a\":2},{\"a\":3},{\"a\":4}, {\"a\":}]";
    let mut builder = Builder::new();
    let mut objects = Objects::new(text);
    for rows in ["{\"a\":1}\n{\"a\":2}\n", "{\"a\":3}\n{\"a\":4}\n"] {
        assert_eq!(objects.fill(&mut builder, &cut), Ok(true));
        let out = builder.finish(InvalidUtf8::Replace, &Constants::new()).records.ndjson();
        assert_eq!(out.text, rows.as_bytes());
        assert_eq!(objects.check_rest().expect_err("no value").at, 38);
    }
    assert_eq!(objects.fill(&mut builder, &cut).expect_err("no value").at, 38);
    assert_eq!(builder.rows(), 0);
}

#[test]
fn dead_letters_read_back_with_their_bytes() {
    let mut builder = Builder::new();
    builder.begin_record();
    builder.key(b"raw").bytes_value(b"\xff\x00");
    builder.key(b"text").text(b"t");
    builder.end_record();
    let records = builder.finish(InvalidUtf8::Replace, &Constants::new()).records;
    let line = crate::batch::encode::ndjson_lossless(&records).text;
    decode_lossless_line(&mut builder, &line).expect("JSON");
    let again = builder.finish(InvalidUtf8::Replace, &Constants::new()).records;
    assert_eq!(again.columns(), records.columns());
}

#[test]
fn text_that_is_not_utf8_follows_the_policy() {
    let line = b"{\"a\":\"x\xff\",\"b\":[\"\xff\"],\"\xff\":1}";
    let mut builder = Builder::new();
    decode_line(&mut builder, line).expect("JSON");
    let finished = builder.finish(InvalidUtf8::Replace, &Constants::new());
    assert_eq!(finished.replaced, 2);
    let expected = "{\"a\":\"x\u{fffd}\",\"b\":[\"\u{fffd}\"],\"\u{fffd}\":1}\n";
    assert_eq!(finished.records.ndjson().text, expected.as_bytes());
    decode_line(&mut builder, line).expect("JSON");
    let records = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
    assert_eq!(records.column("a").and_then(|c| Kind::of(c.field())), Some(Kind::Bytes));
    assert_eq!(records_of(&records), [Value::of_record(expected.as_bytes())]);
}
