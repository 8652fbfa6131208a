//! Random files, written and read in random cuts: the same records as at once, and from each safe position the rest.

use proptest::prelude::*;

use super::super::super::rig::{Rig, ms, s};
use super::super::super::settings::{Codec, FileSettings, MultilineSettings};
use flitch_core::units::Span;

/// What a file is made of, and what reads it.
#[derive(Clone, Debug)]
struct Case {
    codec: Codec,
    multiline: bool,
    charset: &'static str,
    mark: bool,
    /// One entry per line: its text, its end, and NULs before it.
    lines: Vec<Line>,
    /// The last line has no end.
    open: bool,
}

#[derive(Clone, Debug)]
struct Line {
    nuls: usize,
    text: String,
    /// For containers: which stream, and whether the line goes on.
    is_err: bool,
    is_piece: bool,
    /// For JSON: no object.
    is_bad: bool,
    end: &'static str,
}

const LIMIT: u64 = 24;

fn line() -> impl Strategy<Value = Line> {
    let text = prop_oneof![
        4 => "[ab é\u{a0a}]{0,9}",
        2 => " [xy]{0,6}",
        1 => "[ab é\u{a0a}]{20,60}",
        1 => Just(String::new()),
    ];
    let nuls = prop_oneof![6 => Just(0usize), 1 => 1..20usize];
    let end = prop::sample::select(vec!["\n", "\n", "\r\n"]);
    (nuls, text, any::<bool>(), prop::bool::weighted(0.4), prop::bool::weighted(0.2), end).prop_map(
        |(nuls, text, is_err, is_piece, is_bad, end)| Line { nuls, text, is_err, is_piece, is_bad, end },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let codec = prop::sample::select(vec![Codec::Lines, Codec::Json, Codec::Cri, Codec::DockerJson]);
    let charset = prop::sample::select(vec!["utf-8", "utf-16le", "utf-16be", "gb18030"]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (codec, charset, flags, prop::collection::vec(line(), 0..25)).prop_map(
        |(codec, charset, (multiline, mark, open), lines)| {
            let is_container = matches!(codec, Codec::Cri | Codec::DockerJson);
            Case {
                codec,
                multiline: multiline && codec != Codec::Json,
                charset: if is_container { "utf-8" } else { charset },
                mark: mark || (!is_container && charset.starts_with("utf-16")),
                lines,
                open,
            }
        },
    )
}

impl Case {
    fn text(&self) -> String {
        let mut text = String::new();
        for (number, line) in self.lines.iter().enumerate() {
            text.push_str(&"\0".repeat(line.nuls));
            let stream = if line.is_err { "stderr" } else { "stdout" };
            match self.codec {
                Codec::Lines => text.push_str(&line.text),
                Codec::Json | Codec::DockerJson if line.is_bad => text.push_str(line.text.trim_start()),
                Codec::Json => text.push_str(&serde_json::json!({"message": line.text}).to_string()),
                Codec::Cri if line.is_bad => text.push_str("2020"),
                Codec::Cri => {
                    let tag = if line.is_piece { "P" } else { "F" };
                    text.push_str(&format!("2020-01-31T10:00:{number:02}.5Z {stream} {tag} {}", line.text));
                }
                Codec::DockerJson => {
                    let end = if line.is_piece { "" } else { "\\n" };
                    text.push_str(&format!(
                        "{{\"log\":\"{}{end}\",\"stream\":\"{stream}\",\"time\":\"2020-01-31T10:00:{number:02}.5Z\"}}",
                        line.text
                    ));
                }
            }
            if !self.open || number + 1 < self.lines.len() {
                text.push_str(line.end);
            }
        }
        text
    }

    fn bytes(&self) -> Vec<u8> {
        let mark = if self.mark { "\u{feff}" } else { "" };
        let text = format!("{mark}{}", self.text());
        match self.charset {
            "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            "gb18030" => encoding_rs::GB18030.encode(&self.text()).0.into_owned(),
            _ => text.into_bytes(),
        }
    }

    fn settings(&self, include: &FileSettings) -> FileSettings {
        let mut settings = include.clone();
        settings.codec = self.codec;
        settings.max_line.0 = LIMIT;
        if self.charset == "gb18030" {
            settings.charset = "gb18030".to_owned().try_into().unwrap();
        }
        let long = Span(s(60));
        settings.partial_timeout = long;
        if self.multiline {
            let start = Some("^[^ ]".to_owned().try_into().unwrap());
            settings.multiline =
                Some(MultilineSettings { start, timeout: long, max_lines: 4, ..Default::default() });
        }
        settings
    }
}

/// A rig that reads in pieces and batches of these sizes.
fn rig(case: &Case, piece: usize, rows: usize) -> Rig {
    let mut rig = Rig::new();
    rig.settings = case.settings(&rig.settings);
    rig.cx.cut.rows = rows;
    start(&mut rig, piece);
    rig
}

fn start(rig: &mut Rig, piece: usize) {
    rig.start();
    rig.tailer.as_mut().expect("it runs").reader.piece = piece;
}

/// What came out, each record on a line of its own, and how many lines were none.
fn records(rig: &mut Rig) -> (Vec<String>, u64) {
    let records =
        rig.got.drain(..).map(|got| format!("{}{}", got.line, if got.truncated { "…" } else { "" }));
    (records.collect(), rig.accounts().dead_lettered)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_file_in_any_cuts_gives_the_records_that_it_gives_at_once(
        case in case(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8), 0..12),
        piece in prop::sample::select(vec![2usize, 6, 16, 64, 256 << 10]),
        rows in prop::sample::select(vec![1usize, 2, 3, 1024]),
    ) {
        let bytes = case.bytes();
        let mut whole = rig(&case, 256 << 10, 1024);
        whole.append("a.log", &bytes);
        whole.pass(s(70));
        let want = records(&mut whole);

        let mut rig = rig(&case, piece, rows);
        let mut cuts: Vec<_> = cuts.iter().map(|(at, then)| (at.index(bytes.len() + 1), *then)).collect();
        cuts.sort_unstable();
        let mut written = 0;
        for (at, then) in cuts {
            rig.append("a.log", &bytes[written..at]);
            written = at;
            // Somebody may look at the file between two writes, and flitch may start again.
            match then {
                0 => {}
                1 | 2 => rig.pass(ms(1_100)),
                _ => {
                    rig.pass(ms(1_100));
                    rig.stop();
                    start(&mut rig, piece);
                }
            }
        }
        rig.append("a.log", &bytes[written..]);
        rig.pass(s(70));
        prop_assert_eq!(&records(&mut rig), &want);
        prop_assert_eq!(rig.accounts().in_flight(), 0);
        rig.stop();
        start(&mut rig, piece);
        rig.pass(s(70));
        prop_assert_eq!(records(&mut rig).0, Vec::<String>::new(), "what is sent does not come again");
        rig.remove("a.log");
        rig.pass(s(15));
        prop_assert!(rig.tailer.as_ref().expect("it runs").tails.is_empty(), "the file is let go");
    }
}
