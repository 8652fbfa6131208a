use super::*;
use crate::batch::Kind;
use crate::batch::builder::Builder;
use crate::batch::constants::Constants;
use crate::batch::utf8::InvalidUtf8;

fn records(constants: &Constants, fill: impl FnOnce(&mut Builder)) -> Records {
    let mut builder = Builder::new();
    fill(&mut builder);
    builder.finish(InvalidUtf8::Bytes, constants).records
}

fn text(encoded: &Encoded) -> String {
    let mut start = 0;
    for (row, end) in encoded.ends.iter().enumerate() {
        assert_eq!(encoded.row(row), &encoded.text[start..*end as usize]);
        start = *end as usize;
    }
    assert_eq!(start, encoded.text.len());
    String::from_utf8(encoded.text.to_vec()).expect("UTF-8")
}

fn sample() -> Records {
    let constants = Constants::new()
        .timestamp(TIMESTAMP, 1_700_000_000_120_000_000)
        .text(TAG, "a\"b")
        .text("log.file", "/x")
        .text("host", "h");
    records(&constants, |b| {
        b.begin_record();
        b.key(b"log").begin_object();
        b.key(b"level").text(b"info");
        b.end_object();
        b.key(b"k").begin_object();
        b.key(b"a.b").int(-1);
        b.key(b"t").text("tab\t\u{1}ä".as_bytes());
        b.end_object();
        b.key(b"f").float(1e300);
        b.end_record();
        b.begin_record();
        b.key(b"yes").boolean(true);
        b.key(b"f").float(-0.0);
        b.key(b"raw").bytes_value(b"\xffa");
        b.key(b"list").json("[1,\n2]");
        b.key(b"host").begin_object();
        b.key(b"name").text(b"n");
        b.end_object();
        b.end_record();
    })
}

#[test]
fn paths_are_nested_again_and_constants_stand_in_each_row() {
    let records = sample();
    let expected = concat!(
        r#"{"@timestamp":"2023-11-14T22:13:20.12Z","@tag":"a\"b","log":{"file":"/x","level":"info"},"host":"h","#,
        r#""k":{"a.b":-1,"t":"tab\t\u0001ä"},"f":1e300}"#,
        "\n",
        r#"{"@timestamp":"2023-11-14T22:13:20.12Z","@tag":"a\"b","log":{"file":"/x"},"host":{"name":"n"},"#,
        r#""f":-0.0,"yes":true,"raw":"#,
        "\"\u{fffd}a\"",
        r#","list":[1, 2]}"#,
        "\n",
    );
    assert_eq!(text(&records.ndjson()), expected);
    assert_eq!(text(&records.slice(1, 1).ndjson()), &expected[expected.find('\n').expect("two rows") + 1..]);
}

#[test]
fn a_constant_stands_in_each_row_beside_one_with_members_below_it() {
    let records = records(&Constants::new().text("host", "h"), |b| {
        for row in 0..4 {
            b.begin_record();
            if row == 1 {
                b.key(b"host").begin_object();
                b.key(b"name").text(b"n");
                b.end_object();
            }
            b.end_record();
        }
    });
    let constant = "{\"host\":\"h\"}\n";
    let expected = format!("{constant}{{\"host\":{{\"name\":\"n\"}}}}\n{constant}{constant}");
    assert_eq!(text(&records.ndjson()), expected);
}

#[test]
fn dead_letters_keep_their_bytes() {
    let rows = text(&ndjson_lossless(&sample()));
    assert!(rows.contains(r#""raw":{"$bytes":"/2E="}"#), "{rows}");
}

#[test]
fn fields_are_renamed_and_left_out() {
    let encoding: Encoding = serde_json::from_str(
        r#"{"timestamp":"time","tag":false,"timestamp_format":"unix_ms","only":["k","log"],"except":["k.t"],
            "rename":{"log":"l.o","log.level":"severity"}}"#,
    )
    .expect("settings");
    let expected = concat!(
        r#"{"time":1700000000120,"l":{"o":{"file":"/x"}},"severity":"info","k":{"a.b":-1}}"#,
        "\n",
        r#"{"time":1700000000120,"l":{"o":{"file":"/x"}}}"#,
        "\n"
    );
    let records = sample();
    assert_eq!(text(&ndjson_with(&records, &encoding)), expected);
    let nothing = Encoding { timestamp: Naming::Own(false), only: vec!["none".into()], ..encoding };
    assert_eq!(text(&ndjson_with(&records, &nothing)), "{}\n{}\n");
}

#[test]
fn a_json_object_joins_the_members_below_it_and_a_scalar_gives_way() {
    let columns = |value: &str| {
        let mut b = Builder::new();
        b.begin_record();
        b.key(b"a").json(value);
        b.end_record();
        let one = b.finish(InvalidUtf8::Replace, &Constants::new()).records;
        b.begin_record();
        b.key(b"a").begin_object();
        b.key(b"b").int(2);
        b.end_object();
        b.end_record();
        let two = b.finish(InvalidUtf8::Replace, &Constants::new()).records;
        let both = one.iter().chain(two.iter()).map(|c| (c.field().clone(), c.array().clone())).collect();
        text(&Records::of(1, both, vec![]).expect("records").ndjson())
    };
    assert_eq!(columns(r#"{"x":1}"#), "{\"a\":{\"x\":1,\"b\":2}}\n");
    assert_eq!(columns("{ }"), "{\"a\":{\"b\":2}}\n");
    assert_eq!(columns("null"), "{\"a\":{\"b\":2}}\n");
}

#[test]
fn a_path_of_any_depth_is_written_and_read_again() {
    let deep = vec!["a"; 4000].join(".");
    for encoding in [
        Encoding::default(),
        Encoding { rename: [("k".to_owned(), deep.clone())].into(), ..Encoding::default() },
        Encoding { timestamp: Naming::As(deep.clone()), ..Encoding::default() },
    ] {
        let array: arrow_array::ArrayRef = std::sync::Arc::new(arrow_array::Int64Array::from(vec![1]));
        let column = |name: &str| (std::sync::Arc::new(Kind::Int64.field(name)), array.clone());
        let columns = crate::batch::record_batch(1, vec![column(&deep), column("k.x")]).expect("columns");
        let records = Records::new(columns, Constants::new().timestamp(TIMESTAMP, 0).into_batch());
        let line = text(&ndjson_with(&records, &encoding));
        let (mut depth, mut deepest) = (0, 0);
        for byte in line.bytes() {
            depth += i32::from(byte == b'{') - i32::from(byte == b'}');
            deepest = deepest.max(depth);
        }
        assert_eq!(deepest, 64);
        let mut builder = Builder::new();
        crate::batch::decode::decode_line(&mut builder, line.as_bytes())
            .expect("what is written can be read");
    }
}

mod formats;
