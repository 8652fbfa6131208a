//! A buffer on disk whose disk is full, and one before an output that is down for long.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use flitch_tests::flitch::Flitch;
use flitch_tests::http;
use flitch_tests::http_server::{Reply, Server};
use flitch_tests::small_disk::SmallDisk;
use flitch_tests::wait::{eventually, poll};
use parking_lot::Mutex;

use crate::support::*;

const MIB: u64 = 1 << 20;

/// A server that takes so many requests more, and refuses those after them.
struct Sink {
    server: Server,
    left: Arc<AtomicI64>,
    seen: Arc<Mutex<Vec<usize>>>,
}

impl Sink {
    fn start() -> Sink {
        let (left, seen) = (Arc::new(AtomicI64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (budget, numbers) = (left.clone(), seen.clone());
        let server = Server::start(&[Ipv4Addr::LOCALHOST], move |request| {
            if budget.fetch_sub(1, Ordering::SeqCst) <= 0 {
                budget.store(0, Ordering::SeqCst);
                return Reply { status: 503, ..Reply::default() };
            }
            let text = String::from_utf8_lossy(&request.body);
            let number = |line: &str| number_in(line).expect("a line of the test");
            numbers.lock().extend(text.lines().map(number));
            Reply { status: 200, ..Reply::default() }
        });
        Sink { server: server.unwrap(), left, seen }
    }

    fn take(&self, requests: i64) {
        self.left.store(requests, Ordering::SeqCst);
    }

    /// A file source before this server, with a buffer on disk.
    fn config(&self, max_bytes: &str) -> String {
        let buffer = format!("buffer: {{ type: disk, max_bytes: {max_bytes} }}");
        let url = format!("http://127.0.0.1:{}/", self.server.port());
        let retry = "retry: { initial: 20ms, max: 100ms }";
        let output = format!("out: {{ type: http, url: \"{url}\", {retry}, {buffer} }}");
        pipeline(&file_source("app.log"), &[], &output)
    }
}

/// Appends long lines, of 2,000 bytes.
fn append_long(flitch: &Flitch, lines: std::ops::Range<usize>) {
    let padding = "x".repeat(2_000 - line(0).len() - 2);
    let mut file = std::io::BufWriter::new(open(&flitch.at("app.log")));
    for n in lines {
        writeln!(file, "{} {padding}", line(n)).unwrap();
    }
}

fn is_all_stored(flitch: &Flitch) -> bool {
    saved_position(flitch) == std::fs::metadata(flitch.at("app.log")).unwrap().len()
}

fn is_failing(flitch: &Flitch) -> bool {
    let status = http::get(flitch.admin(), "/api/status").and_then(|answer| answer.json());
    status.is_ok_and(|status| status["outputs"]["out"]["disk"]["failing"] == true)
}

#[test]
fn a_full_disk_loses_nothing_and_goes_on_when_there_is_room_or_the_output_has_taken_what_is_there() {
    const COUNT: usize = 20_000;
    let sink = Sink::start();
    let mut flitch = Flitch::new(FLITCH, &sink.config("128MiB"));
    let Some(disk) = SmallDisk::mount("a_full_disk", &flitch.at("data"), 64 * MIB) else { return };
    disk.fill(8 * MIB);
    append_long(&flitch, 0..COUNT);
    flitch.launch().unwrap();
    eventually("a disk that is full", DEADLINE, || is_failing(&flitch));
    // It is tried again meanwhile.
    let _ = poll(Duration::from_secs(2), || false);
    let ready = http::get(flitch.admin(), "/readyz").unwrap();
    assert!(ready.status == 503 && ready.text().contains("No space left"), "{}", ready.text());
    assert!(ready.text().contains("buffers/out"), "{}", ready.text());
    assert_eq!(flitch.metrics().sum("flitch_buffer_failing", &[("output", "out")]), 1.0);
    assert_eq!(flitch.metrics().count("flitch_part_failures_total", &[("part", "disk")]), 1);
    let said = |flitch: &Flitch| flitch.log().matches("the buffer cannot be written").count();
    assert_eq!(said(&flitch), 1, "{}", flitch.log());
    let sums = flitch.metrics().sums();
    assert!(sums.hold() && sums.received < COUNT as u64 && sums.dropped == 0, "{sums}");

    // A start on a full disk is one as any other.
    flitch.kill();
    flitch.launch().unwrap();
    eventually("a disk that is full still", DEADLINE, || is_failing(&flitch));
    assert!(!is_all_stored(&flitch));
    disk.clear();
    eventually("all is stored", DEADLINE, || is_all_stored(&flitch));
    eventually("all is well", DEADLINE, || flitch.ready());
    log_says(&flitch, "the buffer is written again");
    assert!(sink.seen.lock().is_empty());

    // Full once more, and nobody makes room but the output.
    disk.fill(2 * MIB);
    append_long(&flitch, COUNT..2 * COUNT);
    eventually("a disk that is full again", DEADLINE, || is_failing(&flitch));
    assert!(!is_all_stored(&flitch));
    sink.take(i64::MAX);
    eventually("all is stored again", DEADLINE, || is_all_stored(&flitch));
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.dropped, sums.dead_lettered), (0, 0), "{sums}");
    eventually("an empty buffer", DEADLINE, || flitch.status()["outputs"]["out"]["buffered_records"] == 0);
    // What was stored when the process was killed, and had no position yet, came twice; all came in order.
    let mut seen = sink.seen.lock().clone();
    let mut next = 0;
    seen.retain(|number| {
        *number == next && {
            next += 1;
            true
        }
    });
    assert_eq!(next, 2 * COUNT, "{next} is missing, or comes after others");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}

#[test]
fn an_output_that_is_down_costs_disk_and_no_memory_and_what_waits_comes_in_order_while_new_records_do() {
    const COUNT: usize = 60_000;
    const NEW: usize = 1_000;
    let sink = Sink::start();
    let mut flitch = Flitch::start(FLITCH, &sink.config("1GiB"));
    let before = flitch.memory_peak();
    append_long(&flitch, 0..COUNT);
    eventually("all is stored", DEADLINE, || is_all_stored(&flitch));
    let waits = flitch.metrics().sum("flitch_buffer_bytes", &[("output", "out")]);
    assert!(waits > 110e6, "{waits} bytes wait");
    let grown = flitch.memory_peak() - before;
    assert!(grown < 64 * MIB, "{grown} bytes of memory for {waits} that wait");

    sink.take(10);
    eventually("the first ones", DEADLINE, || !sink.seen.lock().is_empty());
    append_long(&flitch, COUNT..COUNT + NEW);
    eventually("the new ones are stored", DEADLINE, || is_all_stored(&flitch));
    assert!(sink.seen.lock().len() < COUNT, "the others wait before them");
    sink.take(i64::MAX);
    eventually("all of them", DEADLINE, || sink.seen.lock().len() >= COUNT + NEW);
    assert!(sink.seen.lock().iter().copied().eq(0..COUNT + NEW), "they came in another order");
    let sums = flitch.settled(DEADLINE);
    assert_eq!(sums.received, (COUNT + NEW) as u64, "{sums}");
    let grown = flitch.memory_peak() - before;
    assert!(grown < 64 * MIB, "{grown} bytes of memory in the end");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}
