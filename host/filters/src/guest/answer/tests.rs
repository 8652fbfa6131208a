use super::*;
use crate::guest::bindings::exports::flitch::filter::filter::Removal;
use crate::guest::bindings::{BlobsResult, Changes, ColumnResult, ValuesResult};
use flitch_core::batch::REST;

fn check(changes: Changes, rows: usize) -> Result<Answer, String> {
    Answer::check(changes, rows, &mut Known::default())
}

fn blobs(values: &[&str]) -> BlobsResult {
    let mut blobs = BlobsResult { data: Vec::new(), ends: Vec::new() };
    for value in values {
        blobs.data.extend_from_slice(value.as_bytes());
        blobs.ends.push(blobs.data.len() as u32);
    }
    blobs
}

fn column(name: &str, values: ValuesResult) -> ColumnResult {
    ColumnResult { name: name.to_owned(), present: None, values }
}

fn nothing() -> Changes {
    Changes { take: None, set: Vec::new(), remove: Vec::new(), rejected: Vec::new() }
}

/// What is wrong with an answer of these columns to a batch of two rows.
fn wrong(set: Vec<ColumnResult>) -> String {
    check(Changes { set, ..nothing() }, 2).unwrap_err()
}

fn text(name: &str, values: &[&str]) -> ColumnResult {
    column(name, ValuesResult::Text(blobs(values)))
}

#[test]
fn the_empty_answer_keeps_each_row() {
    let answer = check(nothing(), 3).unwrap();
    assert_eq!((answer.take, answer.rows, answer.set.len()), (None, 3, 0));
}

#[test]
fn a_take_of_each_row_in_order_is_no_take() {
    let answer = check(Changes { take: Some(vec![0, 1, 2]), ..nothing() }, 3).unwrap();
    assert_eq!(answer.take, None);
}

#[test]
fn rejected_rows_are_left_out_of_the_rows_that_go_on() {
    let rejected = [3, 1].map(|row| Rejection { row, reason: "x".repeat(9999) }).into();
    let answer = check(Changes { rejected, ..nothing() }, 4).unwrap();
    assert_eq!(answer.take, Some(vec![0, 2]));
    assert_eq!(answer.rejected.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 3]);
    let kept = format!("{}… (and 7951 bytes more)", "x".repeat(MAX_REASON));
    assert_eq!(*answer.rejected[0].1, *kept);
    let twice = [1, 1].map(|row| Rejection { row, reason: String::new() }).into();
    assert_eq!(check(Changes { rejected: twice, ..nothing() }, 4).unwrap_err(), "it rejects row 1 twice");
}

#[test]
fn columns_have_a_place_for_each_row_that_goes_on() {
    let take = Some(vec![1]);
    let set = vec![text("a", &["x"])];
    assert!(check(Changes { take: take.clone(), set, ..nothing() }, 2).is_ok());
    assert_eq!(wrong(vec![text("a", &["x"])]), "column `a`: it has 1 ends for 2 rows");
    let numbers = column("n", ValuesResult::Int64(vec![1, 2, 3]));
    assert_eq!(wrong(vec![numbers]), "column `n`: it has 3 values for 2 rows");
    let bits = column("b", ValuesResult::Boolean(vec![0, 0]));
    assert_eq!(wrong(vec![bits]), "column `b`: a bitmap of 2 bytes for 2 rows");
    let mut short = text("a", &["x", "y"]);
    short.present = Some(Vec::new());
    assert_eq!(wrong(vec![short]), "column `a`: a bitmap of 0 bytes for 2 rows");
}

#[test]
fn ends_grow_and_the_last_is_where_the_data_ends() {
    let ends = |ends: &[u32]| {
        column("a", ValuesResult::Bytes(BlobsResult { data: b"xyz".to_vec(), ends: ends.to_vec() }))
    };
    assert_eq!(wrong(vec![ends(&[4, 3])]), "column `a`: a value ends before it begins");
    assert_eq!(wrong(vec![ends(&[1, 2])]), "column `a`: the last value does not end where its 3 bytes end");
    assert_eq!(wrong(vec![ends(&[1, 4])]), "column `a`: the last value does not end where its 3 bytes end");
    assert!(check(Changes { set: vec![ends(&[0, 3])], ..nothing() }, 2).is_ok());
}

#[test]
fn text_is_utf8_in_each_value() {
    let split = BlobsResult { data: "é".as_bytes().to_vec(), ends: vec![1, 2] };
    let error = wrong(vec![column("a", ValuesResult::Text(split))]);
    assert_eq!(error, "column `a`: a value begins or ends in the middle of a character");
    let bad = BlobsResult { data: vec![0xff], ends: vec![0, 1] };
    assert_eq!(wrong(vec![column("a", ValuesResult::Text(bad))]), "column `a`: its text is not UTF-8");
}

#[test]
fn a_json_column_holds_json_where_it_has_a_value() {
    let mut json = column("j", ValuesResult::Json(blobs(&["", "[1]"])));
    assert!(wrong(vec![json.clone()]).starts_with("column `j`: row 0 is not JSON"));
    json.present = Some(vec![0b10]);
    assert!(check(Changes { set: vec![json], ..nothing() }, 2).is_ok());
}

#[test]
fn names_of_the_host_have_their_kinds_and_stay() {
    assert_eq!(wrong(vec![text("@timestamp", &["x", "y"])]), "`@timestamp` must be a timestamp");
    assert_eq!(wrong(vec![column("@tag", ValuesResult::Int64(vec![1, 2]))]), "`@tag` must be text");
    assert_eq!(wrong(vec![text("@tag.x", &["x", "y"])]), "`@tag.x` lies below a name of the host's");
    assert!(check(Changes { set: vec![text("@error", &["x", "y"])], ..nothing() }, 2).is_ok());
    let remove = vec![Removal { name: "@timestamp".to_owned(), rows: None }];
    assert!(check(Changes { remove, ..nothing() }, 2).unwrap_err().contains("cannot be removed"));
}

#[test]
fn a_row_has_no_value_at_a_path_and_below_it() {
    let (outer, inner) = (text("a", &["x", "y"]), text("a.b", &["x", "y"]));
    let error = wrong(vec![inner.clone(), text("a-b", &["x", "y"]), outer.clone()]);
    assert_eq!(error, "a row has a value at `a` and at `a.b` below it");
    let some = |mut column: ColumnResult, bits| {
        column.present = Some(vec![bits]);
        column
    };
    let apart = vec![some(outer, 0b01), some(inner, 0b10)];
    assert!(check(Changes { set: apart, ..nothing() }, 2).is_ok());
    assert_eq!(wrong(vec![text("a", &["x", "y"]), text("a", &["x", "y"])]), "column `a` stands twice");
}

#[test]
fn a_path_can_be_read_back() {
    for path in ["", "a", "a\\.b.c", "a\\\\", "\\ud800", "a..b"] {
        assert!(check_name(path).is_ok(), "{path}");
    }
    for path in ["a\\", "a\\b", "\\u0041"] {
        assert!(check_name(path).is_err(), "{path}");
    }
}

#[test]
fn bits_behind_the_last_row_count_for_nothing() {
    let mut column = text("a", &["x", "y"]);
    column.present = Some(vec![0xff]);
    let answer = check(Changes { set: vec![column], ..nothing() }, 2).unwrap();
    assert_eq!(answer.set[0].array.null_count(), 0);
}

#[test]
fn a_path_has_so_many_names_and_bytes_and_no_more() {
    assert_eq!(check_name(&vec!["a"; 64].join(".")), Ok(64));
    assert!(check_name(&vec!["a"; 65].join(".")).unwrap_err().contains("has 65 names; 64 are the most"));
    assert!(check_name(&".".repeat(4000)).is_err());
    assert_eq!(check_name(&"\\.".repeat(8192)), Ok(1), "a dot within a name is none between names");
    assert!(check_name(&"a".repeat(16385)).unwrap_err().contains("has 16385 bytes; 16384 are the most"));
    let remove = vec![Removal { name: ".".repeat(4000), rows: None }];
    assert!(check(Changes { remove, ..nothing() }, 2).unwrap_err().contains("4001 names"));
}

#[test]
fn a_json_value_is_as_deep_as_a_record_may_be_with_what_it_stands_in() {
    let nested = format!("{}{}", "[".repeat(120), "]".repeat(120));
    let json = |name: &str| column(name, ValuesResult::Json(blobs(&[&nested, "1"])));
    assert!(check(Changes { set: vec![json("a.b.c")], ..nothing() }, 2).is_ok());
    let error = wrong(vec![json("a.b.c.d.e.f.g.h.i")]);
    assert!(error.contains("row 0 is not JSON: more than 128 objects and arrays"), "{error}");
    // The members in there stand at the top of the record, though the object that holds them has a name.
    let rest = |depth: usize| {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        check(Changes { set: vec![column(REST, ValuesResult::Json(blobs(&[&text, "{}"])))], ..nothing() }, 2)
    };
    assert!(rest(127).is_ok());
    assert!(rest(128).is_err());
}

#[test]
fn an_answer_sets_and_removes_so_many_fields_and_no_more() {
    let set: Vec<_> = (0..1025).map(|n| text(&format!("c{n}"), &["x", "y"])).collect();
    assert_eq!(wrong(set), "it sets 1025 fields; an answer may have 1024");
    let remove = (0..1025).map(|n| Removal { name: format!("c{n}"), rows: None }).collect();
    let error = check(Changes { remove, ..nothing() }, 2).unwrap_err();
    assert_eq!(error, "it removes 1025 fields; an answer may have 1024");
}
