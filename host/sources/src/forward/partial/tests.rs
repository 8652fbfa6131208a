use serde_json::{Value, json};

use super::*;
use crate::forward::harness::pack;

const WAIT: Duration = Duration::from_secs(5);

fn partials() -> Partials {
    Partials::new(100, WAIT)
}

fn piece(id: &str, last: bool, log: &str) -> Vec<u8> {
    pack(&json!({
        "container_id": "c", "log": log, "partial_message": "true", "partial_id": id, "partial_ordinal": "1",
        "partial_last": last.to_string(), "source": "stdout",
    }))
}

fn take(partials: &mut Partials, record: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    assert_eq!(partials.take(b"t", 7, record, Instant::now(), &mut lines), Taken::Yes);
    logs(lines)
}

fn logs(lines: Vec<Line>) -> Vec<String> {
    lines.into_iter().map(|line| String::from_utf8(line.log).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn pieces_of_several_lines_may_interleave() {
    let mut partials = partials();
    assert!(take(&mut partials, &piece("out", false, "a")).is_empty());
    assert!(take(&mut partials, &piece("err", false, "1")).is_empty());
    assert!(take(&mut partials, &piece("out", false, "b")).is_empty());
    assert_eq!(take(&mut partials, &piece("err", true, "2")), ["12"]);
    assert_eq!(take(&mut partials, &piece("out", true, "")), ["ab"]);
    assert_eq!(partials.deadline(), None);
}

#[tokio::test(start_paused = true)]
async fn the_fields_of_the_first_piece_are_those_of_the_line() {
    let mut partials = partials();
    let mut lines = Vec::new();
    partials.take(b"t", 7, &piece("p", true, "x"), Instant::now(), &mut lines);
    let line = &lines[0];
    assert_eq!((&*line.tag, line.time, line.pairs, line.answered), (&b"t"[..], 7, 2, false));
    assert_eq!(line.fields, pack(&json!({"container_id": "c", "source": "stdout"}))[1..]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_piece_is_left_alone() {
    let mut partials = partials();
    let mut lines = Vec::new();
    let almost: &[Value] = &[
        json!({"log": "x"}),
        json!({"log": "x", "partial_message": "false", "partial_id": "p"}),
        json!({"log": "x", "partial_message": "true"}),
        json!({"partial_message": "true", "partial_id": "p"}),
        json!({"log": 5, "partial_message": "true", "partial_id": "p"}),
        json!([1]),
    ];
    for record in almost {
        let taken = partials.take(b"t", 0, &pack(record), Instant::now(), &mut lines);
        assert_eq!(taken, Taken::No, "{record}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_past_the_limit_goes_on_in_the_next_record_and_loses_nothing() {
    let mut partials = partials();
    let mut lines = Vec::new();
    for n in 0..5 {
        let record = piece("p", n == 4, &n.to_string().repeat(40));
        partials.take(b"t", 7, &record, Instant::now(), &mut lines);
    }
    let marks: Vec<_> = lines.iter().map(|line| (line.log.len(), line.truncated)).collect();
    assert_eq!(marks, [(80, true), (80, true), (40, false)]);
    assert!(lines.iter().all(|line| line.pairs == 2));
}

#[tokio::test(start_paused = true)]
async fn a_line_is_complete_when_no_piece_has_come_for_a_while() {
    let mut partials = partials();
    take(&mut partials, &piece("old", false, "a"));
    tokio::time::advance(WAIT / 2).await;
    take(&mut partials, &piece("new", false, "b"));
    let mut lines = Vec::new();
    tokio::time::advance(WAIT / 2 - Duration::from_millis(1)).await;
    partials.overdue(Instant::now(), &mut lines);
    assert!(lines.is_empty());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(partials.deadline(), Some(Instant::now()));
    partials.overdue(Instant::now(), &mut lines);
    assert_eq!(logs(lines), ["a"]);
    let mut lines = Vec::new();
    partials.all(&mut lines);
    assert_eq!(logs(lines), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn too_many_open_lines_end_the_oldest() {
    let mut partials = partials();
    let mut ended = Vec::new();
    for line in 0..100 {
        ended.extend(take(&mut partials, &piece(&line.to_string(), false, &line.to_string())));
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert!(ended.len() > 80, "{ended:?}");
    assert_eq!(ended[..3], ["0", "1", "2"]);
    let mut rest = Vec::new();
    partials.all(&mut rest);
    assert_eq!(ended.len() + rest.len(), 100);
}
