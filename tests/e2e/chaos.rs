//! A minute in which everything goes wrong at once: files with rotation and links, HTTP and forward with acks, SIGKILL,
//! SIGTERM, a reload every second, and outputs that come and go. Nothing that was acknowledged may be missing, nothing
//! may be damaged, and the sums must hold.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flitch_tests::flitch::Flitch;
use flitch_tests::fluent::OneByOne;
use flitch_tests::process::Signal;
use flitch_tests::servers::consumer::read_until;
use flitch_tests::servers::kafka::client;
use flitch_tests::servers::mock_kafka::MockKafka;
use flitch_tests::wait::poll;
use flitch_tests::{http, ports};
use serde_json::Value;

use crate::support::*;

/// How long it lasts, in seconds.
const SECONDS: usize = 60;
/// Records of a stream have the numbers from its place times this on.
const STREAM: usize = 1_000_000;
/// Lines, or records of a request, that are written together.
const TOGETHER: usize = 10;
/// Between two writes.
const TICK: Duration = Duration::from_millis(20);
/// How long the end may take to come when all is well again.
const HEALING: Duration = Duration::from_secs(180);

/// Lets a time pass while others act.
fn pass(time: Duration) {
    let _ = poll(time, || false);
}

/// What the writers and whoever torments the daemon know of each other.
#[derive(Default)]
struct World {
    /// The writers end.
    over: AtomicBool,
    /// The daemon runs, for a second at least.
    up: AtomicBool,
}

/// Ends the writers, also where a test fails before them.
struct End<'a>(&'a World);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
    }
}

impl World {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// Appends numbered lines to `path` until the end, and moves the file away now and then. Answers the numbers written.
fn write_lines(
    world: &World,
    stream: usize,
    path: &Path,
    mut may_rotate: impl FnMut() -> bool,
) -> Range<usize> {
    let begin = stream * STREAM;
    let mut next = begin;
    let mut rotations = 0;
    while !world.is_over() {
        let text: String = (next..next + TOGETHER).map(|n| line(n) + "\n").collect();
        // Writers do not write whole lines.
        let (first, rest) = text.as_bytes().split_at(next * 7 % text.len());
        for part in [first, rest] {
            std::io::Write::write_all(&mut open(path), part).unwrap();
            pass(TICK);
        }
        next += TOGETHER;
        if may_rotate() {
            rotations += 1;
            let mut to = path.as_os_str().to_owned();
            to.push(format!(".{rotations}"));
            std::fs::rename(path, to).unwrap();
        }
    }
    begin..next
}

/// Posts numbered lines, and each until it is answered by 200. Answers the numbers of those that were.
fn post_lines(world: &World, stream: usize, port: u16) -> Range<usize> {
    let begin = stream * STREAM;
    let mut next = begin;
    while !world.is_over() {
        let body: String = (next..next + TOGETHER).map(|n| line(n) + "\n").collect();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let answer = http::post(address, "/", &[("Content-Type", "text/plain")], body.as_bytes());
        match answer.map(|answer| answer.status) {
            Ok(200) => next += TOGETHER,
            Ok(429 | 503) | Err(_) => {}
            Ok(other) => panic!("an answer of {other}"),
        }
        pass(TICK);
    }
    begin..next
}

/// Sends numbered records by the forward protocol, and each until it is acknowledged. Answers the numbers of those that
/// were.
fn forward_lines(world: &World, stream: usize, port: u16) -> Range<usize> {
    let begin = stream * STREAM;
    let mut next = begin;
    // Ids of chunks, which no client uses twice.
    let mut chunk = 0;
    while !world.is_over() {
        let Ok(mut client) = OneByOne::connect_from(port, chunk) else {
            pass(TICK);
            continue;
        };
        while !world.is_over() {
            chunk += 1;
            if client.send(&line(next)).is_err() {
                break;
            }
            next += 1;
            pass(TICK / 4);
        }
    }
    begin..next
}

/// Where the records come from and go to.
struct Setting {
    web: u16,
    forward: u16,
    bootstrap: String,
}

impl Setting {
    /// A configuration; every `turn` differs from its neighbours in outputs, filters, pipelines or sources.
    fn config(&self, turn: usize) -> String {
        let pick = |every: usize, one: &'static str, other: &'static str| {
            if (turn / every).is_multiple_of(2) { one } else { other }
        };
        let (web, forward, bootstrap) = (self.web, self.forward, &self.bootstrap);
        let linger = pick(1, "5ms", "1ms");
        let scan = pick(3, "100ms", "150ms");
        let pending = pick(5, "64MiB", "32MiB");
        let in_flight = pick(4, "16MiB", "8MiB");
        let interval = pick(2, "1s", "500ms");
        let filters = pick(2, "", "mark");
        let value = pick(7, "a", "b");
        let (lossy, to) = match turn % 6 {
            0..3 => ("", "[kafka, disk]"),
            _ => (
                "  lossy: { type: kafka, brokers: [\"127.0.0.1:1\"], topic: nowhere, best_effort: true, options: { log_level: \"0\" } }\n",
                "[lossy, kafka, disk]",
            ),
        };
        let pipelines = match turn % 4 {
            3 => format!(
                "  one: {{ from: [files, links], filters: [{filters}], to: {to} }}\n  two: {{ from: [web, docker], to: {to} }}\n"
            ),
            _ => format!("  all: {{ from: [files, links, web, docker], filters: [{filters}], to: {to} }}\n"),
        };
        let files = format!(
            "read_from: beginning, partial_timeout: 1m, poll_interval: 50ms, scan_interval: {scan}, checkpoint_interval: 100ms"
        );
        format!(
            r#"drain_timeout: 2s
sources:
  files: {{ type: file, include: ["{{dir}}/logs/app.log*"], {files} }}
  links: {{ type: file, include: ["{{dir}}/containers/*.log"], {files} }}
  web: {{ type: http, listen: "127.0.0.1:{web}", max_pending: {pending} }}
  docker: {{ type: forward, listen: "127.0.0.1:{forward}", max_in_flight: {in_flight} }}
filters:
  mark: {{ plugin: set, settings: {{ set: {{ mark: {value} }} }} }}
outputs:
  kafka: {{ type: kafka, brokers: ["{bootstrap}"], topic: chaos, linger: {linger}, timeout: 3s, retry: {{ max: 500ms }},
    options: {{ log_level: "0", reconnect.backoff.max.ms: 300 }} }}
  disk: {{ type: file, path: "{{dir}}/disk/all.ndjson", max_bytes: 1MiB, keep: 10000, gzip: true, sync_interval: {interval},
    retry: {{ max: 500ms }} }}
{lossy}pipelines:
{pipelines}"#
        )
    }
}

/// Does to the daemon and its outputs what is due each second. Answers how often it was killed.
fn torment(flitch: &mut Flitch, mock: &MockKafka, setting: &Setting, world: &World) -> usize {
    let (disk, away) = (flitch.at("disk"), flitch.at("away"));
    let mut kills = 0;
    for second in 0..SECONDS {
        let begin = Instant::now();
        match second % 10 {
            2 => mock.down(1).unwrap(),
            5 => mock.up(1).unwrap(),
            _ => {}
        }
        match second % 14 {
            // A file stands where the folder was.
            4 if disk.is_dir() => {
                std::fs::rename(&disk, &away).unwrap();
                std::fs::write(&disk, "").unwrap();
            }
            6 => restore(&disk, &away),
            _ => {}
        }
        // The last life is a long one, so that its sums say something.
        let restart = match if second < 45 { second % 15 } else { 1 } {
            3 | 9 => {
                world.up.store(false, Ordering::Release);
                flitch.kill();
                kills += 1;
                true
            }
            13 => {
                world.up.store(false, Ordering::Release);
                // What has not arrived within the drain timeout is told by the exit code.
                let code = flitch.terminate(DEADLINE).code();
                assert!(matches!(code, Some(0 | 1)), "{code:?}\n{}", flitch.log());
                true
            }
            7 => {
                flitch.configure("sources: { files: { type: fule } }\n");
                flitch.signal(Signal::Hup);
                false
            }
            _ => {
                flitch.configure(&setting.config(second));
                flitch.signal(Signal::Hup);
                false
            }
        };
        if restart {
            flitch.configure(&setting.config(second));
            flitch.run();
        }
        assert!(!flitch.ended(), "it ended by itself:\n{}", flitch.log());
        pass(Duration::from_secs(1).saturating_sub(begin.elapsed()));
        world.up.store(true, Ordering::Release);
    }
    mock.up(1).unwrap();
    restore(&disk, &away);
    kills
}

/// Puts the folder of the output back, if it is away.
fn restore(disk: &Path, away: &Path) {
    if away.exists() {
        std::fs::remove_file(disk).unwrap();
        std::fs::rename(away, disk).unwrap();
    }
}

/// The number of a record whose text is that of the line with this number.
fn whole(record: &Value) -> Option<usize> {
    let text = record.get("message").or_else(|| record.get("log"))?.as_str()?;
    let n = text.get(2..9)?.parse().ok()?;
    (text == line(n)).then_some(n)
}

/// All lines that the output `disk` has written.
fn on_disk(folder: &Path) -> Vec<String> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let text = match file.extension().and_then(|end| end.to_str()) {
            // Left by a kill; the plain file is there.
            Some("part") => continue,
            Some("gz") => Command::new("gzip").arg("-dc").arg(&file).output().unwrap().stdout,
            _ => std::fs::read(&file).unwrap(),
        };
        lines.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
    }
    lines
}

/// Fails if one of the records is missing.
#[track_caller]
fn none_is_missing(written: &[Range<usize>; 4], missing: &BTreeSet<usize>, place: &str, flitch: &Flitch) {
    for (range, stream) in written.iter().zip(["files", "links", "http", "forward"]) {
        let missing: Vec<&usize> = missing.range(range.clone()).collect();
        let (count, begin) = (missing.len(), &missing[..missing.len().min(20)]);
        let log = if count == 0 { String::new() } else { flitch.log() };
        assert!(count == 0, "{log}\nof {range:?} of {stream} {count} are not in {place}: {begin:?}");
    }
}

/// Answers `true` once in each such time.
fn every(time: Duration) -> impl FnMut() -> bool {
    let mut since = Instant::now();
    move || {
        let due = since.elapsed() >= time;
        if due {
            since = Instant::now();
        }
        due
    }
}

#[test]
fn a_minute_of_kills_reloads_rotations_and_outages_loses_and_damages_nothing() {
    let mock = MockKafka::start(1).unwrap();
    // The mock keeps some megabytes of a partition.
    mock.create_topic("chaos", 32, 1).unwrap();
    let setting = Setting { web: ports::free(), forward: ports::free(), bootstrap: mock.bootstrap() };
    let mut flitch = Flitch::new(FLITCH, &setting.config(0));
    for folder in ["logs", "containers", "pods"] {
        std::fs::create_dir(flitch.at(folder)).unwrap();
    }
    let (app, pod) = (flitch.at("logs/app.log"), flitch.at("pods/0.log"));
    std::os::unix::fs::symlink(&pod, flitch.at("containers/pod.log")).unwrap();
    flitch.run();
    let world = World::default();
    let (kills, written) = std::thread::scope(|scope| {
        let world = &world;
        let (second, mut third) = (every(Duration::from_secs(1)), every(Duration::from_secs(3)));
        let files = scope.spawn(|| write_lines(world, 0, &app, second));
        // Nobody can know of a file behind a link that came and went while nobody looked.
        let may = move || world.up.load(Ordering::Acquire) && third();
        let links = scope.spawn(|| write_lines(world, 1, &pod, may));
        let web = scope.spawn(|| post_lines(world, 2, setting.web));
        let docker = scope.spawn(|| forward_lines(world, 3, setting.forward));
        let end = End(world);
        let kills = torment(&mut flitch, &mock, &setting, world);
        flitch.configure(&setting.config(0));
        flitch.signal(Signal::Hup);
        drop(end);
        (kills, [files, links, web, docker].map(|writer| writer.join().unwrap()))
    });
    for range in &written {
        assert!(range.len() > 100, "nothing got through: {written:?}\n{}", flitch.log());
    }

    let mut missing: BTreeSet<usize> = written.iter().cloned().flatten().collect();
    let mut taken = 0;
    read_until(client(&mock.bootstrap()), "chaos", HEALING, |messages| {
        for message in &messages[taken..] {
            let n = whole(&message.json());
            missing.remove(&n.unwrap_or_else(|| panic!("a record is damaged: {}", message.text())));
        }
        taken = messages.len();
        missing.is_empty()
    })
    .unwrap();
    none_is_missing(&written, &missing, "Kafka", &flitch);
    let sums = flitch.settled(HEALING);
    assert_eq!(sums.dead_lettered, 0, "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());

    let mut missing: BTreeSet<usize> = written.iter().cloned().flatten().collect();
    let mut broken = Vec::new();
    for line in on_disk(&flitch.at("disk")) {
        match serde_json::from_str(&line).ok().and_then(|record| whole(&record)) {
            Some(n) => _ = missing.remove(&n),
            None => broken.push(line),
        }
    }
    none_is_missing(&written, &missing, "the files", &flitch);
    // A write that a kill cut off leaves a part of a line, and spoils no other.
    assert!(broken.len() <= kills, "{broken:?}");
    let letters =
        std::fs::read_dir(flitch.at("data/dead-letters")).unwrap().map(|entry| entry.unwrap().path());
    let letters: Vec<_> =
        letters.filter(|path| path.extension().is_some_and(|end| end == "ndjson")).collect();
    assert!(letters.is_empty(), "{letters:?}");
    assert!(!flitch.log().contains("panicked"), "{}", flitch.log());
}
