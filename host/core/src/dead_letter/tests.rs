use std::fs;
use std::path::PathBuf;

use arrow_array::{ArrayRef, BinaryArray, StringArray};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::read::{Filter, Letter, letters, list};
use super::replay::{Replayed, Sink, replay};
use super::*;
use crate::batch::Kind;
use crate::batch::builder::Builder;
use crate::batch::constants::Constants;
use crate::batch::decode::{decode_line, decode_lossless_line};
use crate::batch::json::write_string;
use crate::batch::utf8::InvalidUtf8;

const DAY: i64 = 86_400_000_000_000;

struct Bench {
    _dir: tempfile::TempDir,
    folder: PathBuf,
    clock: Clock,
    letters: DeadLetters,
}

fn bench(max_file: u64, max: u64, when_full: WhenFull) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(FOLDER);
    let clock = Clock::fake(0);
    let settings = DeadLetterSettings { max_file_bytes: Bytes(max_file), max_bytes: Bytes(max), when_full };
    let letters = DeadLetters::open_with(&folder, &settings, clock.clone()).unwrap();
    Bench { _dir: dir, folder, clock, letters }
}

impl Bench {
    fn all(&self) -> Vec<Letter> {
        self.some(&Filter::default())
    }

    fn some(&self, filter: &Filter) -> Vec<Letter> {
        let mut all = Vec::new();
        letters(&self.folder, filter, |letter| {
            all.push(letter);
            Ok(true)
        })
        .unwrap();
        all
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|n| !n.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    fn raw(&self, text: &str) {
        self.letters.raw("source", "web", [("not JSON", text.as_bytes())]).unwrap();
    }
}

fn records() -> Records {
    let column = |name: &str, kind: Kind, array: ArrayRef| (Arc::new(kind.field(name)), array);
    let raw: Vec<&[u8]> = vec![b"ok", b"\xff\"\n", b"\xfe"];
    Records::of(
        3,
        vec![
            column(
                "message",
                Kind::Text,
                Arc::new(StringArray::from(vec!["a", "b", "{\"$bytes\":\"/w==\"}"])),
            ),
            column("raw", Kind::Bytes, Arc::new(BinaryArray::from(raw))),
            column(
                "big",
                Kind::Json,
                Arc::new(StringArray::from(vec!["1", "123456789012345678901234567890", "{}"])),
            ),
        ],
        vec![],
    )
    .unwrap()
}

fn cause(row: u32) -> Cause {
    Cause { row, reason: format!("row {row} is too long").into() }
}

#[test]
fn a_letter_says_when_where_and_why_and_keeps_the_bytes() {
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.clock.set(DAY);
    bench.letters.records("output", "lake", &records(), &[cause(0), cause(1)]).unwrap();
    bench.letters.raw("source", "web", [("not \"JSON\"", &b"\xff{"[..])]).unwrap();
    let text = fs::read_to_string(bench.folder.join("letters-00000001.ndjson")).unwrap();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0],
        json!({"time": "1970-01-02T00:00:00Z", "stage": "output", "component": "lake", "reason": "row 0 is too long",
               "record": {"message": "a", "raw": {"$bytes": "b2s="}, "big": 1}})
    );
    assert_eq!(lines[1]["record"]["raw"], json!({"$bytes": STANDARD.encode(b"\xff\"\n")}));
    assert_eq!(lines[2]["reason"], "not \"JSON\"");
    assert_eq!(lines[2]["raw"], json!({"$bytes": STANDARD.encode(b"\xff{")}));
}

#[test]
fn files_are_rotated_and_the_oldest_make_room() {
    let bench = bench(400, 900, WhenFull::KeepNewest);
    for n in 0..40 {
        bench.raw(&format!("letter {n}"));
    }
    let files = bench.files();
    assert!((2..=4).contains(&files.len()), "{files:?}");
    let size = |name: &String| fs::metadata(bench.folder.join(name)).unwrap().len();
    assert!(files.iter().all(|f| size(f) <= 400));
    assert!(files.iter().map(size).sum::<u64>() <= 900);
    assert_eq!(bench.all().last().unwrap().raw.as_ref().unwrap().get(), "\"letter 39\"");
}

#[test]
fn nothing_is_deleted_where_the_settings_say_stop() {
    let bench = bench(200, 300, WhenFull::Stop);
    let mut error = None;
    for n in 0..10 {
        if let Err(e) = bench.letters.raw("source", "web", [("wrong", format!("letter {n}").as_bytes())]) {
            error = Some((n, e));
            break;
        }
    }
    let (refused, error) = error.unwrap();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(error.to_string().contains("max_bytes"), "{error}");
    assert_eq!(bench.all().len(), refused);
    // What was replayed makes room.
    replay(&bench.folder, &Filter::default(), &mut Vec::new()).unwrap();
    bench.raw("again");
    assert_eq!(bench.all().len(), 1);
}

#[test]
fn letters_that_are_put_together_are_written_together_or_not_at_all() {
    let bench = bench(200, 600, WhenFull::Stop);
    let texts: Vec<String> = (0..5).map(|n| format!("letter {n}")).collect();
    let put = || bench.letters.raw("source", "web", texts.iter().map(|text| ("wrong", text.as_bytes())));
    put().unwrap();
    // One write, so that one fsync is enough: apart they would have filled several files.
    assert_eq!(bench.files(), ["letters-00000001.ndjson"]);
    assert_eq!(put().unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(bench.all().len(), 5);
}

#[test]
fn a_folder_that_was_taken_away_is_made_again() {
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.raw("one");
    fs::remove_dir_all(&bench.folder).unwrap();
    fs::write(&bench.folder, "a file in its place").unwrap();
    assert!(bench.letters.raw("source", "web", [("wrong", &b"two"[..])]).is_err());
    fs::remove_file(&bench.folder).unwrap();
    bench.raw("three");
    assert_eq!(bench.all()[0].raw.as_ref().unwrap().get(), "\"three\"");
}

#[test]
fn whoever_waits_for_room_goes_on_when_there_is_some_or_when_all_is_given_up() {
    let health = Arc::default();
    let mut bench = bench(1 << 20, 1, WhenFull::Stop);
    bench.letters = bench.letters.heard_by(&health);
    bench.raw("the first is taken however small the room");
    let put = || bench.letters.raw("source", "web", [("wrong", &b"two"[..])]);
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let count = || {
        tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        put()
    };
    let tried = || tries.load(std::sync::atomic::Ordering::SeqCst);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| bench.letters.until_written("web", count, || false));
        while tried() == 0 || health.down().is_empty() {
            std::thread::yield_now();
        }
        let room = DeadLetterSettings { max_bytes: Bytes(1 << 20), ..DeadLetterSettings::default() };
        bench.letters.configure(&room);
        assert!(waiting.join().unwrap());
    });
    assert!(health.down().is_empty());
    assert_eq!(bench.all().len(), 2);
    bench.letters.configure(&DeadLetterSettings {
        max_bytes: Bytes(1),
        when_full: WhenFull::Stop,
        ..DeadLetterSettings::default()
    });
    bench.letters.give_up();
    assert!(!bench.letters.until_written("web", put, || false));
    assert!(health.down().is_empty());
    assert_eq!(bench.all().len(), 2);
}

#[test]
fn a_line_that_a_crash_cut_off_is_taken_back() {
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.raw("one");
    let path = bench.folder.join("letters-00000001.ndjson");
    let mut text = fs::read(&path).unwrap();
    text.extend_from_slice(&vec![b'x'; 10_000]);
    fs::write(&path, &text).unwrap();
    let letters = DeadLetters::open(&bench.folder).unwrap();
    letters.raw("source", "web", [("wrong", &b"two"[..])]).unwrap();
    assert_eq!(bench.all().len(), 2);
    assert_eq!(bench.files(), ["letters-00000001.ndjson"]);
}

#[test]
fn letters_are_counted_by_cause_and_picked_by_filters() {
    let bench = bench(300, 1 << 20, WhenFull::Stop);
    bench.letters.records("output", "lake", &records(), &[cause(0), cause(1), cause(2)]).unwrap();
    bench.clock.set(DAY);
    bench.raw("x");
    bench.letters.raw("source", "docker", [("a\nb", &b"y"[..])]).unwrap();
    let summary = list(&bench.folder, &Filter::default()).unwrap();
    assert_eq!((summary.letters, summary.broken, summary.groups.len()), (5, 0, 3));
    let first = &summary.groups[0];
    assert_eq!(
        (first.count, first.reason.as_str(), first.component.as_str()),
        (3, "row 0 is too long", "lake")
    );
    assert_eq!(summary.groups[1].newest.to_string(), "1970-01-02T00:00:00Z");
    let count = |filter: Filter| bench.some(&filter).len();
    assert_eq!(count(Filter { stage: Some("source".into()), ..Filter::default() }), 2);
    assert_eq!(count(Filter { component: Some("docker".into()), ..Filter::default() }), 1);
    assert_eq!(count(Filter { reason: Some("too long".into()), ..Filter::default() }), 3);
    let noon = jiff::Timestamp::from_nanosecond(i128::from(DAY / 2)).unwrap();
    assert_eq!(count(Filter { since: Some(noon), ..Filter::default() }), 2);
    assert_eq!(count(Filter { until: Some(noon), ..Filter::default() }), 3);
}

#[test]
fn records_are_replayed_as_they_were() {
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.letters.records("output", "lake", &records(), &[cause(1), cause(2)]).unwrap();
    bench.letters.raw("source", "web", [("wrong", &b"\xffraw"[..])]).unwrap();
    let mut out = Vec::new();
    let done = replay(&bench.folder, &Filter::default(), &mut out).unwrap();
    assert_eq!(done, Replayed { sent: 3, kept: 0, refused: 0, broken: 0 });
    let expected = [
        &b"{\"message\":\"b\",\"raw\":\"\xff\\\"\\u000a\",\"big\":123456789012345678901234567890}\n"[..],
        b"{\"message\":\"{\\\"$bytes\\\":\\\"/w==\\\"}\",\"raw\":\"\xfe\",\"big\":{}}\n",
        b"\xffraw\n",
    ];
    assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected.concat()));
    assert_eq!(out, expected.concat());
    assert!(bench.all().is_empty());
    assert_eq!(replay(&bench.folder, &Filter::default(), &mut out).unwrap(), Replayed::default());
}

#[test]
fn letters_that_the_filter_does_not_take_stay() {
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.letters.records("output", "lake", &records(), &[cause(0)]).unwrap();
    bench.raw("x");
    let filter = Filter { stage: Some("source".into()), ..Filter::default() };
    let mut out = Vec::new();
    assert_eq!(
        replay(&bench.folder, &filter, &mut out).unwrap(),
        Replayed { sent: 1, kept: 1, refused: 0, broken: 0 }
    );
    assert_eq!(out, b"x\n");
    assert_eq!(bench.all()[0].component, "lake");
    let mut out = Vec::new();
    assert_eq!(replay(&bench.folder, &Filter::default(), &mut out).unwrap().sent, 1);
    assert_eq!(fs::read_dir(bench.folder.join("replayed")).unwrap().count(), 2);
}

#[test]
fn letters_written_during_a_replay_are_not_lost() {
    struct Busy<'a>(&'a Bench);
    impl Sink for Busy<'_> {
        fn send(&mut self, _: &[u8]) -> io::Result<()> {
            self.0.raw("new");
            Ok(())
        }
    }
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.raw("old");
    replay(&bench.folder, &Filter::default(), &mut Busy(&bench)).unwrap();
    let left = bench.all();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].raw.as_ref().unwrap().get(), "\"new\"");
}

#[test]
fn letters_that_are_not_meant_do_not_replace_those_written_meanwhile() {
    struct Busy<'a>(&'a Bench, bool);
    impl Sink for Busy<'_> {
        fn send(&mut self, _: &[u8]) -> io::Result<()> {
            self.0.raw("new");
            if self.1 { Err(io::Error::other("down")) } else { Ok(()) }
        }
    }
    let filter = Filter { stage: Some("source".into()), ..Filter::default() };
    for fails in [false, true] {
        let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
        bench.letters.records("output", "lake", &records(), &[cause(0)]).unwrap();
        bench.raw("old");
        assert_eq!(replay(&bench.folder, &filter, &mut Busy(&bench, fails)).is_err(), fails);
        let left: Vec<String> = bench.all().iter().map(|l| l.component.clone()).collect();
        assert_eq!(left, if fails { vec!["lake", "web", "web"] } else { vec!["lake", "web"] });
    }
}

#[test]
fn letters_of_a_replay_that_was_killed_are_seen_and_sent_by_the_next() {
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.raw("one");
    // What a replay leaves that is killed while it sends.
    let file = bench.folder.join("letters-00000001.ndjson");
    fs::rename(&file, file.with_extension("replaying")).unwrap();
    bench.raw("two");
    assert_eq!(bench.all().len(), 2);
    assert_eq!(list(&bench.folder, &Filter::default()).unwrap().letters, 2);
    let mut out = Vec::new();
    assert_eq!(replay(&bench.folder, &Filter::default(), &mut out).unwrap().sent, 2);
    assert_eq!(out, b"one\ntwo\n");
    assert!(bench.all().is_empty());
}

#[test]
fn letters_written_after_a_replay_was_killed_at_its_end_are_not_overwritten_by_the_next() {
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.letters.records("output", "lake", &records(), &[cause(0)]).unwrap();
    bench.raw("sent already");
    // What a replay of the letters of `web` leaves that is killed before it files the others' file away.
    let file = bench.folder.join("letters-00000001.ndjson");
    let text = fs::read_to_string(&file).unwrap();
    fs::rename(&file, file.with_extension("replaying")).unwrap();
    fs::write(&file, format!("{}\n", text.lines().next().unwrap())).unwrap();
    let again = DeadLetters::open(&bench.folder).unwrap();
    again.raw("source", "web", [("not JSON", &b"new"[..])]).unwrap();
    assert_eq!(bench.files(), ["letters-00000001.ndjson", "letters-00000001.replaying"]);

    let mut out = Vec::new();
    let done = replay(&bench.folder, &Filter::default(), &mut out).unwrap();
    assert_eq!(done, Replayed { sent: 2, kept: 0, refused: 0, broken: 0 });
    assert!(out.ends_with(b"\nnew\n"), "{}", String::from_utf8_lossy(&out));
    assert_eq!(fs::read_dir(bench.folder.join("replayed")).unwrap().count(), 2);
}

#[test]
fn nobody_else_may_read_letters() {
    use std::os::unix::fs::PermissionsExt;
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.letters.records("output", "lake", &records(), &[cause(0)]).unwrap();
    bench.raw("x");
    fs::set_permissions(bench.folder.join("letters-00000001.ndjson"), fs::Permissions::from_mode(0o644))
        .unwrap();
    DeadLetters::open(&bench.folder).unwrap();
    let filter = Filter { stage: Some("source".into()), ..Filter::default() };
    replay(&bench.folder, &filter, &mut Vec::new()).unwrap();
    bench.raw("y");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut seen = 0;
    for folder in [bench.folder.clone(), bench.folder.join("replayed")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()) {
            assert_eq!(mode(&entry), 0o600, "{}", entry.display());
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen}");
}

/// Any JSON, with many names and texts that look like bytes do in letters.
fn any_json() -> impl Strategy<Value = Value> {
    let text =
        prop_oneof!["[a$\"{}:\\\\ ]{0,4}", Just("aGk=".to_owned()), Just("{\"$bytes\":\"aGk=\"}".to_owned())];
    let name = prop_oneof!["[$]{0,3}bytes", "[$a.\"\\\\]{0,3}", Just("\u{24}$bytes\":".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from)
    ];
    leaf.prop_recursive(10, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Any record, some with bytes.
fn any_record() -> impl Strategy<Value = (Value, Option<Vec<u8>>)> {
    let members = prop::collection::btree_map("[$]{0,2}(bytes|a)", any_json(), 1..4);
    let object = members.prop_map(|members| Value::Object(members.into_iter().collect()));
    (object, prop::option::of(prop::collection::vec(any::<u8>(), 0..6)))
}

proptest! {
    // Each case waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_record_is_replayed_and_read_back_as_it_was(all in prop::collection::vec(any_record(), 1..6)) {
        let mut builder = Builder::new();
        for (record, bytes) in &all {
            let text = record.to_string();
            match bytes {
                // Bytes that are not UTF-8 stand between quotes as they are.
                Some(bytes) => {
                    let mut line = text.strip_suffix('}').unwrap().as_bytes().to_vec();
                    line.extend_from_slice(b",\"raw\":");
                    write_string(bytes, &mut line);
                    line.push(b'}');
                    decode_line(&mut builder, &line).unwrap();
                }
                None => decode_line(&mut builder, text.as_bytes()).unwrap(),
            }
        }
        let records = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
        let causes: Vec<Cause> = (0..all.len() as u32).map(cause).collect();
        let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
        bench.letters.records("output", "lake", &records, &causes).unwrap();
        for line in fs::read_to_string(bench.folder.join("letters-00000001.ndjson")).unwrap().lines() {
            prop_assert!(serde_json::from_str::<Value>(line).is_ok(), "{}", line);
        }
        let mut out = Vec::new();
        replay(&bench.folder, &Filter::default(), &mut out).unwrap();
        for line in out.split_inclusive(|b| *b == b'\n') {
            decode_line(&mut builder, line).unwrap();
        }
        let again = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
        let lossless = |records: &Records| String::from_utf8(ndjson_lossless(records).text.to_vec()).unwrap();
        prop_assert_eq!(lossless(&again), lossless(&records));
        prop_assert_eq!(&again.ndjson().text, &records.ndjson().text);

        // And by the decoder that knows such text itself.
        for line in lossless(&records).split_inclusive('\n') {
            decode_lossless_line(&mut builder, line.as_bytes()).unwrap();
        }
        let again = builder.finish(InvalidUtf8::Bytes, &Constants::new()).records;
        prop_assert_eq!(&again.ndjson().text, &records.ndjson().text);
    }
}

#[test]
fn two_replays_do_not_run_at_once() {
    struct Second<'a>(&'a Path);
    impl Sink for Second<'_> {
        fn send(&mut self, _: &[u8]) -> io::Result<()> {
            replay(self.0, &Filter::default(), &mut Vec::new()).map(drop)
        }
    }
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.raw("one");
    let error = replay(&bench.folder, &Filter::default(), &mut Second(&bench.folder)).unwrap_err();
    assert_eq!(error.to_string(), "another replay is under way");
    assert_eq!(bench.all().len(), 1);
}

#[test]
fn letters_go_back_when_sending_them_fails() {
    struct Down;
    impl Sink for Down {
        fn send(&mut self, _: &[u8]) -> io::Result<()> {
            Err(io::Error::other("down"))
        }
    }
    let bench = bench(1 << 20, 1 << 20, WhenFull::Stop);
    bench.raw("x");
    assert_eq!(replay(&bench.folder, &Filter::default(), &mut Down).unwrap_err().to_string(), "down");
    assert_eq!(bench.all().len(), 1);
    bench.raw("y");
    assert_eq!(bench.all().len(), 2);
}
