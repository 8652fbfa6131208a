use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::{Array, types::TimestampNanosecondType};

use super::super::{At, Container, Format};
use super::*;
use crate::file::gather::{Bad, Groups};
use crate::file::settings::MultilineSettings;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Cut, Records};

const WAIT: Duration = Duration::from_secs(5);

struct File {
    container: Container,
    streams: Option<Box<Streams>>,
    at: u64,
    now: Instant,
    bad: Vec<Bad>,
}

impl File {
    fn new(longest: usize, start: Option<&str>) -> File {
        let groups = start.map(|start| {
            let start = Some(start.to_owned().try_into().unwrap());
            let settings = MultilineSettings { start, max_lines: 3, ..Default::default() };
            (Groups::new(&settings).unwrap(), WAIT / 5)
        });
        let container = Container::new(Format::Cri, "message", longest, WAIT, groups);
        File { container, streams: None, at: 0, now: Instant::now(), bad: Vec::new() }
    }

    /// Takes lines, of which each is `o` or `e` for the stream, `P` or `F`, and the text.
    fn take(&mut self, lines: &[&str]) {
        for line in lines {
            let stream = if line.starts_with('o') { "stdout" } else { "stderr" };
            let line =
                format!("2020-01-31T10:00:{:02}Z {stream} {} {}\n", self.at % 60, &line[1..2], &line[2..]);
            let at = At { base: self.at, now: self.now, streams: &mut self.streams };
            let taken = self.container.append(line.as_bytes(), &Cut::default(), 1 << 20, at, &mut self.bad);
            assert_eq!(taken, line.len());
            self.at += taken as u64;
        }
    }

    fn end(&mut self, all: bool) {
        if let Some(streams) = &mut self.streams {
            self.container.end(streams, all, self.now);
        }
    }

    fn position(&self) -> Position {
        self.streams.as_ref().unwrap().position(self.at)
    }

    fn records(&mut self) -> Records {
        assert!(self.bad.is_empty());
        let constants = Constants::new().timestamp("@timestamp", 1).text("file", "f");
        self.container.entries_mut().finish(InvalidUtf8::Replace, &constants).records
    }

    fn texts(&mut self) -> Vec<String> {
        let records = self.records();
        let texts = records.column("message").unwrap().array().as_string::<i32>().clone();
        let cut = records.column("@truncated").map(|c| c.array().clone());
        (0..records.rows())
            .map(|row| match &cut {
                Some(cut) if cut.is_valid(row) => format!("{}…", texts.value(row)),
                _ => texts.value(row).to_owned(),
            })
            .collect()
    }
}

const LINE: u64 = "2020-01-31T10:00:00Z stdout P aaa\n".len() as u64;

#[test]
fn pieces_are_joined_whatever_comes_between() {
    let mut file = File::new(100, None);
    file.take(&["oPaaa", "eFxxx", "oPbbb", "ePyyy", "oFccc", "eFzzz", "oFddd"]);
    let records = file.records();
    let times =
        records.column("@timestamp").unwrap().array().as_primitive::<TimestampNanosecondType>().clone();
    let seconds: Vec<_> = times.values().iter().map(|ns| (ns / 1_000_000_000) % 60).collect();
    let first = |line: u64| (line * LINE % 60) as i64;
    assert_eq!(seconds, [first(1), first(0), first(3), first(6)], "a record has the time of its first piece");
    let streams = records.column("stream").unwrap().array().as_string::<i32>().clone();
    assert_eq!(streams.iter().flatten().collect::<Vec<_>>(), ["stderr", "stdout", "stderr", "stdout"]);
    assert!(records.constants().schema().fields().iter().all(|field| field.name() != "@timestamp"));
}

#[test]
fn a_stream_that_all_records_have_stands_once() {
    let mut file = File::new(100, None);
    file.take(&["oFaaa", "oFbbb"]);
    let records = file.records();
    assert!(records.constants().schema().field_with_name("stream").is_ok());
    assert_eq!(records.columns().num_columns(), 2);
}

#[test]
fn a_position_passes_no_open_record_of_its_stream() {
    let mut file = File::new(100, None);
    file.take(&["oPaaa", "eFxxx", "ePyyy", "oFbbb"]);
    let place = file.position();
    assert_eq!(place, Position { offset: 2 * LINE, streams: [4 * LINE, 2 * LINE, 4 * LINE, 4 * LINE] });
    assert_eq!(file.texts(), ["xxx", "aaabbb"]);
    // Another process goes on at that place.
    file.streams = Some(Box::new(Streams::at(place)));
    file.at = place.offset;
    file.take(&["ePyyy", "oFbbb", "eFzzz", "oFccc"]);
    assert_eq!(file.texts(), ["yyyzzz", "ccc"], "what was sent does not come again");
    assert_eq!(file.position(), Position::at(6 * LINE));
}

#[test]
fn a_line_longer_than_the_limit_is_several_records_that_are_marked_but_the_last() {
    let mut file = File::new(6, None);
    file.take(&["oPaaa", "oPbbb", "oPccc", "oFddd", "oFeeeeeeeee"]);
    assert_eq!(file.texts(), ["aaabbb…", "cccddd", "eeeeee…"]);
}

#[test]
fn a_line_without_its_last_piece_comes_out_after_a_time() {
    let mut file = File::new(100, None);
    file.take(&["oPaaa"]);
    file.now += WAIT / 2;
    file.take(&["oPbbb", "ePxxx"]);
    file.now += WAIT - Duration::from_millis(1);
    file.end(false);
    assert!(file.texts().is_empty());
    file.now += Duration::from_millis(1);
    file.end(false);
    assert_eq!(file.texts(), ["aaabbb", "xxx"]);
    file.take(&["oPaaa"]);
    file.end(true);
    assert_eq!(file.texts(), ["aaa"]);
    assert_eq!(file.position(), Position::at(file.at));
}

#[test]
fn lines_of_each_stream_make_records_after_their_pieces_are_joined() {
    let mut file = File::new(100, Some("^[A-Z]"));
    file.take(&["oFOne", "eFErr", "oP a", "oFt x", "eF at y", "oF at z"]);
    let second = file.at;
    file.take(&["oPTw", "oFo", "eFOther"]);
    assert_eq!(file.texts(), ["One\n at x\n at z", "Err\n at y"]);
    assert_eq!(file.position().offset, second, "a record stands where its first line does");
    file.take(&["oF1", "oF2", "oF3"]);
    assert_eq!(file.texts(), ["Two\n1\n2"], "and has no more lines than it may");
    file.now += WAIT / 5;
    file.end(false);
    assert_eq!(file.texts(), ["Other", "3"]);
}

#[test]
fn records_of_several_lines_stay_within_the_limit() {
    let mut file = File::new(8, Some("^[A-Z]"));
    file.take(&["oFOne", "oF 45678", "oFTwo", "oP 45", "oP67", "oF8901", "oFThree"]);
    file.end(true);
    assert_eq!(file.texts(), ["One", " 45678", "Two", " 4567…", "8901", "Three"]);
}

#[test]
fn what_all_files_hold_open_is_bounded() {
    let mut file = File::new(OPEN_BYTES, None);
    let total = file.container.rules.total.clone();
    let piece = format!("oP{}", "x".repeat(1000));
    file.take(&[&piece, "ePyyy"]);
    assert_eq!(total.bytes.load(Ordering::Relaxed), 1003);
    total.bytes.fetch_add(OPEN_LINES * OPEN_BYTES - 1500, Ordering::Relaxed);
    file.take(&[&piece, &piece, "eFzzz"]);
    let texts = file.texts();
    let lengths: Vec<_> = texts.iter().map(|text| text.chars().count()).collect();
    assert_eq!(lengths, [1001, 1001, 6], "the third piece has the room of the first");
    file.streams = None;
    assert_eq!(total.bytes.load(Ordering::Relaxed), OPEN_LINES * OPEN_BYTES - 1500);
}
