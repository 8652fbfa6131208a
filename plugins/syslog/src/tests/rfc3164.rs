use super::*;

/// Host, program, process and text.
fn parts(text: &str) -> (Option<&str>, Option<&str>, Option<&str>, &str) {
    let message = read(text, Some(13)).unwrap();
    (message.hostname, message.appname, message.procid, message.text.unwrap())
}

#[test]
fn each_part_may_be_missing() {
    assert_eq!(
        parts("Oct 11 22:14:15 h su: 'su root' failed"),
        (Some("h"), Some("su"), None, "'su root' failed")
    );
    assert_eq!(parts("Oct  1 22:14:15 h a/b-c[12]: x"), (Some("h"), Some("a/b-c"), Some("12"), "x"));
    assert_eq!(parts("Oct 11 22:14:15 su[1]: x"), (None, Some("su"), Some("1"), "x"));
    assert_eq!(parts("Oct 11 22:14:15 h two words: x"), (Some("h"), None, None, "two words: x"));
    assert_eq!(parts("Oct 11 22:14:15 fe80::1 su: x"), (Some("fe80::1"), Some("su"), None, "x"));
    assert_eq!(parts("su: x"), (None, Some("su"), None, "x"));
    assert_eq!(parts("just a text"), (None, None, None, "just a text"));
    assert_eq!(parts("Oct 11 22:14:15"), (None, None, None, ""));
    assert_eq!(parts("Oct 11 22:14:15 word"), (None, None, None, "word"));
    assert_eq!(parts("Oct 11 22:14:15 h su:"), (Some("h"), Some("su"), None, ""));
    assert_eq!(parts(""), (None, None, None, ""));
}

#[test]
fn messages_of_cisco_are_read() {
    let text = "29: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: Configured from console";
    assert_eq!(parts(text), (None, Some("%SYS-5-CONFIG_I"), None, "Configured from console"));
    let text = "000012: .Mar  1 2026 18:48:50 CEST: %LINK-3-UPDOWN: down";
    assert_eq!(parts(text), (None, Some("%LINK-3-UPDOWN"), None, "down"));
}

#[test]
fn numbers_and_names_of_devices_before_the_time_are_passed_over() {
    let message = (Some("%SYS-5-X"), None, "up");
    for (text, host) in [
        ("421370: 421366: Nov 23 22:23:27: %SYS-5-X: up", None),
        ("000029: switch1: Nov 23 22:23:27: %SYS-5-X: up", Some("switch1")),
        ("29: fe80::1: *Nov 23 22:23:27.5 CET: %SYS-5-X: up", Some("fe80::1")),
        ("29: RP/0/RSP0/CPU0:Nov 23 22:23:27.123 UTC: %SYS-5-X: up", Some("RP/0/RSP0/CPU0")),
        (": 2026 Nov 23 22:23:27 UTC: %SYS-5-X: up", None),
        (":Nov 23 2026 22:23:27: %SYS-5-X: up", None),
    ] {
        let read = read(text, Some(13)).unwrap();
        assert!(read.time.is_some(), "{text}");
        assert_eq!(read.hostname, host, "{text}");
        assert_eq!((read.appname, read.procid, read.text.unwrap()), message, "{text}");
    }
    assert_eq!(parts("29: %SYS-5-X: up"), (None, Some("%SYS-5-X"), None, "up"));
    assert_eq!(parts("29: up"), (None, Some("29"), None, "up"));
    assert_eq!(parts(": up"), (None, None, None, ": up"));
}

#[test]
fn a_text_that_begins_with_json_or_quotes_has_no_program() {
    for text in [r#"{"level": "info"}"#, r#"["a: b"]"#, r#"msg="foo: bar""#, "'a': b", "<a>: b", "a,b: c"] {
        for (before, host) in [("", None), ("Oct 11 22:14:15 ", None), ("Oct 11 22:14:15 h ", Some("h"))] {
            assert_eq!(parts(&format!("{before}{text}")), (host, None, None, text), "{before}");
        }
    }
}

#[test]
fn without_a_priority_there_must_be_a_time() {
    assert!(read("Oct 11 22:14:15 h su: x", None).is_ok());
    assert!(read("a plain line", None).is_err());
}

#[test]
fn any_text_is_read_without_a_panic() {
    for text in
        ["Oct 11 22:14:15.5é", "2026 é", "1: é", "Oct 1é", "é[", "a[é]: é", "Oct 31 22:14:15 é é[é]: é", "*é"]
    {
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            let _ = read(&text[..end], Some(1));
        }
    }
}
