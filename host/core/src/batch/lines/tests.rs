use arrow_array::cast::AsArray;

use super::*;
use crate::batch::value::Scalar;

fn texts(records: &Records) -> Vec<String> {
    let column = records.column("message").expect("the column");
    column.array().as_string::<i32>().iter().map(|v| v.unwrap_or("absent").to_owned()).collect()
}

fn finish(lines: &mut Lines) -> Records {
    lines.finish(InvalidUtf8::Replace, &Constants::new().text("@tag", "t")).records
}

#[test]
fn whole_lines_of_a_chunk_are_taken_without_their_ends() {
    let mut lines = Lines::new("message");
    let chunk = b"one\r\n\ntwo\nthree";
    assert_eq!(lines.append(chunk, &Cut::default(), 100), 10);
    lines.part(&chunk[10..]);
    assert_eq!(lines.rows(), 3);
    let records = finish(&mut lines);
    assert_eq!(texts(&records), ["one", "", "two"]);
    assert_eq!(records.constants().num_columns(), 1);
    lines.end_line();
    assert_eq!(texts(&finish(&mut lines)), ["three"]);
}

#[test]
fn a_chunk_is_taken_up_to_the_cut_or_a_line_past_the_limit() {
    let mut lines = Lines::new("message");
    let cut = Cut { rows: 2, ..Cut::default() };
    assert_eq!(lines.append(b"a\nb\nc\n", &cut, 100), 4);
    assert!(lines.full(&cut));
    finish(&mut lines);
    let cut = Cut { bytes: 5, ..Cut::default() };
    assert_eq!(lines.append(b"a\nb\nc\n", &cut, 100), 2);
    finish(&mut lines);
    assert_eq!(lines.append(b"a\nlonger\n", &Cut::default(), 5), 2);
    lines.push(b"longe");
    lines.mark_truncated();
    let records = finish(&mut lines);
    assert_eq!(texts(&records), ["a", "longe"]);
    let marks = records.column(TRUNCATED).expect("the mark").array().as_boolean().clone();
    assert_eq!(marks.iter().collect::<Vec<_>>(), [None, Some(true)]);
    assert!(
        {
            lines.push(b"x");
            finish(&mut lines)
        }
        .column(TRUNCATED)
        .is_none()
    );
}

#[test]
fn a_line_that_is_not_utf8_is_mended_or_stays_bytes_beside_lines_of_text() {
    let mut lines = Lines::new("message");
    lines.append(b"good\nb\xffd\n", &Cut::default(), 100);
    let finished = lines.finish(InvalidUtf8::Replace, &Constants::new());
    assert_eq!((texts(&finished.records), finished.replaced), (vec!["good".into(), "b\u{fffd}d".into()], 1));
    lines.append(b"good\nb\xffd\n", &Cut::default(), 100);
    let finished = lines.finish(InvalidUtf8::Bytes, &Constants::new());
    let column = finished.records.column("message").expect("the column");
    assert_eq!(column.scalar(0), Some(Scalar::Text("good".into())));
    assert_eq!(column.scalar(1), Some(Scalar::Bytes(b"b\xffd".into())));
    lines.append(b"b\xffd\n", &Cut::default(), 100);
    let alone = lines.finish(InvalidUtf8::Bytes, &Constants::new()).records;
    assert_eq!(alone.column("message").and_then(|c| c.scalar(0)), Some(Scalar::Bytes(b"b\xffd".into())));
}

#[test]
fn an_empty_line_at_the_head_of_a_batch_is_kept() {
    let mut lines = Lines::new("message");
    lines.end_line();
    lines.push(b"");
    lines.push(b"a");
    assert_eq!(texts(&finish(&mut lines)), ["", "", "a"]);
}
