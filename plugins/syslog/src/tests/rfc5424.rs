use super::*;
use flitch_sdk::parse::Repeated;

#[test]
fn each_part_is_found() {
    let text =
        r#"1 2026-11-20T13:55:36.003Z host app 12 ID47 [ex@1 a="1" b="x \"y\" \] \\ \n"][empty] hello [x]"#;
    let message = read(text, Some(165), Rigour::Strict).unwrap();
    assert!(is_one(text));
    assert_eq!((message.hostname, message.appname), (Some("host"), Some("app")));
    assert_eq!((message.procid, message.msgid, message.version), (Some("12"), Some("ID47"), Some(1)));
    assert_eq!(message.elements[0].parameters[1], ("b", r#"x "y" ] \ \n"#.into()));
    assert_eq!((message.elements[1].id, message.elements[1].parameters.len()), ("empty", 0));
    assert_eq!(message.text, Some("hello [x]"));
}

#[test]
fn a_dash_is_nothing_and_a_message_may_end_early() {
    let message = read("1 - - - - - -", Some(0), Rigour::Strict).unwrap();
    assert_eq!(message, Message { priority: Some(0), version: Some(1), ..Message::default() });
    assert_eq!(read("1 - - - - - - \u{feff}é", None, Rigour::Strict).unwrap().text, Some("é"));
    assert_eq!(read("1 - - - - - - ", None, Rigour::Strict).unwrap().text, Some(""));
}

#[test]
fn a_time_that_lacks_its_offset_is_a_local_one() {
    let time = |text| read(text, None, Rigour::Strict).unwrap().time;
    assert_eq!(time("1 1970-01-01T00:00:01.5 h - - - -"), Some(When::Local(1_500_000_000)));
    assert_eq!(time("1 1970-01-01T00:00:01.5Z h - - - -"), Some(When::Instant(1_500_000_000)));
}

#[test]
fn what_is_wrong_is_named() {
    for (text, reason) in [
        ("", "the version is missing"),
        ("0 - - - - - -", "the version is \"0\""),
        ("1 today - - - - -", "the time is \"today\""),
        ("1 -  app - - -", "the hostname is missing"),
        ("1 - h a p", "the msgid is missing"),
        ("1 - - - - -", "the structured data is missing"),
        ("1 - - - - - text", "the structured data is missing"),
        ("1 - - - - - -text", "there is no space behind the structured data"),
        ("1 - - - - - [a", "the structured data has no closing bracket"),
        ("1 - - - - - [a b]", "the structured data has no closing bracket"),
        ("1 - - - - - [a b=\"x]", "the structured data has no quote behind \"b\""),
        ("1 - - - - - [a b=\"x\\", "the structured data has no quote behind \"b\""),
        ("1 - - - - - [a b]c=\"x\"]", "the structured data has a parameter with the name \"b]c\""),
        ("1 - - - - - []", "the structured data has an element with the id \"\""),
    ] {
        assert_eq!(read(text, None, Rigour::Strict).unwrap_err(), reason, "{text}");
    }
}

#[test]
fn what_is_no_structured_data_is_the_text_where_that_is_asked_for() {
    for (text, behind) in [
        (r#"1 - - - - - [action:"Accept"; flags:"1"; ]"#, r#"[action:"Accept"; flags:"1"; ]"#),
        ("1 - - - - m [2026-11-28 10:00:00] x", "[2026-11-28 10:00:00] x"),
        ("1 - - - - - subsys=forwarder", "subsys=forwarder"),
        ("1 - - - - - -text", "-text"),
        ("1 - - - - - [a", "[a"),
        ("1 - - - - - []", "[]"),
    ] {
        let message = read(text, None, Rigour::Loose).unwrap();
        assert_eq!((message.text, message.elements.len()), (Some(behind), 0), "{text}");
    }
    for (text, behind) in [("[a x=\"1\"]text", "text"), ("[a x=\"1\"][b c] d", "[b c] d")] {
        let text = format!("1 - - - - m {text}");
        let message = read(&text, None, Rigour::Loose).unwrap();
        assert_eq!((message.text, message.elements.len()), (Some(behind), 1), "{text}");
    }
}

#[test]
fn words_that_may_be_those_of_a_header_are_no_text() {
    for text in ["1 - h a p", "1 - - - - -", "1 - h this is a message", "1 - h a p m -text"] {
        assert!(read(text, None, Rigour::Loose).is_err(), "{text}");
    }
}

#[test]
fn a_parameter_that_stands_more_than_once_has_all_of_its_values() {
    let message =
        read(r#"1 - - - - - [o ip="1" x="a" ip="2\""][p ip="3"][o ip="4"]"#, None, Rigour::Strict).unwrap();
    let all: Vec<_> = message.parameters();
    assert_eq!(
        all,
        [
            ("o", "ip", Repeated::Many(r#"["1","2\"","4"]"#.to_owned())),
            ("o", "x", Repeated::One("a".into())),
            ("p", "ip", Repeated::One("3".into())),
        ]
    );
}

#[test]
fn structured_data_has_a_bound() {
    let element = |count: usize| format!("1 - - - - - [a{}]", " x=\"\"".repeat(count));
    assert!(read(&element(200), None, Rigour::Strict).is_ok());
    assert_eq!(
        read(&element(201), None, Rigour::Strict).unwrap_err(),
        "the structured data has more than 200 parameters"
    );
    assert!(read(&format!("1 - - - - - {}", "[a]".repeat(10_000)), None, Rigour::Strict).is_err());
}
