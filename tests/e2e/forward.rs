use std::io::Write;
use std::process::Command;

use flitch_tests::flitch::Flitch;
use flitch_tests::fluent::OneByOne;
use flitch_tests::servers::kafka::Kafka;
use flitch_tests::{cache, ports, process};

use crate::support::*;

/// A flitch with a forward source that writes to a new topic, and the source's port.
pub fn start(name: &str) -> (Flitch, u16, &'static Kafka, String) {
    let (kafka, topic) = topic(name);
    let port = ports::free();
    let source = format!("{{ type: forward, listen: \"127.0.0.1:{port}\" }}");
    let config = pipeline(&source, &[], &kafka_output(&kafka.bootstrap(), &topic));
    (Flitch::start(FLITCH, &config), port, kafka, topic)
}

#[test]
fn the_python_client_sends_records_that_arrive_with_tag_and_time() {
    let (mut flitch, port, kafka, topic) = start("forward-python");
    let script = format!(
        "from fluent import sender\n\
         s = sender.FluentSender('app', host='127.0.0.1', port={port}, nanosecond_precision=True)\n\
         for n in range(200):\n    assert s.emit_with_time('web', 1700000000 + n, {{'id': n, 'text': 'n=%07d' % n}})\n\
         s.close()\n"
    );
    process::run(Command::new("python3").arg("-c").arg(script).env("PYTHONPATH", cache().join("fluent-py")))
        .unwrap();
    let records = settled_records(&flitch, 200, &kafka.bootstrap(), &topic);
    assert_eq!(records.len(), 200);
    let one = records.iter().find(|record| record["id"] == 7).unwrap();
    assert_eq!(one["@tag"], "app.web");
    assert!(one["@timestamp"].as_str().unwrap().starts_with("2023-11-14T22:13:27"), "{one}");
    assert!(flitch.terminate(DEADLINE).success());
}

#[test]
fn the_javascript_client_gets_its_acks_in_every_mode() {
    let (mut flitch, port, kafka, topic) = start("forward-javascript");
    let script = format!(
        "const {{ FluentClient }} = require('@fluent-org/logger');\n\
         (async () => {{\n\
           let n = 0;\n\
           for (const eventMode of ['Message', 'Forward', 'PackedForward', 'CompressedPackedForward']) {{\n\
             const client = new FluentClient('js', {{ eventMode, ack: {{ ackTimeout: 20000 }},\n\
               socket: {{ host: '127.0.0.1', port: {port} }}, flushInterval: 5 }});\n\
             await client.connect();\n\
             const sent = [];\n\
             for (let i = 0; i < 25; i++, n++)\n\
               sent.push(client.emit(eventMode, {{ id: n, text: 'n=' + String(n).padStart(7, '0') }}));\n\
             await Promise.all(sent);\n\
             await client.shutdown();\n\
           }}\n\
         }})().then(() => process.exit(0), error => {{ console.error(error); process.exit(1); }});\n"
    );
    process::run(Command::new("node").arg("-e").arg(script).current_dir(cache().join("fluent-js"))).unwrap();
    // Every emit was acknowledged, so every record is there now.
    let sums = flitch.settled(DEADLINE);
    assert_eq!(sums.delivered, 100, "{sums}");
    let records = settled_records(&flitch, 100, &kafka.bootstrap(), &topic);
    for mode in ["Message", "Forward", "PackedForward", "CompressedPackedForward"] {
        let tag = format!("js.{mode}");
        assert_eq!(records.iter().filter(|record| record["@tag"] == tag.as_str()).count(), 25, "{mode}");
    }
    assert!(flitch.terminate(DEADLINE).success());
}

/// Median and worst time in milliseconds between a record and its answer, for a client that sends one by one.
fn answer_times(output: &str) -> (f64, f64) {
    let port = ports::free();
    let source = format!("{{ type: forward, listen: \"127.0.0.1:{port}\" }}");
    let mut flitch = Flitch::start(FLITCH, &pipeline(&source, &[], output));
    let mut client = OneByOne::connect(port).unwrap();
    // The first ones wait for connections to brokers.
    (0..20).for_each(|n| _ = client.send(&line(n)).unwrap());
    let mut times: Vec<_> = (20..520).map(|n| client.send(&line(n)).unwrap().as_secs_f64() * 1e3).collect();
    // The last one has its answer, so all are delivered.
    let sums = flitch.metrics().sums();
    assert_eq!((sums.received, sums.delivered, sums.in_flight), (520, 520, 0), "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() - 1])
}

#[test]
fn a_client_that_waits_for_each_answer_gets_it_when_the_record_is_safe() {
    let (kafka, topic) = topic("forward-one-by-one");
    let output = kafka_output(&kafka.bootstrap(), &topic);
    for (name, output) in [
        ("blackhole", "out: { type: blackhole }".to_owned()),
        ("kafka, linger 0 ms", output.replace("type: kafka", "type: kafka, linger: 0ms")),
        ("kafka", output),
    ] {
        let (median, worst) = answer_times(&output);
        let said = format!("{name}: answered after {median:.2} ms (median of 500), {worst:.2} ms at worst\n");
        std::io::stderr().write_all(said.as_bytes()).unwrap();
    }
    expect_numbers(&kafka.bootstrap(), &topic, 520);
}
