use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::Field;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{LogicalType, Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::columns::COLUMNS;
use super::*;
use crate::contract::context_with;
use crate::staging::{Plan, Yard};
use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_line;
use flitch_core::batch::encode::{Encoding, Format, Framing};
use flitch_core::batch::origin::{Origins, Root};
use flitch_core::batch::template::Template;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Batch, EXTENSION_NAME, Records, StreamId, time};
use flitch_core::receipt::{self, Ledger};

fn value(field: &Field, array: &ArrayRef, row: usize) -> Option<Value> {
    use arrow_schema::DataType;
    if array.is_null(row) {
        return None;
    }
    Some(match field.data_type() {
        DataType::Utf8 if field.metadata().contains_key(EXTENSION_NAME) => {
            serde_json::from_str(array.as_string::<i32>().value(row)).unwrap()
        }
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Binary => json!(String::from_utf8_lossy(array.as_binary::<i32>().value(row))),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {
            json!(time::to_text(array.as_primitive::<TimestampMicrosecondType>().value(row) * 1000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC" => {
            json!(time::to_text(array.as_primitive::<TimestampNanosecondType>().value(row)))
        }
        other => panic!("a column of {other}"),
    })
}

/// The rows of a Parquet file as lines of JSON, their members in order.
pub(crate) fn read_table(bytes: &[u8]) -> Vec<Vec<u8>> {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let mut lines = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let values = schema.fields().iter().zip(batch.columns());
            let members =
                values.filter_map(|(field, array)| Some((field.name().clone(), value(field, array, row)?)));
            lines.push(format!("{}\n", Value::Object(members.collect::<Map<_, _>>())).into_bytes());
        }
    }
    lines
}

/// A yard for tables below `home`, with limits that nothing reaches.
fn yard(home: &TempDir, key: &str, encoding: &str, bytes: u64) -> Yard {
    Yard::new(plan(home, key, encoding, bytes)).unwrap()
}

pub(super) fn plan(home: &TempDir, key: &str, encoding: &str, bytes: u64) -> Plan {
    let encoding: Encoding = serde_json::from_str(encoding).unwrap();
    assert_eq!(encoding.format, Format::Parquet);
    Plan {
        output: "out".into(),
        folder: home.path().join("staging"),
        key: Template::parse(&format!("{key}_")).unwrap().for_paths(),
        places: None,
        keeps: false,
        longest: 1024,
        part: 1024,
        has_id: true,
        table: crate::object::table(&encoding),
        encoder: context_with(encoding, Framing::Lines).encoder,
        compression: Compression::Zstd,
        extension: ".parquet".to_owned(),
        bytes,
        age: std::time::Duration::from_secs(300),
        idle: std::time::Duration::from_secs(60),
        open: 100_000,
        held: 1 << 40,
        stored: false,
        ledgers: crate::Ledgers::apart(),
    }
}

pub(super) const PARQUET: &str = r#"{"format":"parquet"}"#;

pub(super) fn records(lines: &[String]) -> Arc<Records> {
    let mut builder = Builder::new();
    for line in lines {
        decode_line(&mut builder, line.as_bytes()).expect("JSON");
    }
    let records = builder.finish(InvalidUtf8::Replace, &Constants::new().text("@tag", "t")).records;
    // Each line comes from a place of its own, and always from that.
    let places: Vec<Origins> =
        lines.iter().map(|line| Origins::counted(Root::of("line", &[line.as_bytes()]), 0, 1)).collect();
    let places: Vec<&Origins> = places.iter().collect();
    Arc::new(records.with_origins(Some(Origins::concat(&places))))
}

pub(super) fn put(yard: &mut Yard, ledger: &Arc<Ledger>, records: Arc<Records>) {
    let receipt = receipt::issue(ledger, records.rows(), 0, |_| {});
    let batch = Batch { records, receipt, stream: StreamId::UNORDERED };
    assert!(yard.put(batch, Instant::now()).is_none());
}

/// The objects by name, once all are closed.
pub(super) fn ended(yard: &mut Yard) -> BTreeMap<String, Vec<u8>> {
    yard.close_all(Instant::now());
    let mut found = BTreeMap::new();
    while let Some(sealed) = yard.pop() {
        let bytes = std::fs::read(&sealed.object.path).unwrap();
        assert_eq!(bytes.len() as u64, sealed.object.length);
        assert!(found.insert(sealed.object.name.clone(), bytes).is_none());
        sealed.shares.into_iter().for_each(|share| share.delivered());
    }
    assert!(yard.is_empty());
    found
}

/// What `lines` become, in batches of so many rows each.
pub(super) fn built(lines: &[String], rows: usize, encoding: &str, bytes: u64) -> BTreeMap<String, Vec<u8>> {
    let (home, ledger) = (tempfile::tempdir().unwrap(), Arc::<Ledger>::default());
    let mut yard = yard(&home, "a/", encoding, bytes);
    lines.chunks(rows).for_each(|lines| put(&mut yard, &ledger, records(lines)));
    let found = ended(&mut yard);
    let accounts = ledger.read();
    assert_eq!((accounts.delivered as usize, accounts.in_flight()), (lines.len(), 0));
    found
}

fn rows(files: &BTreeMap<String, Vec<u8>>) -> Vec<Value> {
    let lines = files.values().flat_map(|file| read_table(file));
    lines.map(|line| serde_json::from_slice(&line).unwrap()).collect()
}

/// The kinds of the columns of a file, as Parquet has them.
fn kinds(file: &[u8]) -> Vec<(String, Type, Option<LogicalType>)> {
    let reader = SerializedFileReader::new(bytes::Bytes::copy_from_slice(file)).unwrap();
    let columns = reader.metadata().file_metadata().schema_descr().columns().to_vec();
    let kind = |column: &parquet::schema::types::ColumnDescPtr| {
        (column.name().to_owned(), column.physical_type(), column.logical_type_ref().cloned())
    };
    columns.iter().map(kind).collect()
}

#[test]
fn each_kind_is_a_column_of_its_own_and_those_that_meet_are_one_that_holds_both() {
    let lines = [
        r#"{"@timestamp":"2026-01-31T23:59:59.123456789Z","text":"a\n\"b\"","whole":5,"real":5.5,"yes":true}"#,
        r#"{"o":{"p":1,"q":[1,{"r":null}]},"mixed":5,"both":1,"large":9007199254740993,"none":null}"#,
        r#"{"mixed":"five","both":0.25,"large":0.5,"only.null":null}"#,
        r#"{"mixed":null}"#,
    ]
    .map(str::to_owned);
    let files = built(&lines, 4, PARQUET, 1 << 40);
    let file = files.values().next().unwrap();
    let found: Vec<(String, String)> = kinds(file)
        .into_iter()
        .map(|(name, kind, logical)| {
            let logical = logical.map_or("-".to_owned(), |logical| format!("{logical:?}"));
            (name, format!("{kind} {}", logical.split(['(', ' ', '{']).next().unwrap()))
        })
        .collect();
    let expected = [
        ("@timestamp", "INT64 Timestamp"),
        ("@tag", "BYTE_ARRAY String"),
        ("both", "DOUBLE -"),
        ("large", "BYTE_ARRAY Json"),
        ("mixed", "BYTE_ARRAY Json"),
        ("o.p", "INT64 -"),
        ("o.q", "BYTE_ARRAY Json"),
        ("real", "DOUBLE -"),
        ("text", "BYTE_ARRAY String"),
        ("whole", "INT64 -"),
        ("yes", "BOOLEAN -"),
    ];
    assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    assert_eq!(
        rows(&files),
        [
            json!({"@tag":"t","@timestamp":"2026-01-31T23:59:59.123456Z","real":5.5,"text":"a\n\"b\"","whole":5,"yes":true}),
            json!({"@tag":"t","both":1.0,"large":9007199254740993u64,"mixed":5,"o.p":1,"o.q":[1,{"r":null}]}),
            json!({"@tag":"t","both":0.25,"large":0.5,"mixed":"five"}),
            json!({"@tag":"t"}),
        ]
    );
}

#[test]
fn names_and_fields_are_those_of_the_encoding_and_times_have_its_unit() {
    let line = r#"{"@timestamp":"2026-01-31T23:59:59.123456789Z","a":{"b":1,"c":2},"d":3}"#.to_owned();
    let encoding = r#"{"format":"parquet","timestamp":"time","timestamp_format":"unix_ns","tag":false,"except":["d"],"rename":{"a":"x"}}"#;
    let files = built(&[line], 1, encoding, 1 << 40);
    assert_eq!(rows(&files), [json!({"time":"2026-01-31T23:59:59.123456789Z","x.b":1,"x.c":2})]);
}

#[test]
fn a_record_without_a_value_is_a_row_all_the_same() {
    let encoding = r#"{"format":"parquet","only":["there"]}"#;
    for lines in [vec!["{}"], vec!["{}", r#"{"there":1}"#, "{}"]] {
        let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
        let encoding = encoding.replace("\"only\"", "\"tag\":false,\"only\"");
        assert_eq!(rows(&built(&lines, 9, &encoding, 1 << 40)).len(), lines.len());
    }
}

/// Records of which all have some fields, some have others, and few have values of another kind.
pub(super) fn varied(count: usize, width: usize) -> Vec<String> {
    let line = |n: usize| {
        let mut members = format!(r#"{{"n":{n},"message":"{:0width$}","host":"h{}""#, n, n % 7);
        if n.is_multiple_of(3) {
            members += &format!(r#","status":{}"#, n % 500);
        }
        if n.is_multiple_of(1009) {
            members += r#","status":"none""#;
        }
        if n.is_multiple_of(5) {
            members += &format!(r#","list":[{n}],"took":{}.5"#, n % 11);
        } else if n.is_multiple_of(7) {
            members += &format!(r#","took":{}"#, n % 11);
        }
        members + "}"
    };
    (0..count).map(line).collect()
}

#[test]
fn the_same_records_make_the_same_files_byte_for_byte_however_the_batches_are_cut() {
    let lines = varied(5000, 100);
    let all: Vec<_> = [5000, 1024, 7, 1].map(|rows| built(&lines, rows, PARQUET, 150_000)).into();
    assert!(all[0].len() > 4, "{}", all[0].len());
    assert!(
        all.iter().all(|files| *files == all[0]),
        "{:?}",
        all.iter().map(|f| f.keys()).collect::<Vec<_>>()
    );
    let mut found: Vec<u64> = rows(&all[0]).iter().map(|row| row["n"].as_u64().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, (0..5000).collect::<Vec<_>>());
}

#[test]
fn a_file_has_row_groups_and_pages_that_a_reader_can_choose_among() {
    let lines = varied(40_000, 1000);
    let whole = built(&lines, 1024, PARQUET, 1 << 40);
    let file = bytes::Bytes::from(whole.values().next().unwrap().clone());
    let reader = SerializedFileReader::new(file).unwrap();
    let groups = reader.metadata().row_groups();
    assert!(groups.len() >= 2, "{}", groups.len());
    let place = groups[0].columns().iter().position(|column| column.column_path().string() == "n").unwrap();
    for group in groups {
        let column = group.column(place);
        let Some(Statistics::Int64(numbers)) = column.statistics() else { panic!("{column:?}") };
        assert!(numbers.min_opt() < numbers.max_opt());
        assert!(column.column_index_offset().is_some() && column.offset_index_offset().is_some());
    }
    let found: Vec<u64> = rows(&whole).iter().map(|row| row["n"].as_u64().unwrap()).collect();
    assert_eq!(found, (0..40_000).collect::<Vec<_>>());
}

#[test]
fn columns_whose_values_come_again_have_a_dictionary_and_those_whose_values_differ_none() {
    let whole = built(&varied(5000, 100), 1024, PARQUET, 1 << 40);
    let file = bytes::Bytes::from(whole.values().next().unwrap().clone());
    let reader = SerializedFileReader::new(file).unwrap();
    let columns = reader.metadata().row_group(0).columns();
    let have: Vec<_> = columns.iter().filter(|column| column.dictionary_page_offset().is_some()).collect();
    let have: Vec<_> = have.iter().map(|column| column.column_path().string()).collect();
    assert_eq!(have, ["@tag", "host", "took"]);
}

#[test]
fn what_does_not_fit_the_columns_of_an_object_begins_another_at_that_record() {
    let mut lines = varied(20_000, 1000);
    lines[18_000] = r#"{"n":18000,"fresh":"f"}"#.to_owned();
    lines[19_000] = r#"{"n":"nineteen"}"#.to_owned();
    let all: Vec<_> = [1024, 100].map(|rows| built(&lines, rows, PARQUET, 1 << 40)).into();
    assert!(all[0] == all[1]);
    let mut counts: Vec<usize> = all[0].values().map(|file| read_table(file).len()).collect();
    counts.sort_unstable();
    // The second object has no row group yet when the third kind of record comes: its columns hold both.
    assert_eq!(counts, [2_000, 18_000]);
    assert!(rows(&all[0]).iter().any(|row| row["n"] == json!("nineteen")));
}

#[test]
fn what_waits_on_the_disk_for_its_row_group_makes_the_same_file() {
    let lines = varied(3000, 100);
    let expected = built(&lines, 100, PARQUET, 1 << 40);
    let home = tempfile::tempdir().unwrap();
    let plan = crate::object::table(&serde_json::from_str(PARQUET).unwrap()).unwrap();
    let encoder = context_with(serde_json::from_str(PARQUET).unwrap(), Framing::Lines).encoder;
    let mut table = Table::new(plan, Compression::Zstd, home.path().join("1"));
    for (place, lines) in lines.chunks(100).enumerate() {
        let fields = encoder.fields(&records(lines));
        assert_eq!(table.takes(&fields, 0..lines.len()), lines.len());
        table.add(&fields, 0..lines.len());
        if place % 3 == 0 {
            table.relieve().unwrap();
        }
    }
    assert!(table.memory() < 200_000, "{}", table.memory());
    table.finish().unwrap();
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    let (file, _) = table.into_file();
    assert!(std::fs::read(file.path()).unwrap() == *expected.values().next().unwrap());
}

#[test]
fn a_disk_that_fails_while_a_table_is_made_costs_no_record() {
    let (home, ledger) = (tempfile::tempdir().unwrap(), Arc::<Ledger>::default());
    let mut yard = yard(&home, "a/", PARQUET, 1 << 40);
    let aside = home.path().join("aside");
    std::fs::rename(yard.folder(), &aside).unwrap();
    let lines = varied(2000, 100);
    put(&mut yard, &ledger, records(&lines));
    yard.close_all(Instant::now());
    assert!(!yard.takes_more() && yard.pop().is_none());
    std::fs::rename(&aside, yard.folder()).unwrap();
    let due = yard.due().unwrap();
    yard.tend(due);
    let files = ended(&mut yard);
    assert_eq!(rows(&files).len(), 2000);
    assert_eq!(files, built(&lines, 10, PARQUET, 1 << 40));
}

#[test]
fn names_without_end_begin_new_objects_and_cost_no_record() {
    let lines: Vec<String> = (0..5000).map(|n| format!(r#"{{"n":{n},"k{n}":{n}}}"#)).collect();
    let files = built(&lines, 100, PARQUET, 1 << 40);
    assert!(files.len() >= 5, "{}", files.len());
    assert!(files.values().all(|file| kinds(file).len() <= COLUMNS));
    assert_eq!(rows(&files).len(), 5000);
}

#[test]
fn rows_that_go_into_a_row_group_as_they_come_make_the_same_file_as_those_that_wait_for_it() {
    let lines = varied(35_000, 1000);
    let plan = crate::object::table(&serde_json::from_str(PARQUET).unwrap()).unwrap();
    let encoder = context_with(serde_json::from_str(PARQUET).unwrap(), Framing::Lines).encoder;
    // The file, and the most memory after the first row group.
    let built = |rows: usize, is_direct: bool| {
        let home = tempfile::tempdir().unwrap();
        let mut table = Table::new(plan, Compression::Zstd, home.path().join("1"));
        let (mut groups, mut most) = (0, 0);
        for lines in lines.chunks(rows) {
            let fields = encoder.fields(&records(lines));
            assert_eq!(table.takes(&fields, 0..lines.len()), lines.len());
            let mut from = 0;
            while from < lines.len() {
                let start = if from == 0 { 0 } else { fields.ends[from - 1] };
                let fit = fields.ends[from..].partition_point(|end| u64::from(end - start) < table.room());
                let to = (from + fit + 1).min(lines.len());
                table.add(&fields, from..to);
                if table.room() == 0 {
                    table.may_be_direct(is_direct);
                    table.write().unwrap();
                    groups += 1;
                }
                from = to;
            }
            most = most.max(if groups > 0 { table.memory() } else { 0 });
        }
        table.finish().unwrap();
        assert!(groups >= 2, "{groups}");
        let (file, _) = table.into_file();
        (std::fs::read(file.path()).unwrap(), most)
    };
    let (waiting, most) = built(1024, false);
    let (direct, less) = built(1000, true);
    assert!(waiting == direct);
    assert!(less < most / 2, "{less} of {most}");
}

#[test]
fn many_open_tables_stay_below_the_bound_of_memory() {
    let (home, ledger) = (tempfile::tempdir().unwrap(), Arc::<Ledger>::default());
    let mut yard = yard(&home, "p={k}/", PARQUET, 1 << 40);
    for round in 0..3 {
        for from in (0..1000).step_by(100) {
            let lines: Vec<String> =
                (from..from + 100).map(|k| format!(r#"{{"k":"{k}","round":{round}}}"#)).collect();
            put(&mut yard, &ledger, records(&lines));
        }
    }
    let files = ended(&mut yard);
    assert_eq!(files.len(), 1000);
    for (name, file) in &files {
        let found: Vec<Value> = read_table(file).iter().map(|l| serde_json::from_slice(l).unwrap()).collect();
        let rounds: Vec<&Value> = found.iter().map(|row| &row["round"]).collect();
        assert_eq!(rounds, [0, 1, 2], "{name}");
    }
}

#[test]
fn of_a_strict_table_each_column_has_one_kind_and_few_files_hold_what_alternates() {
    let (home, ledger) = (tempfile::tempdir().unwrap(), Arc::<Ledger>::default());
    let values = ["5", "\"five\"", "0.5", "true", "{\"a\":1}"];
    let lines: Vec<String> =
        (0..1000).map(|n| format!(r#"{{"n":{n},"v":{},"w":{n}}}"#, values[n / 2 % values.len()])).collect();
    for rows in [1000, 7, 1] {
        let mut plan = plan(&home, "a/", PARQUET, 1 << 40);
        plan.table.iter_mut().for_each(|table| table.is_strict = true);
        let mut strict = Yard::new(plan).unwrap();
        lines.chunks(rows).for_each(|lines| put(&mut strict, &ledger, records(lines)));
        let files = ended(&mut strict);
        // Numbers are in one; `v.a` is a column of its own, beside any.
        assert_eq!(files.len(), 3);
        for file in files.values() {
            assert!(
                kinds(file)
                    .iter()
                    .all(|(name, _, logical)| name != "v" || *logical != Some(LogicalType::Json))
            );
        }
        let found = self::rows(&files);
        assert_eq!(found.len(), 1000);
        for row in found {
            let n = row["n"].as_u64().unwrap() as usize;
            let expected: Value = serde_json::from_str(values[n / 2 % values.len()]).unwrap();
            match expected.as_f64() {
                Some(number) => assert_eq!(row["v"].as_f64(), Some(number)),
                None if expected.is_object() => assert_eq!(row["v.a"], 1),
                None => assert_eq!(row["v"], expected),
            }
        }
    }
    assert_eq!(ledger.read().in_flight(), 0);
}
