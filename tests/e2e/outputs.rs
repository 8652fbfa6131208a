use std::collections::BTreeSet;

use flitch_tests::flitch::Flitch;
use flitch_tests::wait::eventually;

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
    assert!(flitch.log().contains("the buffer is full; records are dropped"), "{}", flitch.log());
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
