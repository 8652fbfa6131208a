use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flitch_tests::accounting::Sample;
use flitch_tests::flitch::Flitch;
use flitch_tests::fluent::OneByOne;
use flitch_tests::http_server::{Reply, Server};
use flitch_tests::process::Signal;
use flitch_tests::servers::mock_kafka::MockKafka;
use flitch_tests::wait::{eventually, poll};
use flitch_tests::{http, ports};

use crate::support::*;

/// Reloads of each kind.
const TURNS: usize = 3;
/// Lines that each file gets before a reload.
const LINES: usize = 400;
/// Where the numbers of each sender begin.
const FILES: [(&str, usize); 2] = [("a.log", 0), ("b.log", 2_000_000)];
const FORWARD: usize = 4_000_000;
const WEB: usize = 6_000_000;

/// What changes at a reload. `turn` makes each change another one.
const KINDS: [fn(&str, usize) -> String; 9] = [
    // A filter has other settings.
    |base, turn| base.replace("turn: 0", &format!("turn: {}", turn + 1)),
    // A pipeline has other threads.
    |base, turn| base.replace("workers: 2", &format!("workers: {}", 3 + turn % 2)),
    // The output with the order is replaced,
    |base, turn| base.replace("max_bytes: 8MiB", &format!("max_bytes: {}MiB", 9 + turn)),
    // and the slow one.
    |base, turn| base.replace("linger: 5ms", &format!("linger: {}ms", 6 + turn)),
    // All sources start again.
    |base, turn| base.replace("rows: 100", &format!("rows: {}", 50 + turn)),
    // The files are read by another pipeline.
    |base, _| base.replace("from: [files, fwd, web]", "from: [fwd, web]") + SPARE,
    // No pipeline has the name of before, and no worker runs.
    |base, turn| base.replace("  main:", &format!("  main{turn}:")).replace("filters: [mark]", "filters: []"),
    // One source has other settings.
    |base, turn| base.replace("poll_interval: 50ms", &format!("poll_interval: {}ms", 51 + turn)),
    // Nothing of it is right.
    |base, _| base.replace("to: [disk, slow]", "to: [disk, slow, nowhere]"),
];

const SPARE: &str = "  spare: { from: [files], filters: [mark], to: [disk, slow] }\n";

fn base(forward: u16, web: SocketAddr, brokers: &str) -> String {
    let files = file_source("{a,b}.log");
    let slow = kafka_output(brokers, "reload")
        .replace("type: kafka,", "type: kafka, linger: 5ms, buffer: { max_bytes: 64KiB },");
    let slow = slow.replacen("out:", "slow:", 1);
    format!(
        "batch: {{ rows: 100 }}\nsources:\n  files: {files}\n  fwd: {{ type: forward, listen: \"127.0.0.1:{forward}\" }}\n  \
         web: {{ type: http, listen: \"{web}\" }}\nfilters:\n  mark: {{ plugin: set, settings: {{ set: {{ turn: 0 }} }} }}\n\
         outputs:\n  disk: {{ type: file, path: \"{{dir}}/out.ndjson\", buffer: {{ max_bytes: 8MiB }} }}\n  {slow}\n\
         pipelines:\n  main: {{ from: [files, fwd, web], filters: [mark], workers: 2, to: [disk, slow] }}\n"
    )
}

/// Sends numbered records until it is `done`, with the answer to each; counts those that were acknowledged.
fn keep_sending(done: &AtomicBool, mut send: impl FnMut(usize) -> bool) -> usize {
    let mut acknowledged = 0;
    while !done.load(Ordering::Relaxed) {
        // While its source starts again nobody is there.
        eventually("an answer", DEADLINE, || send(acknowledged));
        acknowledged += 1;
    }
    acknowledged
}

#[test]
fn reloads_of_every_kind_lose_nothing_and_keep_the_order_of_files() {
    let mock = MockKafka::start(1).unwrap();
    mock.create_topic("reload", 1, 1).unwrap();
    mock.delay(1, Duration::from_millis(40)).unwrap();
    let (forward, web) = (ports::free(), SocketAddr::from(([127, 0, 0, 1], ports::free())));
    let base = base(forward, web, &mock.bootstrap());
    let mut flitch = Flitch::start(FLITCH, &base);
    let done = AtomicBool::new(false);
    let mut lines = 0;
    let (by_forward, by_http) = std::thread::scope(|scope| {
        let by_forward = scope.spawn(|| {
            let mut client = OneByOne::connect(forward).unwrap();
            keep_sending(&done, |n| {
                let sent = client.send(&line(FORWARD + n));
                sent.is_ok() || (client.reconnect(forward).is_ok() && client.send(&line(FORWARD + n)).is_ok())
            })
        });
        let by_http = scope.spawn(|| {
            keep_sending(&done, |n| {
                let answer = http::post(web, "/", &[], line(WEB + n).as_bytes());
                answer.is_ok_and(|answer| answer.status == 200)
            })
        });
        let mut generation = flitch.status()["generation"].as_u64().unwrap();
        for turn in 0..TURNS {
            for (number, kind) in KINDS.iter().enumerate() {
                for (file, first) in FILES {
                    append(&flitch.at(file), first + lines..first + lines + LINES);
                }
                lines += LINES;
                flitch.configure(&kind(&base, turn));
                flitch.signal(Signal::Hup);
                let is_wrong = number + 1 == KINDS.len();
                generation += u64::from(!is_wrong);
                eventually(&format!("reload {number} of turn {turn}"), DEADLINE, || {
                    assert!(flitch.ready(), "a reload is no reason not to be ready");
                    let status = flitch.status();
                    status["generation"] == generation && status["last_reload_error"].is_string() == is_wrong
                });
            }
        }
        done.store(true, Ordering::Relaxed);
        (by_forward.join().unwrap(), by_http.join().unwrap())
    });
    let all = lines * FILES.len() + by_forward + by_http;
    mock.delay(1, Duration::ZERO).unwrap();
    flitch.settled_after(all as u64, DEADLINE);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());

    let out = std::fs::read_to_string(flitch.at("out.ndjson")).unwrap();
    let mut senders: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for line in out.lines() {
        let number = number_in(line).unwrap();
        senders.entry(number / 2_000_000 * 2_000_000).or_default().push(number);
    }
    for (file, first) in FILES {
        let expected: Vec<usize> = (first..first + lines).collect();
        let wrong = senders[&first].iter().zip(&expected).find(|(is, should)| is != should);
        assert_eq!((wrong, senders[&first].len()), (None, lines), "{file}\n{}", flitch.log());
    }
    for (first, acknowledged) in [(FORWARD, by_forward), (WEB, by_http)] {
        assert!(acknowledged > 0);
        let mut seen = senders.remove(&first).unwrap();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (first..first + acknowledged).collect::<Vec<_>>(), "{}", flitch.log());
    }
    expect_numbers(&mock.bootstrap(), "reload", lines);
}

#[test]
fn a_reload_that_is_asked_for_during_another_is_not_forgotten() {
    let named = |name: &str| {
        let output = format!("{name}: {{ type: blackhole }}");
        pipeline(&file_source("app.log"), &[], &output).replace("output: out", &format!("output: {name}"))
    };
    let mut flitch = Flitch::start(FLITCH, &named("first"));
    for turn in 0..10 {
        flitch.configure(&named("second"));
        flitch.signal(Signal::Hup);
        flitch.configure(&named(&format!("last-{turn}")));
        flitch.signal(Signal::Hup);
        eventually("the last configuration", DEADLINE, || {
            flitch.status()["outputs"][format!("last-{turn}")].is_object()
        });
    }
    append(&flitch.at("app.log"), 0..10);
    flitch.settled_after(10, DEADLINE);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn no_gauge_outlives_the_part_that_it_speaks_of() {
    let server = Server::start(&[Ipv4Addr::LOCALHOST], |_| Reply {
        status: 200,
        body: b"{\"key\":\"a\"}\n".to_vec(),
        ..Reply::default()
    });
    let (server, brokers, nobody) = (server.unwrap(), MockKafka::start(1).unwrap(), ports::free());
    let dead =
        |more: &str| format!("buffer: {{ type: disk }}, retry: {{ initial: 10ms, breaker_after: 2 }}{more}");
    let parts = format!(
        "tables:\n  gone_table: {{ url: \"http://127.0.0.1:{}/t.ndjson\" }}\nsources:\n  gone_in: {}\nfilters:\n  gone_once: {{ \
         plugin: dedupe, state: {{ interval: 1s }} }}\noutputs:\n  gone_fwd: {{ type: forward, servers: \
         [\"127.0.0.1:{nobody}\"], {} }}\n  gone_search: {{ type: elasticsearch, nodes: [\"http://127.0.0.1:{nobody}\"], \
         index: logs, {} }}\n  gone_kafka: {{ type: kafka, brokers: [\"{}\"], topic: t }}\npipelines:\n  main: {{ from: \
         [gone_in], filters: [gone_once], to: [gone_fwd, gone_search, gone_kafka] }}\n",
        server.port(),
        file_source("app.log"),
        dead(""),
        dead(""),
        brokers.bootstrap(),
    );
    let flitch = Flitch::start(FLITCH, &format!("drain_timeout: 0s\n{parts}"));
    append(&flitch.at("app.log"), 0..10);
    let is_gauge = |sample: &Sample| {
        !["_total", "_sum", "_count", "_bucket"].iter().any(|end| sample.name.ends_with(end))
    };
    let of_gone = |sample: &Sample| sample.labels.values().any(|label| label.starts_with("gone_"));
    for (name, labels) in [
        ("flitch_table_fetched_seconds", [("table", "gone_table")]),
        ("flitch_filter_state_bytes", [("filter", "gone_once")]),
        ("flitch_output_server_up", [("output", "gone_fwd")]),
        ("flitch_output_server_up", [("output", "gone_search")]),
        ("flitch_buffer_records", [("output", "gone_fwd")]),
    ] {
        eventually(name, DEADLINE, || flitch.metrics().has(name, &labels));
    }
    eventually("an output that fails", DEADLINE, || {
        flitch.metrics().sum("flitch_breaker_open", &[("output", "gone_search")]) > 0.0
    });
    flitch.configure(&format!(
        "drain_timeout: 0s\n{}",
        pipeline(&file_source("other.log"), &[], "here: { type: blackhole }")
            .replace("output: out", "output: here")
    ));
    flitch.signal(Signal::Hup);
    let mut left = Vec::new();
    let is_over = poll(DEADLINE, || {
        let metrics = flitch.metrics();
        let gauges =
            metrics.iter().filter(|sample| of_gone(sample) && is_gauge(sample) && sample.value != 0.0);
        left = gauges.map(|sample| format!("{sample:?}")).collect();
        flitch.status()["outputs"]["here"].is_object() && left.is_empty()
    });
    assert!(is_over.is_some(), "something is said of what is gone: {left:#?}\n{}", flitch.log());
    let says_no =
        |name: &str| flitch.metrics().iter().all(|sample| !(of_gone(sample) && sample.name == name));
    assert!(says_no("flitch_output_server_up"), "0 would say that the server is away");
    assert!(says_no("flitch_table_fetched_seconds"));
}
