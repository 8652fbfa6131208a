use serde_json::json;

use super::*;

/// Values of which `serde_json` would lose something, and such as look like one.
const ODD: [&str; 10] = [
    r#"{"n":36893488147419103232}"#,
    r#"{"a":[1e400,{"b":0.1234567890123456789}],"n":-9223372036854775809}"#,
    r#"{"t":"\ud83d","u":"x\udc00\"y"}"#,
    r#"{"a\ud83d":1}"#,
    "{\"t\":\"\u{fdd0}36893488147419103232\"}",
    "{\"t\":\"\u{fdd1}a\\\"b\",\"u\":\"\u{fdd2}\"}",
    r#"{"f":0.5,"m":-1,"n":18446744073709551615,"z":-0.0}"#,
    r#"{"t":"1e400","u":"a \"1e400\" b","v":"\\ud83d"}"#,
    "{\"t\":\"a\\\"\u{fdd0}b \u{fdd1}\",\"u\":\"\\\\\"}",
    r#""\ud83d""#,
];

#[test]
fn a_value_is_read_and_shown_as_it_was_whatever_it_is() {
    for text in ODD {
        let value = parse(text.as_bytes()).unwrap();
        assert_eq!(shown(&value.to_string()), text);
        assert_eq!(parse(text.as_bytes()).unwrap(), value);
    }
}

#[test]
fn values_that_are_others_are_not_the_same() {
    let pairs = [
        ("36893488147419103232", "36893488147419103999"),
        ("36893488147419103232", "\"36893488147419103232\""),
        ("36893488147419103232", "\"\u{fdd0}36893488147419103232\""),
        ("1e400", "1e401"),
        ("1e400", "null"),
        (r#""\ud83d""#, r#""\ud83c""#),
        (r#""\ud83d""#, r#""\\ud83d""#),
    ];
    for (one, other) in pairs {
        assert_ne!(read(one.as_bytes()), read(other.as_bytes()), "{one} {other}");
    }
    assert_eq!(read(br#""\ud83dA""#), read(br#""\uD83D\u0041""#), "two ways to write one text");
    assert_eq!(read(br#"{"n":18446744073709551615}"#), json!({"n": u64::MAX}));
}

#[test]
fn what_is_told_to_people_shows_the_values_and_no_marks() {
    let value = read(br#"{"n":1e400,"t":"\ud83d"}"#);
    let text = format!("`n` is {}, and `a.\u{fdd1}b` should be {}", value["n"], value["t"]);
    assert_eq!(shown(&text), r#"`n` is 1e400, and `a.b` should be "\ud83d""#);
    assert!(has_half_pairs(&value) && !has_half_pairs(&read(b"[1e400]")));
}

#[test]
fn what_is_no_json_is_held_as_it_is() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert!(parse(deep.as_bytes()).is_err());
    assert_eq!(shown(&read(deep.as_bytes()).to_string()), deep);
    for text in ["\"", "\"a\\", "-", "{\"a\":-}", "1e", "\"\\ud8"] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
}
