use std::collections::BTreeSet;

use flitch_tests::flitch::Flitch;
use flitch_tests::servers::consumer::read_count;
use flitch_tests::servers::kafka::Kafka;
use flitch_tests::wait::eventually;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::*;

/// The lines of the file that the output `out` writes.
fn lines(flitch: &Flitch) -> Vec<String> {
    let text = std::fs::read_to_string(flitch.at("out.ndjson")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn an_output_of_best_effort_that_is_down_sends_nothing_again_to_a_healthy_one() {
    const LINES: usize = 30_000;
    let config = format!(
        "drain_timeout: 2s\nsources:\n  in: {}\noutputs:\n  out: {{ type: file, path: \"{{dir}}/out.ndjson\" }}\n  lossy: {{ \
         type: kafka, brokers: [\"127.0.0.1:1\"], topic: nowhere, best_effort: true, buffer: {{ max_bytes: 1MiB }}, options: \
         {{ log_level: \"0\" }} }}\npipelines:\n  main: {{ from: [in], to: [lossy, out] }}\n",
        file_source("app.log")
    );
    let mut flitch = Flitch::new(FLITCH, &config);
    append(&flitch.at("app.log"), 0..LINES);
    flitch.run();
    eventually("the healthy output has all", DEADLINE, || lines(&flitch).len() == LINES);
    let metrics = flitch.metrics();
    let sums = metrics.sums();
    assert!(sums.hold() && sums.in_flight > 0 && sums.returned == 0, "{sums}");
    assert!(metrics.count("flitch_records_dropped_total", &[("route", "lossy")]) > 0, "{sums}");
    log_says(&flitch, "the buffer is full; records are dropped");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    assert!(flitch.log().contains("what is not delivered is dropped and counted"), "{}", flitch.log());

    flitch.run();
    append(&flitch.at("app.log"), LINES..LINES + 10);
    eventually("the lines of the second start", DEADLINE, || lines(&flitch).len() >= LINES + 10);
    let sums = flitch.metrics().sums();
    assert_eq!((sums.received, lines(&flitch).len()), (10, LINES + 10), "{sums}");
    let distinct: BTreeSet<String> = lines(&flitch).into_iter().collect();
    assert_eq!(distinct.len(), LINES + 10);
}

#[test]
fn the_lines_of_a_file_go_on_byte_for_byte_to_messages_and_files_and_into_csv() {
    let kafka = Kafka::shared();
    kafka.create_topic("outputs-as-it-stood", 1).unwrap();
    let config = format!(
        "sources:\n  in: {{ type: file, include: [\"{{dir}}/app.log\"], read_from: beginning, invalid_utf8: bytes }}\n\
         outputs:\n  topic: {{ type: kafka, brokers: [\"{}\"], topic: outputs-as-it-stood, \
         encoding: {{ format: text, field: message }} }}\n  copy: {{ type: file, path: \"{{dir}}/copy.log\", encoding: \
         {{ format: text, field: message }} }}\n  table: {{ type: file, path: \"{{dir}}/out.csv\", encoding: {{ format: csv, \
         columns: [\"@tag\", message] }} }}\npipelines:\n  main: {{ from: [in], to: [topic, copy, table] }}\n",
        kafka.bootstrap()
    );
    let mut flitch = Flitch::new(FLITCH, &config);
    let lines: [&[u8]; 4] =
        [b"plain", b"a \"quoted\", \xff\xfe one", b" {\"json\": [1]} ", "\u{e4}\t".as_bytes()];
    let text = lines.map(|line| [line, b"\n"].concat()).concat();
    std::fs::write(flitch.at("app.log"), &text).unwrap();
    flitch.run();
    let seen = read_count(&kafka.bootstrap(), "outputs-as-it-stood", lines.len(), DEADLINE).unwrap();
    assert_eq!(seen.iter().map(|message| &message.value[..]).collect::<Vec<_>>(), lines);
    let sums = flitch.settled_after(lines.len() as u64, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (12, 0), "{sums}");
    assert_eq!(std::fs::read(flitch.at("copy.log")).unwrap(), text);
    let table = std::fs::read(flitch.at("out.csv")).unwrap();
    assert!(
        table.starts_with(b"@tag,message\nin,plain\nin,\"a \"\"quoted\"\", \xff\xfe one\"\n"),
        "{table:?}"
    );
}

#[test]
fn an_output_to_many_files_goes_on_where_the_system_allows_few() {
    let source = file_source("app.log").replace("type: file", "type: file, codec: json");
    let output = "out: { type: file, path: \"{dir}/out/{name}.ndjson\" }";
    let mut flitch = Flitch::start(FLITCH, &pipeline(&source, &[], output));
    let few = Rlimit { current: Some(80), maximum: Some(80) };
    prlimit(Pid::from_raw(flitch.pid() as i32), Resource::Nofile, few).unwrap();
    let text: String = (0..900).map(|n| format!("{{\"name\":{},\"n\":{n}}}\n", n % 300)).collect();
    std::fs::write(flitch.at("app.log"), text).unwrap();
    let sums = flitch.settled_after(900, DEADLINE);
    assert_eq!((sums.delivered, sums.returned), (900, 0), "{}", flitch.log());
    let files: Vec<_> =
        std::fs::read_dir(flitch.at("out")).unwrap().map(|file| file.unwrap().path()).collect();
    let lines = |file: &std::path::PathBuf| std::fs::read_to_string(file).unwrap().lines().count();
    assert_eq!((files.len(), files.iter().map(lines).sum::<usize>()), (300, 900));
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}
