use std::time::Duration;

use arrow_array::cast::AsArray;

use super::*;
use flitch_core::units::Span;

fn settings(multiline: MultilineSettings) -> FileSettings {
    FileSettings { multiline: Some(multiline), ..Default::default() }
}

fn starts(pattern: &str) -> MultilineSettings {
    MultilineSettings { start: Some(pattern.to_owned().try_into().unwrap()), ..Default::default() }
}

fn continues(pattern: &str) -> MultilineSettings {
    MultilineSettings { r#continue: Some(pattern.to_owned().try_into().unwrap()), ..Default::default() }
}

fn append(gather: &mut Gather, chunk: &[u8], cut: &Cut, last: bool) -> usize {
    gather.append(chunk, cut, last, At { base: 0, now: Instant::now(), streams: &mut None })
}

fn texts(gather: &mut Gather) -> Vec<String> {
    let (finished, bad) = gather.finish(InvalidUtf8::Replace, &Constants::new(), None);
    assert!(bad.is_empty());
    let column = finished.records.column("message").expect("the text");
    column.array().as_string::<i32>().iter().map(|v| v.expect("a value").to_owned()).collect()
}

const TRACE: &[u8] = b"2024 one\n  at a\r\n  at b\r\n2024 two\n2024 three\n  at c\n";

#[test]
fn a_record_ends_where_a_line_begins_another() {
    let mut gather = Gather::new(&settings(starts(r"^\d{4} "))).unwrap();
    let taken = append(&mut gather, TRACE, &Cut::default(), false);
    assert_eq!(texts(&mut gather), ["2024 one\n  at a\n  at b", "2024 two"]);
    assert_eq!(&TRACE[taken..], b"2024 three\n  at c\n", "the last one may go on");
    assert_eq!(append(&mut gather, &TRACE[taken..], &Cut::default(), true), TRACE.len() - taken);
    assert_eq!(texts(&mut gather), ["2024 three\n  at c"]);
}

#[test]
fn a_record_goes_on_while_lines_say_so() {
    let multiline = continues(r"^\s");
    let mut gather = Gather::new(&settings(multiline)).unwrap();
    append(&mut gather, TRACE, &Cut::default(), true);
    assert_eq!(texts(&mut gather), ["2024 one\n  at a\n  at b", "2024 two", "2024 three\n  at c"]);
}

#[test]
fn lines_before_the_first_start_are_a_record_and_lines_are_counted() {
    let multiline = MultilineSettings { max_lines: 2, ..starts("^start") };
    let mut gather = Gather::new(&settings(multiline)).unwrap();
    append(&mut gather, b"orphan\nstart\na\nb\nc\n", &Cut::default(), true);
    assert_eq!(texts(&mut gather), ["orphan", "start\na", "b\nc"]);
}

#[test]
fn a_record_of_lines_stays_within_the_limit() {
    let mut settings = settings(starts("^start"));
    settings.max_line.0 = 11;
    let mut gather = Gather::new(&settings).unwrap();
    assert_eq!(append(&mut gather, b"start\n67890\nx\n", &Cut::default(), true), 14);
    assert_eq!(texts(&mut gather), ["start\n67890", "x"]);
    let chunk = b"start\nline past limit\nstart\n";
    assert_eq!(append(&mut gather, chunk, &Cut::default(), true), 6, "up to the line that is too long");
    assert_eq!(texts(&mut gather), ["start"]);
    assert_eq!(append(&mut gather, b"start\nline past limit", &Cut::default(), false), 6);
}

#[test]
fn a_batch_of_records_of_lines_is_cut_between_them() {
    let mut gather = Gather::new(&settings(starts("^s"))).unwrap();
    let cut = Cut { rows: 1, ..Cut::default() };
    assert_eq!(append(&mut gather, b"s1\n.\ns2\n.\ns3\n", &cut, false), 5);
    assert_eq!(texts(&mut gather), ["s1\n."]);
}

#[test]
fn json_lines_become_columns_and_others_are_told() {
    let settings = FileSettings { codec: Codec::Json, ..Default::default() };
    let mut gather = Gather::new(&settings).unwrap();
    let chunk = b"{\"a\":1}\n\nnot json\r\n[1]\n{\"a\":2}\n{\"a\"";
    assert_eq!(append(&mut gather, chunk, &Cut::default(), false), chunk.len() - 4);
    assert_eq!((gather.rows(), gather.taken()), (2, 4));
    let (finished, bad) = gather.finish(InvalidUtf8::Replace, &Constants::new(), None);
    assert_eq!(finished.records.rows(), 2);
    assert_eq!(bad[0].line, b"not json");
    assert_eq!(bad[1].line, b"[1]");
    assert!(bad.iter().all(|bad| bad.reason.starts_with("no JSON object: ")), "{bad:?}");
    assert_eq!(gather.taken(), 0);
}

#[test]
fn a_line_of_json_may_have_as_many_bytes_as_the_limit_says_whatever_ends_it() {
    for end in ["\n", "\r\n"] {
        let mut settings = FileSettings { codec: Codec::Json, ..Default::default() };
        let chunk = format!("{{\"a\":1}}{end}{{\"a\":12}}{end}");
        settings.max_line.0 = 7;
        let mut gather = Gather::new(&settings).unwrap();
        assert_eq!(append(&mut gather, chunk.as_bytes(), &Cut::default(), false), 7 + end.len());
        settings.max_line.0 = 8;
        let mut gather = Gather::new(&settings).unwrap();
        assert_eq!(append(&mut gather, chunk.as_bytes(), &Cut::default(), false), chunk.len());
    }
}

#[test]
fn a_line_is_cut_between_characters() {
    assert_eq!(boundary("abcdé".as_bytes(), 5), 4);
    assert_eq!(boundary("abcdé".as_bytes(), 6), 6);
    assert_eq!(boundary("\u{1f600}".as_bytes(), 3), 0);
    assert_eq!(boundary(&[0x80; 9], 6), 6, "what is no UTF-8 is cut anywhere");
    assert_eq!(boundary(b"short", 100), 5);
}

#[test]
fn settings_that_contradict_one_another_are_refused_by_name() {
    let refused = |settings: &FileSettings| Gather::new(settings).unwrap_err().to_string();
    assert!(refused(&settings(MultilineSettings::default())).contains("needs `start`"));
    let both = MultilineSettings { start: starts("x").start, ..continues("y") };
    assert!(refused(&settings(both)).contains("several of `start`"));
    let zero = MultilineSettings { max_lines: 0, timeout: Span(Duration::ZERO), ..starts("x") };
    assert!(refused(&settings(zero)).contains("`multiline.max_lines`"));
    let json = FileSettings { codec: Codec::Json, ..settings(starts("x")) };
    assert!(refused(&json).contains("`codec: json`"));
    assert!(refused(&FileSettings { max_line: Bytes(0), ..Default::default() }).contains("`max_line`"));
}
