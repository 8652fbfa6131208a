//! Parquet files on a real S3 server, read back record by record by pyarrow and by DuckDB.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use flitch_tests::flitch::Flitch;
use flitch_tests::parquet;
use flitch_tests::servers::s3::{KEY, KEY_ID, S3};
use flitch_tests::wait::eventually;
use serde_json::{Map, Value, json};

use crate::support::*;

fn config(s3: &S3, more: &str) -> String {
    let source = "{ type: file, include: [\"{dir}/app.log\"], read_from: beginning, poll_interval: 50ms, codec: json }";
    let output = format!(
        "out: {{ type: s3, bucket: logs, endpoint: \"{}\", access_key_id: {KEY_ID}, secret_access_key: {KEY}, {more} }}",
        s3.endpoint()
    );
    pipeline(source, &[], &output)
}

/// A record of every kind of value; some fields are there now and then, and of one the kind changes.
pub(crate) fn record(n: usize) -> Value {
    let mut record = json!({
        "@timestamp": format!("2026-01-31T{:02}:{:02}:{:02}.{:06}Z", n / 3600 % 24, n / 60 % 60, n % 60, n),
        "n": n,
        "message": format!("line {n} \"quoted\" ü\n"),
        "ratio": n as f64 / 8.0,
        "ok": n.is_multiple_of(2),
        "http": { "status": 200 + n % 5, "path": format!("/p/{}", n % 17) },
        "app": format!("app-{}", n % 2),
    });
    let members = record.as_object_mut().unwrap();
    if n.is_multiple_of(3) {
        members.insert("list".to_owned(), json!([n, { "deep": null }]));
        members.insert("null".to_owned(), Value::Null);
    }
    if n.is_multiple_of(50) {
        members.insert(format!("rare.{}", n / 50 % 4), json!("x"));
    }
    let took = match n % 4 {
        0 => json!(n),
        1 => json!(n as f64 + 0.5),
        _ => Value::Null,
    };
    members.insert("took".to_owned(), took);
    if n >= 3000 {
        members.insert("ok".to_owned(), json!("yes"));
    }
    record
}

/// A record as a row: a member of each value by its path, times in microseconds, the numbers that may be float64 such.
fn row(record: &Value) -> BTreeMap<String, Value> {
    fn put(path: &str, members: &Map<String, Value>, row: &mut BTreeMap<String, Value>) {
        for (name, value) in members {
            let name = if path.is_empty() { name.replace('.', "\\.") } else { format!("{path}.{name}") };
            match value {
                Value::Null => {}
                Value::Object(members) => put(&name, members, row),
                value => drop(row.insert(name, value.clone())),
            }
        }
    }
    let mut found = BTreeMap::new();
    put("", record.as_object().unwrap(), &mut found);
    if let Some(time) = found.get_mut("@timestamp") {
        let micros = time.as_str().unwrap();
        let parts: Vec<i64> =
            micros[11..].split([':', '.', 'Z']).filter_map(|part| part.parse().ok()).collect();
        *time = json!(
            1_769_817_600_000_000 + ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1_000_000 + parts[3]
        );
    }
    found
}

/// The rows that a reader finds below a folder, by their number.
pub(crate) fn found(reader: &str, folder: &Path, count: usize) -> BTreeMap<u64, BTreeMap<String, Value>> {
    let rows = parquet::rows(reader, folder).unwrap();
    let rows = rows.into_iter().map(|row| {
        let mut row: BTreeMap<String, Value> = serde_json::from_value(row).unwrap();
        for own in ["@tag", "file", "host"] {
            assert!(row.remove(own).is_some_and(|value| value.is_string()), "{own}");
        }
        (row["n"].as_u64().expect("a number"), row)
    });
    let by_number: BTreeMap<_, _> = rows.collect();
    assert_eq!(by_number.len(), count, "{reader}: records are missing");
    by_number
}

#[track_caller]
pub(crate) fn same(found: &BTreeMap<u64, BTreeMap<String, Value>>, reader: &str) {
    for (n, found) in found {
        let expected = row(&record(*n as usize));
        for (path, value) in &expected {
            let have = found.get(path);
            // Whole numbers and others met in one column.
            let is_same = match (value.as_f64(), have.and_then(Value::as_f64)) {
                (Some(one), Some(other)) => one == other,
                _ => have == Some(value),
            };
            assert!(is_same, "{reader}: record {n} has {have:?} and not {value} as {path}");
        }
        let more: Vec<_> = found.keys().filter(|path| !expected.contains_key(*path)).collect();
        assert!(more.is_empty(), "{reader}: record {n} has {more:?} too");
    }
}

fn write(flitch: &Flitch, lines: std::ops::Range<usize>) {
    let text: String = lines.map(|n| format!("{}\n", record(n))).collect();
    open(&flitch.at("app.log")).write_all(text.as_bytes()).unwrap();
}

const PARQUET: &str = "encoding: { format: parquet }";

#[test]
fn each_record_is_read_back_by_pyarrow_and_by_duckdb_whatever_the_compression() {
    for compression in ["zstd", "snappy", "gzip", "none"] {
        let s3 = S3::start(&["logs"]).unwrap();
        let more = format!("key: \"app={{app}}/\", compression: {compression}, {PARQUET}");
        let mut flitch = Flitch::new(FLITCH, &config(&s3, &more));
        write(&flitch, 0..4000);
        flitch.run();
        flitch.sums_when("all is taken", DEADLINE, |sums| sums.received == 4000);
        assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
        for reader in ["pyarrow", "duckdb"] {
            same(&found(reader, &s3.bucket("logs"), 4000), reader);
            assert_eq!(parquet::rows(reader, &s3.bucket("logs")).unwrap().len(), 4000, "each once");
        }
        let names: Vec<String> = s3.objects("logs").into_keys().collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names.iter().all(|name| name.ends_with(".parquet")), "{names:?}");
        let files = s3.bucket("logs").join("*/*.parquet");
        let sql = format!(
            "select count(*), min(epoch_us(\"@timestamp\")) from read_parquet('{}')",
            files.display()
        );
        assert_eq!(parquet::query(&sql).unwrap()[0], [json!(4000), row(&record(0))["@timestamp"].clone()]);
        let sql = format!(
            "select distinct compression, stats_min is not null and stats_max is not null from parquet_metadata('{}') \
             where path_in_schema in ('n', '@timestamp')",
            files.display()
        );
        let codec = if compression == "none" { "uncompressed" } else { compression };
        assert_eq!(parquet::query(&sql).unwrap(), [[json!(codec.to_uppercase()), json!(true)]]);
    }
}

#[test]
fn a_kill_while_tables_are_built_loses_no_record() {
    let s3 = S3::start(&["logs"]).unwrap();
    let more = format!("key: \"a/\", max_bytes: 100KB, {PARQUET}");
    let mut flitch = Flitch::new(FLITCH, &config(&s3, &more));
    write(&flitch, 0..5000);
    flitch.run();
    eventually("some objects are written", DEADLINE, || s3.objects("logs").len() > 2);
    flitch.kill();
    let safe = saved_position(&flitch) as usize;
    let text = std::fs::read_to_string(flitch.at("app.log")).unwrap();
    let rest = text[safe..].lines().count() as u64;
    assert!(rest > 0);
    flitch.run();
    flitch.sums_when("all is taken", DEADLINE, |sums| sums.received == rest);
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    // What was not known to be safe came again, in objects that begin at another record.
    same(&found("pyarrow", &s3.bucket("logs"), 5000), "pyarrow");
}

#[test]
fn what_is_stored_outlasts_kills_and_a_store_that_is_away_and_each_record_is_there_once() {
    let mut s3 = S3::start(&["logs"]).unwrap();
    let more = format!("key: \"a/\", max_bytes: 100KB, ack: stored, retry: {{ max: 1s }}, {PARQUET}");
    let config = format!("drain_timeout: 1s\n{}", config(&s3, &more));
    s3.kill();
    let mut flitch = Flitch::new(FLITCH, &config);
    write(&flitch, 0..4000);
    flitch.run();
    let is_safe = |flitch: &Flitch| {
        let size = std::fs::metadata(flitch.at("app.log")).unwrap().len();
        saved_position(flitch) == size
    };
    eventually("all is stored", DEADLINE, || is_safe(&flitch));
    // Objects that are whole are there, and rows of one that is not.
    let names = || {
        let sessions = std::fs::read_dir(flitch.at("data/outputs/out/staging")).unwrap().flatten();
        let files = sessions.flat_map(|session| std::fs::read_dir(session.path()).unwrap().flatten());
        files.map(|file| file.file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let staged = names();
    assert!(staged.iter().filter(|name| name.ends_with(".rows")).count() == 1, "{staged:?}");
    assert!(staged.len() > 4, "{staged:?}");
    flitch.kill();
    // Nothing is left but what was stored; the next process takes it up, and more, and is killed too.
    std::fs::remove_file(flitch.at("app.log")).unwrap();
    flitch.run();
    write(&flitch, 4000..5000);
    eventually("more is stored", DEADLINE, || is_safe(&flitch));
    flitch.kill();
    std::fs::remove_file(flitch.at("app.log")).unwrap();
    s3.restart().unwrap();
    flitch.run();
    flitch.sums_when("all is delivered", DEADLINE, |sums| sums.delivered == 5000);
    let sums = flitch.metrics().sums();
    assert!(sums.hold() && sums.restored == 5000, "{sums}");
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
    for reader in ["pyarrow", "duckdb"] {
        same(&found(reader, &s3.bucket("logs"), 5000), reader);
        assert_eq!(parquet::rows(reader, &s3.bucket("logs")).unwrap().len(), 5000, "each once");
    }
}
