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
