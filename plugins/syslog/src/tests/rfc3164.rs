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
        ("421370: sw01: 421366: Nov 23 2026 22:23:27.575 UTC: %SYS-5-X: up", Some("sw01")),
        ("421370: 192.0.2.1: 421366: Nov 23 22:23:27: %SYS-5-X: up", Some("192.0.2.1")),
        ("421370: ::: 421366: Nov 23 22:23:27: %SYS-5-X: up", Some("::")),
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
fn a_device_without_a_clock_says_how_long_it_has_been_running() {
    for (text, host) in [
        ("82: 00:20:10: %SYS-5-X: up", None),
        ("82: 00:20:10.123: %SYS-5-X: up", None),
        ("7433: ASR920: 007439: 2y10w: %SYS-5-X: up", Some("ASR920")),
        ("7433: 192.0.2.1: 1d02h: %SYS-5-X: up", Some("192.0.2.1")),
    ] {
        let read = read(text, Some(13)).unwrap();
        assert_eq!((read.time, read.hostname), (None, host), "{text}");
        assert_eq!((read.appname, read.text), (Some("%SYS-5-X"), Some("up")), "{text}");
    }
    assert_eq!(parts("1: a: b: %SYS-5-X: up"), (None, Some("1"), None, "a: b: %SYS-5-X: up"));
    assert_eq!(parts("1: 2: 3: 4: 5: 6: %X: up"), (None, Some("1"), None, "2: 3: 4: 5: 6: %X: up"));
}

#[test]
fn what_stands_before_the_name_of_a_message_of_cisco_is_the_device() {
    for text in [
        "Sep 14 2016 09:33:47 fw-1 : %ASA-4-106023: Deny",
        "Sep 14 09:33:47 fw-1 : %ASA-4-106023: Deny",
        "Sep 14 09:33:47 fw-1: %ASA-4-106023: Deny",
        "Sep 14 09:33:47 fw-1 %ASA-4-106023: Deny",
    ] {
        assert_eq!(parts(text), (Some("fw-1"), Some("%ASA-4-106023"), None, "Deny"), "{text}");
    }
    assert_eq!(parts("Sep 14 09:33:47 h : app[1]: x"), (Some("h"), Some("app"), Some("1"), "x"));
    assert_eq!(parts("Sep 14 09:33:47 h : x"), (Some("h"), None, None, ": x"));
    assert_eq!(parts("Sep 14 09:33:47 app: %d: x"), (None, Some("app"), None, "%d: x"));
}

#[test]
fn a_year_or_an_offset_behind_the_time_is_no_host() {
    for text in [
        "Jan 28 06:43:28 2017 h app[1]: x",
        "Jan 28 06:43:28 +01:00 h app[1]: x",
        "Jan 28 06:43:28.5+0100 2017 h app[1]: x",
        "2017-01-28 06:43:28 h app[1]: x",
        "2017-01-28 06:43:28,123 +0100 h app[1]: x",
    ] {
        assert_eq!(parts(text), (Some("h"), Some("app"), Some("1"), "x"), "{text}");
    }
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
