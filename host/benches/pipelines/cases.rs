//! The pipelines that are measured, and what feeds them.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use flitch_sources::generator::samples;

use crate::measure::{Cost, Run};

/// A pipeline to measure.
pub struct Case {
    pub name: &'static str,
    /// The configuration; `{dir}` is the folder of the run, `{kafka}` a broker to write to, `{topics}` one that has the
    /// records, `{group}` a consumer group that nobody has used, `{s3}` a store, `{bulk}` a node of Elasticsearch, `{adx}` a
    /// cluster of Azure Data Explorer, and `{port}` a free port.
    pub config: String,
    /// Brings the records to the daemon that runs.
    pub feed: fn(&Run, &Path, u64),
}

const FILE: &str =
    "sources: { lines: { type: file, include: [\"{dir}/in/*.log\"], read_from: beginning } }\n";
const CRI: &str = "sources: { lines: { type: file, include: [\"{dir}/in/*.log\"], codec: cri } }\n";
const DOCKER: &str =
    "sources: { lines: { type: file, include: [\"{dir}/in/*.log\"], codec: docker_json } }\n";
/// The bytes of those files as they are: what `docker_json` and `cri` are compared with.
const CRI_LINES: &str = "sources: { lines: { type: file, include: [\"{dir}/in/*.log\"], max_line: 1MiB } }\n";
const DOCKER_LINES: &str =
    "sources: { lines: { type: file, include: [\"{dir}/in/*.log\"], max_line: 1024KiB } }\n";
const FORWARD: &str = "sources: { lines: { type: forward, listen: \"unix://{dir}/forward.sock\" } }\n";
/// One flitch as both hosts: what both sides cost together.
const ACROSS: &str = concat!(
    "sources: { lines: { type: file, include: [\"{dir}/in/*.log\"], read_from: beginning }, ",
    "across: { type: forward, listen: \"127.0.0.1:{port}\" } }\n",
    "outputs: { on: { type: forward, servers: [\"127.0.0.1:{port}\"] }, out: { type: blackhole } }\n",
    "pipelines: { edge: { from: [lines], to: [{ output: on }] }, p: { from: [across], to: [{ output: out }] } }\n",
);
const BLACKHOLE: &str = "outputs: { out: { type: blackhole } }\n";
const DISSECT: &str = "  parse: { plugin: dissect, settings: { field: message, preset: nginx_combined } }\n";
/// NDJSON, zstd, objects as they are by default but for the wait at the end; a real server.
const S3: &str = concat!(
    "outputs: { out: { type: s3, bucket: bench, endpoint: \"{s3}\", access_key_id: flitch-tests, ",
    "secret_access_key: a-key-of-the-tests, max_idle: 1s } }\n",
);
/// Bulk requests as they are by default.
const ELASTICSEARCH: &str =
    "outputs: { out: { type: elasticsearch, nodes: \"http://{bulk}\", index: bench } }\n";
/// Blobs of NDJSON by gzip, of which the cluster is told by its REST interface, as by default but for the wait at the end.
const ADX: &str =
    "outputs: { out: { type: adx, {adx}, database: bench, table: bench, mapping: bench, max_age: 5s } }\n";
const ADX_PARQUET: &str = concat!(
    "outputs: { out: { type: adx, {adx}, database: bench, table: bench, mapping: bench, max_age: 5s, ",
    "encoding: { format: parquet } } }\n",
);
/// The same as `S3`, as Parquet files.
const S3_PARQUET: &str = concat!(
    "outputs: { out: { type: s3, bucket: bench, endpoint: \"{s3}\", access_key_id: flitch-tests, ",
    "secret_access_key: a-key-of-the-tests, max_idle: 1s, encoding: { format: parquet } } }\n",
);
const REGEX: &str = "  parse: { plugin: regex, settings: { field: message, preset: nginx_combined } }\n";
const WHEN: &str =
    "  when: { plugin: timestamp, settings: { field: time, format: \"%d/%b/%Y:%H:%M:%S %z\" } }\n";

/// What an ordinary nginx host runs, with nothing behind it.
pub const DISSECT_TO_BLACKHOLE: &str = concat!(
    "sources: { lines: { type: file, include: [\"{dir}/in/*.log\"], read_from: beginning } }\n",
    "filters:\n  parse: { plugin: dissect, settings: { field: message, preset: nginx_combined } }\n",
    "  when: { plugin: timestamp, settings: { field: time, format: \"%d/%b/%Y:%H:%M:%S %z\" } }\n",
    "outputs: { out: { type: blackhole } }\n",
    "pipelines: { p: { from: [lines], filters: [parse, when], to: [{ output: out }] } }\n",
);

fn config(source: &str, filters: &[(&str, &str)], output: &str) -> String {
    let mut text = source.to_owned();
    if !filters.is_empty() {
        text += "filters:\n";
        filters.iter().for_each(|(_, filter)| text += filter);
    }
    text += output;
    let names: Vec<_> = filters.iter().map(|(name, _)| *name).collect();
    text += &format!(
        "pipelines: {{ p: {{ from: [lines], filters: [{}], to: [{{ output: out }}] }} }}\n",
        names.join(", ")
    );
    text
}

/// All pipelines, in the order of the table.
pub fn all() -> Vec<Case> {
    let parse = [("parse", DISSECT), ("when", WHEN)];
    let one_more =
        [parse[0], parse[1], ("more", "  more: { plugin: set, settings: { set: { env: prod } } }\n")];
    let file = "outputs: { out: { type: file, path: \"{dir}/out.ndjson\" } }\n";
    let kafka = "outputs: { out: { type: kafka, brokers: [\"{kafka}\"], topic: bench, compression: lz4 } }\n";
    let case = |name, source, filters: &[(&str, &str)], output| Case {
        name,
        config: config(source, filters, output),
        feed: match source {
            FILE => feed_file,
            CRI | CRI_LINES => feed_cri,
            DOCKER | DOCKER_LINES => feed_docker,
            _ => feed_forward,
        },
    };
    vec![
        case("file → blackhole", FILE, &[], BLACKHOLE),
        case("file of containerd → blackhole", CRI, &[], BLACKHOLE),
        case("the same bytes by codec lines → blackhole", CRI_LINES, &[], BLACKHOLE),
        case("file of Docker → blackhole", DOCKER, &[], BLACKHOLE),
        case("the same bytes by codec lines → blackhole", DOCKER_LINES, &[], BLACKHOLE),
        case("file → regex, timestamp → blackhole", FILE, &[("parse", REGEX), ("when", WHEN)], BLACKHOLE),
        case("file → dissect, timestamp → blackhole", FILE, &parse, BLACKHOLE),
        case("file → dissect, timestamp → NDJSON file", FILE, &parse, file),
        case("file → dissect, timestamp → Kafka", FILE, &parse, kafka),
        case("file → dissect, timestamp → S3", FILE, &parse, S3),
        case("file → dissect, timestamp → Elasticsearch", FILE, &parse, ELASTICSEARCH),
        case("file → dissect, timestamp → ADX", FILE, &parse, ADX),
        case("file → dissect, timestamp → S3, Parquet", FILE, &parse, S3_PARQUET),
        case("file → dissect, timestamp → ADX, Parquet", FILE, &parse, ADX_PARQUET),
        case("forward → blackhole", FORWARD, &[], BLACKHOLE),
        Case {
            name: "file → forward → forward → blackhole", config: ACROSS.to_owned(), feed: feed_file
        },
        case("file → dissect, timestamp, set → blackhole", FILE, &one_more, BLACKHOLE),
    ]
}

/// Writes the lines that all file cases read.
pub fn write_lines(path: &Path, records: u64) {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file can be made"));
    let mut line = Vec::new();
    for number in 0..records {
        line.clear();
        samples::nginx(1, number, &mut line);
        line.push(b'\n');
        file.write_all(&line).expect("the disk has room");
    }
    file.flush().expect("the disk has room");
}

/// Puts the file where the daemon looks, in one step.
fn feed_file(run: &Run, lines: &Path, _records: u64) {
    let folder = run.flitch.dir().join("in");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let hidden = run.flitch.dir().join("lines");
    // Linking costs no copy where both folders are on one disk.
    if fs::hard_link(lines, &hidden).is_err() {
        fs::copy(lines, &hidden).expect("the disk has room");
    }
    fs::rename(hidden, folder.join("lines.log")).expect("the same disk");
}

/// The lines as containerd writes them.
fn feed_cri(run: &Run, lines: &Path, _records: u64) {
    feed_container(run, lines, |line, time, out| {
        writeln!(out, "{time} stdout F {line}").expect("the disk has room");
    });
}

/// The lines as Docker's driver json-file writes them.
fn feed_docker(run: &Run, lines: &Path, _records: u64) {
    feed_container(run, lines, |line, time, out| {
        let log = serde_json::to_string(&format!("{line}\n")).expect("a text");
        writeln!(out, r#"{{"log":{log},"stream":"stdout","time":"{time}"}}"#).expect("the disk has room");
    });
}

fn feed_container(run: &Run, lines: &Path, write: fn(&str, &str, &mut BufWriter<File>)) {
    let folder = run.flitch.dir().join("in");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let hidden = run.flitch.dir().join("lines");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&hidden).expect("a file can be made"));
    let text = fs::read_to_string(lines).expect("the lines were written");
    for (number, line) in text.lines().enumerate() {
        let time = samples::time(number as u64);
        let seconds = flitch_core::batch::time::to_text(time - time % 1_000_000_000);
        let time = format!("{}.{:09}Z", &seconds[..19], time % 1_000_000_000);
        write(line, &time, &mut out);
    }
    out.flush().expect("the disk has room");
    fs::rename(hidden, folder.join("lines.log")).expect("the same disk");
}

/// Sends PackedForward messages of 1,000 records of four text fields with acks, ten messages ahead.
fn feed_forward(run: &Run, _lines: &Path, records: u64) {
    const BATCH: u64 = 1000;
    const AHEAD: usize = 10;
    let mut entries = Vec::new();
    let mut stream = unix(run);
    let mut answers = stream.try_clone().expect("a socket can be shared");
    let mut waiting = 0;
    let mut answer = [0u8; 4096];
    for message in 0..records / BATCH {
        entries.clear();
        // One packed batch of records, made new every tenth message: making them costs more than reading them.
        if message % 10 == 0 {
            pack(message * BATCH, BATCH, &mut entries);
        }
        let packed = cached(&entries);
        let mut head = vec![0x93, 0xa5];
        head.extend_from_slice(b"bench");
        head.push(0xc6);
        head.extend_from_slice(&(packed.len() as u32).to_be_bytes());
        stream.write_all(&head).expect("the daemon reads");
        stream.write_all(&packed).expect("the daemon reads");
        let chunk = format!("{message:022}==");
        let mut tail = vec![0x81, 0xa5];
        tail.extend_from_slice(b"chunk");
        tail.push(0xa0 | chunk.len() as u8);
        tail.extend_from_slice(chunk.as_bytes());
        stream.write_all(&tail).expect("the daemon reads");
        // {"ack": "<24 bytes>"} is 30 bytes.
        waiting += 30;
        while waiting > AHEAD * 30 {
            waiting -= answers.read(&mut answer).expect("the daemon answers");
        }
    }
    while waiting > 0 {
        waiting -= answers.read(&mut answer).expect("the daemon answers");
    }
}

fn unix(run: &Run) -> std::os::unix::net::UnixStream {
    let path = run.flitch.dir().join("forward.sock");
    std::os::unix::net::UnixStream::connect(path).expect("the daemon listens")
}

thread_local! {
    static PACKED: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// The entries just packed, or those packed last.
fn cached(entries: &[u8]) -> Vec<u8> {
    PACKED.with_borrow_mut(|packed| {
        if !entries.is_empty() {
            *packed = entries.to_vec();
        }
        packed.clone()
    })
}

fn pack(from: u64, count: u64, out: &mut Vec<u8>) {
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(0xd9);
        out.push(text.len() as u8);
        out.extend_from_slice(text.as_bytes());
    };
    for number in from..from + count {
        let record = samples::docker(1, number);
        out.extend_from_slice(&[0x92, 0xd7, 0x00]);
        out.extend_from_slice(&((samples::time(number) / 1_000_000_000) as u32).to_be_bytes());
        out.extend_from_slice(&((samples::time(number) % 1_000_000_000) as u32).to_be_bytes());
        out.push(0x84);
        text(out, "container_id");
        text(out, &record.container_id);
        text(out, "container_name");
        text(out, record.container_name);
        text(out, "source");
        text(out, record.source);
        text(out, "log");
        text(out, &record.log);
    }
}

/// A line of nginx's combined log.
pub const COMBINED: &str =
    r#"^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) (\S+) ([^"]+)" (\d+) (\d+) "([^"]*)" "([^"]*)"$"#;

/// A row that measures the machine.
pub type Calibration = (&'static str, fn(&Path) -> Cost);

/// What makes tables of different machines comparable.
pub const CALIBRATIONS: [Calibration; 2] = [
    ("native: regex crate, combined log", native_regex),
    ("native: write(2) of the NDJSON's size", native_write),
];

/// Parses a tenth of the lines by the `regex` crate, as Rust code without columns would.
fn native_regex(lines: &Path) -> Cost {
    let pattern = regex::Regex::new(COMBINED).expect("a valid pattern");
    let text = fs::read_to_string(lines).expect("the lines were written");
    let mut places = pattern.capture_locations();
    let (mut records, mut sum) = (0, 0);
    let begun = own_cpu();
    let clock = Instant::now();
    for line in text.lines().step_by(10) {
        records += 1;
        if pattern.captures_read(&mut places, line).is_some() {
            sum += (1..places.len()).filter_map(|i| places.get(i)).map(|(a, b)| b - a).sum::<usize>();
        }
    }
    assert!(sum > 0, "the pattern fits the lines");
    Cost { records, bytes: records * 241, cpu: own_cpu() - begun, wall: clock.elapsed(), peak_bytes: 0 }
}

/// Writes as many bytes as the file case does, 1,024 records of 318 bytes a call.
fn native_write(lines: &Path) -> Cost {
    let records = fs::metadata(lines).expect("the lines were written").len() / 241;
    let mut file = tempfile::tempfile_in(lines.parent().expect("a folder")).expect("a file can be made");
    let piece = vec![b'x'; 318 * 1024];
    let begun = own_cpu();
    let clock = Instant::now();
    for _ in 0..records / 1024 {
        file.write_all(&piece).expect("the disk has room");
    }
    Cost { records, bytes: records * 318, cpu: own_cpu() - begun, wall: clock.elapsed(), peak_bytes: 0 }
}

fn own_cpu() -> std::time::Duration {
    crate::measure::cpu_of(std::process::id())
}
