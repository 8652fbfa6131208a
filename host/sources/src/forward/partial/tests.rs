use serde_json::{Value, json};

use super::*;
use crate::forward::harness::pack;

const WAIT: Duration = Duration::from_secs(5);

fn partials() -> Partials {
    Partials::new(100, WAIT)
}

fn piece(id: &str, last: bool, log: &str) -> Vec<u8> {
    pack(&json!({
        "container_id": "c", "log": log, "partial_message": "true", "partial_id": id,
        "partial_last": last.to_string(), "source": "stdout",
    }))
}

/// A piece that says which one of its line it is.
fn nth(ordinal: u64, last: bool, log: &str) -> Vec<u8> {
    pack(&json!({
        "container_id": "c", "log": log, "partial_message": "true", "partial_id": "p",
        "partial_ordinal": ordinal.to_string(), "partial_last": last.to_string(),
    }))
}

/// What becomes of pieces, and of the line when no more of them come: texts, and whether they are marked.
fn joined(longest: usize, pieces: &[Vec<u8>]) -> (Vec<(String, bool)>, Faults) {
    let mut partials = Partials::new(longest, WAIT);
    let mut lines = Vec::new();
    for piece in pieces {
        assert_eq!(partials.take(b"t", 7, piece, Instant::now(), &mut lines), Taken::Yes);
    }
    partials.all(&mut lines);
    assert_eq!(partials.memory(), 0);
    let texts = lines.into_iter().map(|line| (String::from_utf8(line.log).unwrap(), line.truncated));
    (texts.collect(), partials.take_faults())
}

fn texts(lines: &[(&str, bool)]) -> Vec<(String, bool)> {
    lines.iter().map(|(text, marked)| ((*text).to_owned(), *marked)).collect()
}

#[tokio::test(start_paused = true)]
async fn pieces_are_joined_in_the_order_of_their_ordinals() {
    let pieces = [nth(1, false, "a"), nth(2, false, "b"), nth(3, false, "c"), nth(4, true, "d")];
    for order in [[0, 1, 2, 3], [3, 0, 1, 2], [3, 2, 1, 0], [1, 0, 3, 2], [0, 2, 1, 3]] {
        let pieces = order.map(|place| pieces[place].clone());
        assert_eq!(joined(100, &pieces), (texts(&[("abcd", false)]), Faults::default()), "{order:?}");
        let mut partials = partials();
        let (last, first) = pieces.split_last().unwrap();
        for piece in first {
            assert!(take(&mut partials, piece).is_empty(), "{order:?}");
        }
        assert_eq!(
            take(&mut partials, last),
            ["abcd"],
            "{order:?}: it is complete with the piece that was missing"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_stands_around_a_missing_piece_is_marked_and_counted() {
    for (pieces, lines, missing) in [
        (vec![nth(1, false, "a"), nth(3, true, "c")], vec![("a", true), ("c", true)], 1),
        (vec![nth(3, true, "c"), nth(1, false, "a")], vec![("a", true), ("c", true)], 1),
        (vec![nth(2, false, "b"), nth(3, true, "c")], vec![("bc", true)], 1),
        (
            vec![nth(1, false, "a"), nth(4, false, "d"), nth(8, true, "h")],
            vec![("a", true), ("d", true), ("h", true)],
            5,
        ),
        (vec![nth(1, false, "a"), nth(3, true, "")], vec![("a", true)], 1),
        // The end of its stream cuts a line off, and nothing of it is missing.
        (vec![nth(1, false, "a"), nth(2, false, "b")], vec![("ab", false)], 0),
        (vec![nth(u64::MAX - 1, true, "z")], vec![("z", true)], u64::MAX - 2),
    ] {
        assert_eq!(joined(100, &pieces), (texts(&lines), Faults { missing, twice: 0 }), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_comes_twice_stands_once_and_another_text_of_its_ordinal_is_kept() {
    let (a, b, c) = (nth(1, false, "a"), nth(2, false, "b"), nth(3, true, "c"));
    for (pieces, lines) in [
        (vec![a.clone(), a.clone(), b.clone(), c.clone()], vec![("abc", false)]),
        (vec![a.clone(), c.clone(), c.clone(), b.clone()], vec![("abc", false)]),
        (vec![a.clone(), nth(1, false, "x"), b.clone(), c.clone()], vec![("x", true), ("abc", false)]),
        (vec![a.clone(), c.clone(), nth(3, true, "x"), b.clone()], vec![("x", true), ("abc", false)]),
    ] {
        assert_eq!(joined(100, &pieces), (texts(&lines), Faults { missing: 0, twice: 1 }), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_that_wait_for_others_are_held_within_the_length_of_a_line() {
    let piece = |ordinal: u64| nth(ordinal, ordinal == 100, &format!("{ordinal:010}"));
    let mut partials = partials();
    let mut lines = Vec::new();
    for ordinal in (1..=50).map(|n| 2 * n) {
        partials.take(b"t", 7, &piece(ordinal), Instant::now(), &mut lines);
        assert!(partials.memory() < 100 + 10 * 128 + 2 * OVERHEAD, "{}", partials.memory());
    }
    partials.all(&mut lines);
    assert_eq!(lines.len(), 50);
    assert!(lines.iter().all(|line| line.truncated && line.log.len() == 10));
    assert_eq!(partials.take_faults().missing, 50);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_many_pieces_out_of_order_is_cut_where_one_in_order_is() {
    let piece = |ordinal: u64| nth(ordinal, ordinal == 9, &ordinal.to_string().repeat(40));
    let in_order: Vec<_> = (1..=9).map(piece).collect();
    let swapped: Vec<_> = [2, 1, 4, 3, 6, 5, 8, 7, 9].map(piece).into();
    assert_eq!(joined(100, &swapped), joined(100, &in_order));
    assert_eq!(joined(100, &swapped).0.len(), 5);
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
