//! What stands in the files: charsets, marks, and lines that are no records.

use super::super::super::rig::{Rig, ms, s};
use super::super::super::settings::{Codec, MultilineSettings, ReadFrom};
use super::forms::gzip;
use flitch_core::batch::utf8::InvalidUtf8;

fn little(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn big(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn json(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{{\"message\":\"{line}\"}}\r\n")).collect()
}

#[test]
fn a_byte_order_mark_tells_the_charset_and_is_part_of_no_record() {
    for form in ["lines", "json", "multiline", "gzip"] {
        let text = match form {
            "json" => json(&["ünö", "two"]),
            _ => "ünö\r\ntwo\n".to_owned(),
        };
        for bytes in [
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            little(&format!("\u{feff}{text}")),
            big(&format!("\u{feff}{text}")),
        ] {
            let mut rig = Rig::new();
            match form {
                "json" => rig.settings.codec = Codec::Json,
                "multiline" => {
                    let start = Some("^[a-zü]".to_owned().try_into().unwrap());
                    rig.settings.multiline = Some(MultilineSettings { start, ..Default::default() });
                }
                _ => {}
            }
            rig.append("a.log", if form == "gzip" { gzip(&bytes) } else { bytes });
            rig.start();
            rig.pass(s(3));
            assert_eq!(rig.lines(), ["ünö", "two"], "{form}");
            rig.stop();
            rig.start();
            rig.pass(s(3));
            assert!(rig.lines().is_empty(), "{form}: the position is that of the bytes");
        }
    }
}

#[test]
fn a_file_that_is_decoded_goes_on_where_it_was_left() {
    let mut rig = Rig::new();
    rig.append("a.log", little("\u{feff}one\nha"));
    rig.start();
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["one"]);
    rig.stop();
    // The second half of a unit comes later than the first.
    let rest = little("lf\ntwo\n");
    rig.append("a.log", &rest[..3]);
    rig.start();
    rig.pass(s(1));
    rig.append("a.log", &rest[3..]);
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["half", "two"]);
    rig.append("a.log", &little("end")[..5]);
    rig.pass(s(7));
    assert_eq!(rig.lines(), ["en"], "half a unit is left");
    rig.append("a.log", &little("d\n")[1..]);
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["d"]);
}

#[test]
fn a_mark_that_comes_byte_by_byte_is_waited_for() {
    let mut rig = Rig::new();
    rig.start();
    for byte in b"\xef\xbb\xbfone" {
        rig.append("a.log", [*byte]);
        rig.pass(ms(300));
    }
    rig.append("a.log", "\n");
    rig.append("b.log", b"\xef\xbb");
    rig.pass(s(7));
    assert_eq!(rig.lines(), ["one", "\u{fffd}"]);
}

#[test]
fn a_charset_that_is_named_is_that_of_all_files() {
    let mut rig = Rig::new();
    rig.settings.charset = "latin1".to_owned().try_into().unwrap();
    rig.settings.invalid_utf8 = InvalidUtf8::Bytes;
    rig.append("a.log", b"caf\xe9\nna\xefve\n");
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["café", "naïve"]);
}

#[test]
fn what_is_not_in_the_charset_is_replaced() {
    let mut rig = Rig::new();
    rig.settings.invalid_utf8 = InvalidUtf8::Bytes;
    rig.append("a.log", b"\xff\xfea\0\x00\xdcb\0\n\0");
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["a\u{fffd}b"]);
}

#[test]
fn long_lines_of_any_charset_are_cut_by_their_utf8() {
    for long in [3_000, 700_000] {
        let mut rig = Rig::new();
        rig.settings.max_line.0 = 1_001;
        let text = format!("{}\nshort\n{}", "é".repeat(long), "é".repeat(long));
        rig.append("a.log", little(&format!("\u{feff}{text}")));
        rig.start();
        rig.pass(s(7));
        let cut = "é".repeat(500);
        let got: Vec<_> = rig.got.drain(..).map(|got| (got.line, got.truncated)).collect();
        assert_eq!(got, [(cut.clone(), true), ("short".to_owned(), false), (cut, true)]);
        rig.append("a.log", little("more\n"));
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["more"]);
    }
}

#[test]
fn reading_begins_at_the_last_line_of_any_charset() {
    for encode in [little, big] {
        let mut rig = Rig::new();
        rig.settings.read_from = ReadFrom::End;
        rig.append("a.log", encode("\u{feff}old\nunf\u{a0a}"));
        rig.start();
        rig.pass(s(1));
        rig.append("a.log", encode("inished\nnew\n"));
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["unf\u{a0a}inished", "new"]);
    }
}

#[test]
fn blank_lines_of_json_move_the_position_and_hold_no_file() {
    for blank in ["\n", "\r\n", "  \n", "\r\r\r\n"] {
        for run in [1, 300_000] {
            let mut rig = Rig::new();
            rig.settings.codec = Codec::Json;
            rig.append("a.log", json(&["one"]) + &blank.repeat(run));
            rig.start();
            rig.pass(s(1));
            assert_eq!(rig.lines(), ["one"]);
            rig.append("a.log", blank.repeat(run) + &json(&["two"]) + blank);
            rig.pass(s(1));
            assert_eq!(rig.lines(), ["two"]);
            rig.remove("a.log");
            rig.pass(s(10));
            assert!(rig.tailer.as_ref().unwrap().tails.is_empty(), "{blank:?}, {run} times");
        }
    }
}

#[test]
fn a_file_that_holds_a_mark_only_is_let_go() {
    let mut rig = Rig::new();
    rig.append("a.log", b"\xef\xbb\xbf");
    rig.start();
    rig.pass(s(1));
    rig.remove("a.log");
    rig.pass(s(10));
    assert!(rig.tailer.as_ref().unwrap().tails.is_empty());
}

#[test]
fn a_long_line_in_a_gzip_file_is_read_with_any_limit() {
    for limit in [1 << 10, 4 << 20, 12 << 20] {
        let mut rig = Rig::new();
        rig.settings.max_line.0 = limit;
        let line: String = (0..1_300_000).map(|n| format!("{n:08}")).collect();
        rig.append("a.log", gzip(format!("{line}\nshort\n{line}\n").as_bytes()));
        rig.start();
        rig.pass(s(3));
        let cut = &line[..line.len().min(limit as usize)];
        let got = rig.lines();
        assert!(got == [cut, "short", cut], "{limit}");
    }
}
