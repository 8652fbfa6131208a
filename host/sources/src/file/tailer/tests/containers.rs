//! Files of container runtimes.

use super::super::super::rig::{Rig, Settle, ms, s};
use super::super::super::settings::{Codec, MultilineSettings};

fn rig(codec: Codec) -> Rig {
    let mut rig = Rig::new();
    rig.settings.codec = codec;
    rig
}

/// `<second> <stream> <tag> <text>` of a minute, as containerd writes it.
fn cri(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("2020-01-31T10:00:{line}\n")).collect()
}

fn docker(log: &str, stream: &str, second: &str) -> String {
    format!("{{\"log\":\"{log}\",\"stream\":\"{stream}\",\"time\":\"2020-01-31T10:00:{second}Z\"}}\n")
}

#[test]
fn lines_of_containerd_have_their_own_times_and_their_pieces_are_joined() {
    let mut rig = rig(Codec::Cri);
    let lines = [
        "00.1Z stdout P aaa",
        "00.1Z stderr F other",
        "00.2Z stdout P bbb",
        "00.3Z stdout F ccc",
        "01Z stdout F x",
    ];
    rig.append("a.log", cri(&lines));
    rig.start();
    rig.settle_down();
    assert_eq!(
        rig.lines(),
        [
            "stderr 2020-01-31T10:00:00.1Z other",
            "stdout 2020-01-31T10:00:00.1Z aaabbbccc",
            "stdout 2020-01-31T10:00:01Z x"
        ]
    );
}

#[test]
fn lines_of_docker_have_their_own_times_and_their_pieces_are_joined() {
    let mut rig = rig(Codec::DockerJson);
    let lines = [
        docker("a\\\"a", "stdout", "00.1"),
        docker("other\\n", "stderr", "00.1"),
        docker("b\\n", "stdout", "00.2"),
    ];
    rig.append("a.log", lines.concat());
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["stderr 2020-01-31T10:00:00.1Z other", "stdout 2020-01-31T10:00:00.1Z a\"ab"]);
}

#[test]
fn what_docker_was_told_to_add_stands_below_attrs() {
    let mut rig = rig(Codec::DockerJson);
    rig.settle = Settle::Hold;
    let with = "{\"log\":\"one\\n\",\"stream\":\"stdout\",\"attrs\":{\"tag\":\"web\",\"a.b\":\"c\"},\"time\":\"2020-01-31T10:00:00Z\"}\n";
    rig.append("a.log", docker("zero\\n", "stdout", "00") + with + &docker("two\\n", "stdout", "00"));
    rig.start();
    rig.settle_down();
    let text = rig.held[0].records.ndjson();
    let rows: Vec<serde_json::Value> =
        (0..3).map(|row| serde_json::from_slice(text.row(row)).unwrap()).collect();
    assert_eq!(rows[1]["attrs"], serde_json::json!({"tag": "web", "a.b": "c"}));
    assert_eq!(rows[1]["message"], "one");
    assert!(rows[0].get("attrs").is_none() && rows[2].get("attrs").is_none());
}

#[test]
fn a_last_piece_comes_out_after_a_time_and_holds_no_file() {
    let mut rig = rig(Codec::Cri);
    rig.append("a.log", cri(&["00Z stdout P half", "00Z stderr F err"]));
    rig.start();
    rig.pass(s(4));
    assert_eq!(rig.lines(), ["stderr 2020-01-31T10:00:00Z err"]);
    // The other stream goes on, and the file is never quiet.
    for _ in 0..10 {
        rig.append("a.log", cri(&["01Z stderr F err"]));
        rig.pass(ms(300));
    }
    let lines = rig.lines();
    assert_eq!(lines.iter().filter(|line| line.ends_with("half")).count(), 1, "{lines:?}");
    rig.append("a.log", cri(&["02Z stdout P end"]));
    rig.pass(s(1));
    rig.remove("a.log");
    rig.pass(s(15));
    assert_eq!(rig.lines(), ["stdout 2020-01-31T10:00:02Z end"]);
    assert!(rig.tailer.as_ref().unwrap().tails.is_empty());
}

#[test]
fn a_piece_that_is_not_complete_is_whole_after_a_restart_and_nothing_comes_twice() {
    let mut rig = rig(Codec::Cri);
    rig.append(
        "a.log",
        cri(&["00Z stdout P aaa", "00Z stderr P xxx", "00Z stdout F bbb", "00Z stderr P yyy"]),
    );
    rig.start();
    rig.settle_down();
    assert_eq!(rig.lines(), ["stdout 2020-01-31T10:00:00Z aaabbb"]);
    rig.stop();
    rig.append("a.log", cri(&["00Z stdout F ccc", "00Z stderr F zzz"]));
    rig.start();
    rig.pass(s(1));
    assert_eq!(rig.lines(), ["stdout 2020-01-31T10:00:00Z ccc", "stderr 2020-01-31T10:00:00Z xxxyyyzzz"]);
}

#[test]
fn pieces_whose_record_came_back_are_read_again() {
    let mut rig = rig(Codec::Cri);
    rig.append("a.log", cri(&["00Z stdout P aaa", "00Z stderr F x", "00Z stdout F bbb"]));
    rig.settle = Settle::Again;
    rig.start();
    rig.pass(ms(500));
    rig.lines();
    rig.settle = Settle::Delivered;
    rig.pass(s(3));
    assert_eq!(rig.lines(), ["stderr 2020-01-31T10:00:00Z x", "stdout 2020-01-31T10:00:00Z aaabbb"]);
}

#[test]
fn traces_of_a_container_are_joined_after_their_pieces() {
    for codec in [Codec::Cri, Codec::DockerJson] {
        let mut rig = rig(codec);
        let start = Some("^[A-Z]".to_owned().try_into().unwrap());
        rig.settings.multiline = Some(MultilineSettings { start, ..Default::default() });
        rig.append(
            "a.log",
            match codec {
                Codec::Cri => cri(&[
                    "00Z stdout F Boom",
                    "00Z stderr F Err",
                    "01Z stdout P  at ",
                    "01Z stdout F x",
                    "02Z stdout F Next",
                ]),
                _ => [
                    docker("Boom\\n", "stdout", "00"),
                    docker("Err\\n", "stderr", "00"),
                    docker(" at ", "stdout", "01"),
                    docker("x\\n", "stdout", "01"),
                    docker("Next\\n", "stdout", "02"),
                ]
                .concat(),
            },
        );
        rig.start();
        rig.pass(ms(500));
        assert_eq!(rig.lines(), ["stdout 2020-01-31T10:00:00Z Boom\n at x"]);
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["stderr 2020-01-31T10:00:00Z Err", "stdout 2020-01-31T10:00:02Z Next"]);
    }
}

#[test]
fn lines_that_no_runtime_wrote_go_to_the_dead_letters() {
    for (codec, says) in
        [(Codec::Cri, "it begins with no RFC 3339 time"), (Codec::DockerJson, "it is no JSON object")]
    {
        let mut rig = rig(codec);
        let good = match codec {
            Codec::Cri => cri(&["00Z stdout F x"]),
            _ => docker("x\\n", "stdout", "00"),
        };
        rig.append("a.log", format!("plain text\n\r\n{good}"));
        rig.start();
        rig.pass(s(1));
        assert_eq!(rig.lines(), ["stdout 2020-01-31T10:00:00Z x"]);
        assert_eq!(rig.accounts().dead_lettered, 1);
        let mut letters = Vec::new();
        flitch_core::dead_letter::read::letters(
            &rig.dir.path().join("dead"),
            &Default::default(),
            |letter| {
                letters.push(letter.reason);
                Ok(true)
            },
        )
        .unwrap();
        assert!(letters[0].contains(says) && letters[0].contains("a.log"), "{letters:?}");
    }
}

#[test]
fn a_line_of_a_container_that_is_too_long_is_cut_or_a_dead_letter() {
    let long = "x".repeat(900_000);
    let mut cri_rig = rig(Codec::Cri);
    cri_rig.settings.max_line.0 = 1_000;
    cri_rig.append("a.log", cri(&[&format!("00Z stdout F {long}"), "01Z stdout F y"]));
    cri_rig.start();
    cri_rig.pass(s(1));
    let got: Vec<_> = cri_rig.got.drain(..).map(|got| (got.line.len(), got.truncated)).collect();
    assert_eq!(got, [(28 + 1_000, true), (28 + 1, false)]);
    let mut rig = rig(Codec::DockerJson);
    rig.settings.max_line.0 = 1_000;
    rig.append(
        "a.log",
        docker(&format!("{long}\\n"), "stdout", "00")
            + &docker(&format!("{}\\n", &long[..2_000]), "stdout", "01"),
    );
    rig.start();
    rig.pass(s(1));
    let got: Vec<_> = rig.got.drain(..).map(|got| (got.line.len(), got.truncated)).collect();
    assert_eq!((got, rig.accounts().dead_lettered), (vec![(28 + 1_000, true)], 1));
}
