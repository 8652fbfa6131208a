use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;

use super::super::container::At;
use super::super::gather::Gather;
use super::super::settings::{Codec, MultilineSettings};
use super::*;
use flitch_core::batch::Cut;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;

const LINES: &str =
    "{\"message\":\"one\"}\r\n{\"message\":\"one\"}\n{\"message\":\"three\"}\n {\"message\":\"fo\u{fc}r\"}\n";

fn settings(codec: Codec) -> FileSettings {
    FileSettings { offset_field: "offset".to_owned(), codec, ..Default::default() }
}

/// Takes all of `text`, which stands at `base`, in batches of so many rows. Answers texts and offsets.
fn records(settings: &FileSettings, text: &[u8], base: u64, rows: usize) -> Vec<(String, usize)> {
    let mut gather = Gather::new(settings).unwrap();
    let cut = Cut { rows, ..Default::default() };
    let (mut at, mut found) = (0, Vec::new());
    while at < text.len() {
        let now = Instant::now();
        let taken =
            gather.append(&text[at..], &cut, true, At { base: base + at as u64, now, streams: &mut None });
        at += taken;
        if taken == 0 && gather.rows() == 0 {
            break;
        }
        let (finished, bad) = gather.finish(InvalidUtf8::Replace, &Constants::new(), None);
        assert!(bad.is_empty(), "{bad:?}");
        let texts = finished.records.column("message").unwrap().array().as_string::<i32>().clone();
        let offsets = finished.records.column("offset").unwrap().array().as_primitive::<Int64Type>().clone();
        found.extend(
            texts
                .iter()
                .zip(offsets.iter())
                .map(|(text, offset)| (text.unwrap().to_owned(), usize::try_from(offset.unwrap()).unwrap())),
        );
    }
    found
}

#[test]
fn each_record_begins_where_its_field_says_however_batches_are_cut() {
    let multiline =
        MultilineSettings { start: Some("\"o|\"t|\"f".to_owned().try_into().unwrap()), ..Default::default() };
    let groups = FileSettings { multiline: Some(multiline), ..settings(Codec::Lines) };
    for (what, settings) in
        [("lines", settings(Codec::Lines)), ("groups", groups), ("json", settings(Codec::Json))]
    {
        for rows in [1, 2, 3, 100] {
            let found = records(&settings, LINES.as_bytes(), 5_000_000_000, rows);
            assert_eq!(found.len(), 4, "{what}, {rows}: {found:?}");
            for (text, offset) in found {
                let there = &LINES[offset - 5_000_000_000..];
                let is_there = match settings.codec {
                    Codec::Json => there.lines().next().unwrap().contains(&format!("\"{text}\"")),
                    _ => there.starts_with(&text),
                };
                assert!(is_there, "{what}, {rows}: {text:?} at {there:?}");
            }
        }
    }
}

#[test]
fn a_line_of_which_the_first_part_is_kept_has_its_place_too() {
    let mut gather = Gather::new(&settings(Codec::Lines)).unwrap();
    gather.push_cut(b"a long one", At { base: 77, now: Instant::now(), streams: &mut None });
    let (finished, _) = gather.finish(InvalidUtf8::Replace, &Constants::new(), None);
    let offsets = finished.records.column("offset").unwrap().array().as_primitive::<Int64Type>().clone();
    assert_eq!(offsets.values(), &[77]);
}

#[test]
fn a_member_of_that_name_stays_what_it_is() {
    let mut gather = Gather::new(&settings(Codec::Json)).unwrap();
    let chunk = b"{\"offset\":5}\n{\"a\":1}\n";
    gather.append(chunk, &Cut::default(), true, At { base: 100, now: Instant::now(), streams: &mut None });
    let (finished, _) = gather.finish(InvalidUtf8::Replace, &Constants::new(), None);
    let offsets = finished.records.column("offset").unwrap().array().as_primitive::<Int64Type>().clone();
    assert_eq!(offsets.values(), &[5, 113]);
}

#[test]
fn an_offset_that_cannot_be_told_is_refused_by_name() {
    let refused = |settings: &FileSettings| Gather::new(settings).unwrap_err().to_string();
    let same = FileSettings { offset_field: "message".to_owned(), ..Default::default() };
    assert!(refused(&same).contains("which is the field `message` of `message_field`"), "{}", refused(&same));
    let utf16 =
        FileSettings { charset: serde_json::from_str("\"utf-16le\"").unwrap(), ..settings(Codec::Lines) };
    assert!(refused(&utf16).contains("UTF-8"), "{}", refused(&utf16));
    assert!(refused(&settings(Codec::Cri)).contains("not for containers"));
}
