use std::collections::BTreeMap;
use std::io::Write;

use flitch_tests::flitch::Flitch;
use flitch_tests::servers::consumer::{Message, read_all, read_count};
use flitch_tests::servers::hdfs::{Hdfs, USER};
use flitch_tests::servers::kafka::Kafka;
use flitch_tests::servers::opensearch::OpenSearch;
use flitch_tests::servers::s3::{KEY, KEY_ID, S3};
use serde_json::{Value, json};

use super::{arrived, folder, prepared, told};
use crate::support::*;

const EXAMPLE: &str = "5-one-hit";
const TOPIC: &str = "example-raw-access-log";
const ROOT: &str = "/example-one-hit";

/// The parts that all three pipelines have.
struct Parts {
    kafka: &'static Kafka,
    s3: S3,
    hdfs: &'static Hdfs,
}

impl Parts {
    fn flitch(&self, config: &str, more: &[(&str, &str)]) -> Flitch {
        let (brokers, endpoint, hdfs) = (self.kafka.bootstrap(), self.s3.endpoint(), self.hdfs.endpoint());
        let mut environment = vec![
            ("KAFKA_BROKERS", &*brokers),
            ("RAW_TOPIC", TOPIC),
            ("S3_ENDPOINT", &*endpoint),
            ("AWS_ACCESS_KEY_ID", KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", KEY),
            ("WEBHDFS", &*hdfs),
            ("HDFS_USER", USER),
            ("HDFS_ROOT", ROOT),
        ];
        environment.extend(more);
        let mut flitch = prepared(EXAMPLE, config, &environment);
        flitch.run();
        flitch
    }

    /// The lines that lie below a prefix, by their folder.
    fn lines(&self, prefix: &str) -> BTreeMap<String, Vec<String>> {
        let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, bytes) in self.s3.objects("logs") {
            let Some((folder, _)) = name.strip_prefix(prefix).and_then(|name| name.rsplit_once('/')) else {
                continue;
            };
            let text = String::from_utf8(bytes).unwrap();
            folders.entry(folder.to_owned()).or_default().extend(text.lines().map(str::to_owned));
        }
        folders.values_mut().for_each(|lines| lines.sort());
        folders
    }
}

/// The lines of a file.
fn texts(bytes: Vec<u8>) -> Vec<String> {
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// The folder of the day on which a line says it was written, found without flitch.
fn day(line: &str) -> Option<String> {
    let time = line.split_once('[')?.1.split_once(':')?.0;
    let [day, month, year] = time.split('/').collect::<Vec<_>>()[..] else { return None };
    assert_eq!(month, "Nov");
    Some(format!("year={year}/month=11/day={day}"))
}

/// The place of an address, as MaxMind's database for tests has it, and others have not.
fn place(address: &str) -> Value {
    match address {
        "81.2.69.142" => json!({"country": "GB", "city": "London"}),
        "2.125.160.216" => json!({"country": "GB", "city": "Boxford"}),
        "89.160.20.112" => json!({"country": "SE", "city": "Link\u{f6}ping"}),
        "216.160.83.56" => json!({"country": "US", "city": "Milton"}),
        "175.16.199.1" => json!({"country": "CN", "city": "Changchun"}),
        "2001:218::1" => json!({"country": "JP", "city": null}),
        _ => json!({"country": null, "city": null}),
    }
}

/// What counts of the document of a line, found without flitch: its address and where that is, and what was asked for.
fn essence(line: &str) -> Option<Value> {
    let day = day(line)?;
    let (remote, request) = (line.split(' ').next()?, line.split('"').nth(1)?);
    let path = request.split(' ').nth(1)?;
    let day = day.split('/').filter_map(|part| Some(part.split_once('=')?.1)).collect::<Vec<_>>().join(".");
    Some(
        json!({"remote": remote, "path": path, "place": place(remote), "index": format!("example-access-{day}")}),
    )
}

#[test]
fn one_reading_feeds_all_others_and_each_of_them_can_begin_anew() {
    let parts = Parts { kafka: Kafka::shared(), s3: S3::start(&["logs"]).unwrap(), hdfs: Hdfs::shared() };
    parts.hdfs.make_folder(ROOT).unwrap();
    parts.kafka.create_topic(TOPIC, 1).unwrap();
    let log = std::fs::read(folder(EXAMPLE).join("access.log")).unwrap();
    // The half that is there when flitch starts, and the half that is written while others read the first.
    let half = log.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(200).unwrap().0 + 1;
    let there = tempfile::tempdir().unwrap();
    let path = there.path().join("access.log");
    std::fs::write(&path, &log[..half]).unwrap();
    let mut collect = parts.flitch("collect.yaml", &[("ACCESS_LOG", &path.to_string_lossy())]);
    let lines: Vec<String> = String::from_utf8_lossy(&log).lines().map(str::to_owned).collect();
    let joined = |messages: &[Message]| {
        messages.iter().flat_map(|message| [&message.value[..], b"\n"].concat()).collect::<Vec<u8>>()
    };
    let bootstrap = parts.kafka.bootstrap();
    read_count(&bootstrap, TOPIC, 201, DEADLINE).unwrap();

    let mut partition = parts.flitch("partition.yaml", &[]);
    open(&path).write_all(&log[half..]).unwrap();
    let messages = read_count(&bootstrap, TOPIC, lines.len(), DEADLINE).unwrap();
    assert!(joined(&messages) == log, "the topic has the bytes of the file");
    told(&format!("Kafka: the {} bytes of the file, one by one", log.len()));

    let expected = |wanted: &dyn Fn(&str) -> Option<String>| {
        let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in &lines {
            if let Some(folder) = wanted(line) {
                folders.entry(folder).or_default().push(line.clone());
            }
        }
        folders.values_mut().for_each(|lines| lines.sort());
        folders
    };
    let days = expected(&day);
    let good = days.values().map(Vec::len).sum::<usize>() as u64;
    partition.sums_when("all is read", DEADLINE, |sums| sums.received == lines.len() as u64);
    assert!(partition.terminate(DEADLINE).success(), "{}", partition.log());
    assert_eq!(parts.lines("by-day/partition-1/"), days);
    told(&format!("S3: {good} lines in the folders of {} days", days.len()));
    let mut in_hdfs: Vec<String> = parts.hdfs.files(ROOT).unwrap().into_values().flat_map(texts).collect();
    in_hdfs.sort();
    let mut all: Vec<String> = days.values().flatten().cloned().collect();
    all.sort();
    assert_eq!(in_hdfs, all);
    told(&format!("HDFS: the same {good} lines"));
    partition.run();
    let wrong = [("GROUP", "wrong"), ("TIME_PATTERN", r"(?<time>\d{4}-\d\d-\d\d)")];
    let mut wrong = parts.flitch("partition.yaml", &wrong);
    let sums = wrong.settled_after(lines.len() as u64, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (0, lines.len() as u64), "{sums}");
    assert!(wrong.terminate(DEADLINE).success(), "{}", wrong.log());
    assert_eq!(parts.lines("by-day/wrong/"), BTreeMap::new());
    let texts = parts.hdfs.files(ROOT).unwrap().into_values().flat_map(texts);
    assert_eq!(texts.count(), all.len(), "the wrong expression adds nothing");
    told(&format!("a wrong expression: {} dead letters, and nothing in the store", lines.len()));
    let again = partition.settled(DEADLINE);
    assert_eq!(again.received, 0, "the first group goes on where it was: {again}");
    assert!(partition.terminate(DEADLINE).success(), "{}", partition.log());

    let search = OpenSearch::shared();
    let database = flitch_tests::cache().join("maxmind/test-data/GeoLite2-City-Test.mmdb");
    let environment = [
        ("SEARCH_URL", &*search.node()),
        ("INDEX", "example-access"),
        ("GEO_DATABASE", &database.to_string_lossy()),
    ];
    let mut geo = parts.flitch("geo.yaml", &environment);
    let sums = geo.settled_after(lines.len() as u64, DEADLINE);
    assert_eq!((sums.delivered, sums.dead_lettered), (good, lines.len() as u64 - good), "{sums}");
    assert!(geo.terminate(DEADLINE).success(), "{}", geo.log());
    let documents = search.documents("example-access-*").unwrap().into_iter().map(|found| {
        let of = |path: &str| found["_source"].pointer(path).cloned().unwrap_or_default();
        let place = json!({"country": of("/geo/country/iso_code"), "city": of("/geo/city/names/en")});
        json!({"remote": of("/remote"), "path": of("/path"), "place": place, "index": found["_index"]})
    });
    arrived("OpenSearch", documents, &lines.iter().filter_map(|line| essence(line)).collect::<Vec<_>>());

    assert!(collect.terminate(DEADLINE).success(), "{}", collect.log());
    let raw = parts.s3.objects("logs").into_iter().filter(|(name, _)| name.starts_with("raw/"));
    let raw: Vec<Vec<u8>> = raw.map(|(_, bytes)| bytes).collect();
    assert!(raw == [log], "{} objects, of which one has the bytes of the file", raw.len());
    told("S3: the bytes of the file in one object");
    assert_eq!(
        read_all(&bootstrap, TOPIC, DEADLINE).unwrap().len(),
        lines.len(),
        "nobody wrote to the topic"
    );
}

#[test]
fn the_tests_that_its_pipelines_bring_hold_and_fail_where_the_expression_is_wrong() {
    let database = flitch_tests::cache().join("maxmind/test-data/GeoLite2-City-Test.mmdb");
    for (config, pattern, code, words) in [
        ("partition.yaml", "\\[(?<time>[^\\]]+)\\]", 0, "2 tests, 0 failed"),
        ("partition.yaml", "<(?<time>[^>]+)>", 1, "dead letters that should not be"),
        ("geo.yaml", "", 0, "1 tests, 0 failed"),
    ] {
        let text = std::fs::read_to_string(folder(EXAMPLE).join(config)).unwrap();
        let flitch = Flitch::new(FLITCH, &text).env("GEO_DATABASE", &database.to_string_lossy());
        let flitch = if pattern.is_empty() { flitch } else { flitch.env("TIME_PATTERN", pattern) };
        let ended = flitch.cli(&["test"], "");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
}
