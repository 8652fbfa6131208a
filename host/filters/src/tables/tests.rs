use std::fs;

use super::*;
use crate::guest::bindings::{BlobsResult, ValuesResult};

fn keys(keys: &[&str]) -> ColumnResult {
    let mut blobs = BlobsResult { data: Vec::new(), ends: Vec::new() };
    for key in keys {
        blobs.data.extend_from_slice(key.as_bytes());
        blobs.ends.push(blobs.data.len() as u32);
    }
    ColumnResult { name: "keys".to_owned(), present: None, values: ValuesResult::Text(blobs) }
}

fn texts(column: &ColumnResult, rows: usize) -> Vec<Option<String>> {
    let ValuesResult::Text(blobs) = &column.values else { panic!("no text: {column:?}") };
    let starts = std::iter::once(0).chain(blobs.ends.iter().copied());
    starts
        .zip(&blobs.ends)
        .enumerate()
        .take(rows)
        .map(|(row, (start, end))| {
            let has = column.present.as_ref().is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1);
            has.then(|| String::from_utf8_lossy(&blobs.data[start as usize..*end as usize]).into_owned())
        })
        .collect()
}

fn some(texts: &[Option<&str>]) -> Vec<Option<String>> {
    texts.iter().map(|t| t.map(str::to_owned)).collect()
}

/// A folder with one table in it, and the settings that name it `t`.
fn table(file: &str, text: &str, key: &str) -> (tempfile::TempDir, BTreeMap<String, TableSettings>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(file), text).unwrap();
    let settings = TableSettings::of_file(file, key);
    (folder, BTreeMap::from([("t".to_owned(), settings)]))
}

fn places(folder: &Path) -> TablePlaces<'_> {
    TablePlaces { folder, data_dir: None, asks: false }
}

fn load(file: &str, text: &str, key: &str) -> anyhow::Result<Tables> {
    let (folder, settings) = table(file, text, key);
    Tables::load(&settings, folder.path())
}

#[test]
fn a_table_that_would_take_far_more_memory_than_it_has_bytes_is_refused_and_one_with_gaps_is_not() {
    let apart = |rows: usize| -> String {
        (0..rows).map(|row| format!("{{\"ip\":\"{row}\",\"c{row}\":1}}\n")).collect()
    };
    for (file, text, told) in [
        ("t.csv", format!("ip{}\n", ",".repeat(20_000)), "its first line has 20001 names"),
        ("t.csv", format!("ip{}\n", ",".repeat(5 << 20)), "a line of it has more than 4 MiB"),
        ("t.csv", format!("ip,a\n1{}\n", ",".repeat(5 << 20)), "a line of it has more than 4 MiB"),
        ("t.ndjson", apart(6000), "columns together, and few of them each"),
    ] {
        let error = format!("{:#}", load(file, &text, "ip").unwrap_err());
        assert!(error.contains(told), "{error}");
    }
    load("t.ndjson", &apart(2000), "ip").unwrap();
}

#[test]
fn csv_rows_are_found_by_their_key_and_an_empty_value_is_absent() {
    let tables = load("t.csv", "ip,city,a.b\n1.1.1.1,\"Delft, NL\",x\n2.2.2.2,,y\n", "ip").unwrap();
    let answer = tables
        .lookup("t", keys(&["2.2.2.2", "9", "1.1.1.1"]), &["city".into(), "a\\.b".into()], &Bounds::none())
        .unwrap();
    assert_eq!(texts(&answer[0], 3), some(&[None, None, Some("Delft, NL")]));
    assert_eq!(texts(&answer[1], 3), some(&[Some("y"), None, Some("x")]));
    assert_eq!(answer[1].name, "a\\.b");
}

#[test]
fn ndjson_values_keep_their_kind_and_a_number_is_found_by_its_text() {
    let text = "{\"id\":5,\"team\":{\"name\":\"ops\"},\"on\":true}\n\n{\"id\":6,\"level\":3}\n{\"id\":5,\"team\":{\"name\":\"web\"}}\n";
    let tables = load("t.ndjson", text, "id").unwrap();
    let want = ["team.name".to_owned(), "level".to_owned(), "on".to_owned()];
    let answer = tables.lookup("t", keys(&["5", "6"]), &want, &Bounds::none()).unwrap();
    assert_eq!(texts(&answer[0], 2), some(&[Some("web"), None]), "the last row of a key counts");
    assert!(matches!(&answer[1].values, ValuesResult::Int64(v) if v[1] == 3), "{answer:?}");
    assert_eq!(answer[2].present, Some(vec![0]));
    let ints = ColumnResult {
        name: String::new(),
        present: Some(vec![0b01]),
        values: ValuesResult::Int64(vec![6, 5]),
    };
    let answer = tables.lookup("t", ints, &["level".into()], &Bounds::none()).unwrap();
    assert_eq!(answer[0].present, Some(vec![0b01]), "an absent key finds nothing");
}

#[test]
fn an_object_of_ndjson_is_found_as_a_whole_whatever_other_rows_have_there() {
    let text = r#"{"key":"a","o":{"x":1,"in":{"y":"b"}}}
{"key":"b","o":null}
{"key":"c","o":[2]}
{"key":"d","o":{"x":2.5,"wide":WIDE}}
{"key":"e","o":{"wide":{"m7":8}}}
"#;
    let wide: Vec<String> = (0..65).map(|n| format!("\"m{n}\":{n}")).collect();
    let text = text.replace("WIDE", &format!("{{{}}}", wide.join(",")));
    let json = |column: &ColumnResult, rows| {
        let ValuesResult::Json(blobs) = &column.values else { panic!("no JSON: {column:?}") };
        texts(&ColumnResult { values: ValuesResult::Text(blobs.clone()), ..column.clone() }, rows)
    };
    let want = ["o".to_owned(), "o.in".to_owned(), "o.wide.m7".to_owned()];
    let all = load("t.ndjson", &text, "key").unwrap();
    let asked = keys(&["d", "9", "a", "c", "b", "e"]);
    let answer = all.lookup("t", asked, &want, &Bounds::none()).unwrap();
    let a = Some(r#"{"x":1,"in":{"y":"b"}}"#);
    let d = json(&answer[0], 6)[0].clone().unwrap();
    assert!(d.starts_with(r#"{"x":2.5"#) && d.contains(r#""m64":64"#), "{d}");
    assert_eq!(
        json(&answer[0], 6)[1..],
        some(&[None, a, Some("[2]"), Some("null"), Some(r#"{"wide":{"m7":8}}"#)])
    );
    assert_eq!(json(&answer[1], 6), some(&[None, None, Some(r#"{"y":"b"}"#), None, None, None]));
    assert_eq!(json(&answer[2], 6), some(&[Some("7"), None, None, None, None, Some("8")]));
    let alone = load("t.ndjson", text.lines().next().unwrap(), "key").unwrap();
    let answer = alone.lookup("t", keys(&["a"]), &want[..1], &Bounds::none()).unwrap();
    assert_eq!(json(&answer[0], 1), some(&[a]));
    let few = Bounds { bytes: 100, ..Bounds::none() };
    assert!(matches!(all.lookup("t", keys(&["d"; 10]), &want[..1], &few), Err(LookupError::TooMuch)));
}

#[test]
fn what_every_row_has_inside_of_an_object_that_was_kept_whole_is_found() {
    let members = |many: usize| (0..many).map(|n| format!("\"m{n}\":\"{n}\"")).collect::<Vec<_>>().join(",");
    let text = format!("{{\"key\":\"a\",\"o\":{{\"wide\":{{{}}}}},\"list\":[1]}}\n", members(65));
    let tables = load("t.ndjson", &text, "key").unwrap();
    let wanted = |tables: &Tables, key: &str, want: &str| {
        let answer = tables.lookup("t", keys(&[key]), &[want.to_owned()], &Bounds::none()).unwrap();
        let ValuesResult::Json(blobs) = &answer[0].values else { panic!("no JSON: {answer:?}") };
        texts(&ColumnResult { values: ValuesResult::Text(blobs.clone()), ..answer[0].clone() }, 1)
    };
    assert_eq!(wanted(&tables, "a", "o.wide.m7"), some(&[Some("\"7\"")]));
    // What is in no object is a mistake, and so is a member of what is none.
    for want in ["o.narrow.m7", "list.m7"] {
        let refused = tables.lookup("t", keys(&[]), &[want.to_owned()], &Bounds::none());
        assert!(matches!(refused, Err(LookupError::Refused(_))), "{want}");
    }
    // Of more than 256 names the others share one value, the key among them.
    let text = format!("{{{},\"key\":\"a\",\"z\":8}}\n", members(300));
    let tables = load("t.ndjson", &text, "key").unwrap();
    assert_eq!(wanted(&tables, "a", "m299"), some(&[Some("\"299\"")]));
    assert_eq!(wanted(&tables, "a", "z"), some(&[Some("8")]));
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let tables = load("t.csv", "key,city\na,b\n", "key").unwrap();
    let refused = |tables: &Tables, table: &str, want: &[String]| match tables.lookup(
        table,
        keys(&[]),
        want,
        &Bounds::none(),
    ) {
        Err(LookupError::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&tables, "u", &[]), "no table is named `u`; there are t");
    let error = refused(&tables, "t", &["town".into()]);
    assert_eq!(error, "table `t`: it has no column `town`; it has key, city");
    let none = refused(&Tables::default(), "t", &[]);
    assert!(none.contains("no `tables`"), "{none}");
    let long = refused(&tables, &"u".repeat(1 << 20), &["t".repeat(1 << 20)]);
    assert!(long.len() < 300, "a name that a guest made up is cut: {} bytes", long.len());
}

#[test]
fn a_file_that_cannot_be_a_table_is_refused_with_the_line() {
    let refused = |file, text, key| format!("{:#}", load(file, text, key).unwrap_err());
    assert!(refused("t.csv", "a,b\n1,2\n", "key").contains("has no `key`; it has a, b"));
    assert!(refused("t.csv", "key,b\n1,2,3\n", "key").contains("line: 2"));
    assert!(refused("t.csv", "key,b\n,2\n", "key").contains("row 1 has no `key`"));
    assert!(refused("t.ndjson", "{\"key\":1}\n{\"b\":\n", "key").contains("line 2"));
    assert!(refused("t.ndjson", "{\"b\":1}\n", "key").contains("row 1 has no `key`"));
    assert!(refused("t.txt", "", "key").contains("add `format: csv`, `ndjson` or `mmdb`"));
    assert!(refused("t.csv", "a\n", "key").starts_with("table `t`: "));
}

#[test]
fn a_table_is_read_again_when_its_file_changes_and_stays_where_it_breaks() {
    let (folder, settings) = table("t.csv", "key,city\na,Delft\n", "key");
    let tables = Tables::load(&settings, folder.path()).unwrap();
    let city = || texts(&tables.lookup("t", keys(&["a"]), &["city".into()], &Bounds::none()).unwrap()[0], 1);
    let write = |text: &str| {
        fs::write(folder.path().join("t.csv"), text).unwrap();
        assert!(tables.refresh(), "it has just changed");
        assert!(!tables.refresh(), "it is as it was at the last look");
    };
    write("key,city,zip\na,Utrecht,1\n");
    assert_eq!(city(), some(&[Some("Utrecht")]));
    write("key,city\na,Breda\n");
    assert_eq!(city(), some(&[Some("Utrecht")]), "a table that lost a column stays as it was");
    write("nothing");
    assert_eq!(city(), some(&[Some("Utrecht")]));
    fs::remove_file(folder.path().join("t.csv")).unwrap();
    assert!(!tables.refresh());
    assert_eq!(city(), some(&[Some("Utrecht")]));
    write("key,city,zip\na,Assen,22\n");
    assert_eq!(city(), some(&[Some("Assen")]));
}

#[test]
fn a_table_that_cannot_be_read_now_does_not_hold_up_another_that_is_new() {
    let (folder, mut settings) = table("t.csv", "key,city\n1,Delft\n", "key");
    let tables = Tables::load(&settings, folder.path()).unwrap();
    fs::remove_file(folder.path().join("t.csv")).unwrap();
    fs::write(folder.path().join("new.csv"), "key,city\n1,Oslo\n").unwrap();
    settings.insert("new".to_owned(), TableSettings::of_file("new.csv", "key"));
    let next = tables.next(&settings, &places(folder.path())).unwrap();
    let city = |tables: &Tables, name: &str| {
        texts(&tables.lookup(name, keys(&["1"]), &["city".into()], &Bounds::none()).unwrap()[0], 1)
    };
    assert_eq!(city(&next, "t"), some(&[Some("Delft")]));
    assert_eq!(city(&next, "new"), some(&[Some("Oslo")]));
    settings.get_mut("t").unwrap().key = "city".to_owned();
    let error = format!("{:#}", next.next(&settings, &places(folder.path())).unwrap_err());
    assert!(error.contains("table `t`"), "a table with other settings is read: {error}");
}

#[test]
fn keys_and_columns_that_stand_many_times_take_no_more_than_an_answer_may() {
    let tables = load("t.csv", &format!("key,text\na,{}\n", "x".repeat(10_000)), "key").unwrap();
    let bounds = Bounds { bytes: 1 << 20, ..Bounds::none() };
    let lookup =
        |keys: ColumnResult, want: usize| tables.lookup("t", keys, &vec!["text".into(); want], &bounds);
    assert_eq!(lookup(keys(&["a"; 50]), 2).unwrap().len(), 2, "a megabyte");
    assert_eq!(lookup(keys(&["a"; 200]), 1).unwrap_err(), LookupError::TooMuch);
    assert_eq!(lookup(keys(&["a"]), 200).unwrap_err(), LookupError::TooMuch);
    assert_eq!(lookup(keys(&["z"; 50_000]), 5).unwrap_err(), LookupError::TooMuch, "absent values take room");
    assert_eq!(
        lookup(keys(&[]), 100_000).unwrap_err(),
        LookupError::TooMuch,
        "and so do columns without any"
    );
}

#[test]
fn looking_up_ends_with_the_time_of_the_guest() {
    let tables = load("t.csv", "key,text\na,b\n", "key").unwrap();
    let late = Bounds::late();
    for want in [0, 1] {
        let found = tables.lookup("t", keys(&["a"]), &vec!["text".into(); want], &late);
        assert_eq!(found.unwrap_err(), LookupError::Late);
    }
}

#[test]
fn a_file_that_is_half_written_is_not_taken_for_the_table() {
    let (folder, settings) = table("t.csv", "key,city\na,Delft\nb,Breda\n", "key");
    let tables = Tables::load(&settings, folder.path()).unwrap();
    let cities =
        || texts(&tables.lookup("t", keys(&["a", "b"]), &["city".into()], &Bounds::none()).unwrap()[0], 2);
    let path = folder.path().join("t.csv");
    // Each look finds it longer than the one before.
    let whole = "key,city\na,Utrecht\nb,Assen in Drenthe\n";
    for end in [0, 9, 15, 22, 30] {
        fs::write(&path, &whole[..end]).unwrap();
        assert!(tables.refresh());
        assert_eq!(cities(), some(&[Some("Delft"), Some("Breda")]), "{end} bytes are written");
    }
    fs::write(&path, whole).unwrap();
    assert!(tables.refresh());
    assert_eq!(cities(), some(&[Some("Delft"), Some("Breda")]));
    assert!(!tables.refresh());
    assert_eq!(cities(), some(&[Some("Utrecht"), Some("Assen in Drenthe")]));
}

#[test]
fn a_field_that_no_row_of_ndjson_has_any_more_is_absent_and_holds_up_no_change() {
    let (folder, settings) = table("t.ndjson", "{\"key\":\"a\",\"city\":\"Delft\",\"note\":\"x\"}\n", "key");
    let tables = Tables::load(&settings, folder.path()).unwrap();
    for city in ["Breda", "Assen"] {
        let text = format!("{{\"key\":\"a\",\"city\":\"{city}\"}}\n\n{}", "\n".repeat(city.len()));
        fs::write(folder.path().join("t.ndjson"), &text[..text.len() - usize::from(city == "Assen")])
            .unwrap();
        while tables.refresh() {}
        let want = ["city".into(), "note".into()];
        let found = tables.lookup("t", keys(&["a"]), &want, &Bounds::none()).unwrap();
        assert_eq!(texts(&found[0], 1), some(&[Some(city)]));
        assert_eq!(found[1].present, Some(vec![0]), "filters may ask for it still");
    }
}
