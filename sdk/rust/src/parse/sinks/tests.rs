use super::*;
use crate::Column;
use crate::testing::batch;
use serde_json::json;

/// Numbers that look like none that follow from each other.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

fn part(name: &str, becomes: Becomes) -> Part {
    Part { name: name.to_owned(), becomes }
}

fn parts() -> [Part; 4] {
    [
        part("text", Becomes::Field(Kind::Text)),
        part("number", Becomes::Field(Kind::Int)),
        part("skipped", Becomes::Nothing),
        part("request", Becomes::Request),
    ]
}

/// A row as it is expected: what its columns say, and none where it was refused.
type Row = Option<Vec<(&'static str, Option<String>)>>;

/// A row of four parts. Some of them lie nowhere.
struct Sample {
    text: String,
    spans: [Span; 4],
    row: Row,
}

fn sample(random: &mut Random, dash: Dash) -> Sample {
    let long = "lorem ipsum dolor sit amet, ".repeat(random.below(14));
    let text = random.of(&["", "-", "é", "four", "seventeen letters", &long]).to_owned();
    let number = random.of(&["0", "-17", "12345678", "123456789", "-", "x"]).to_owned();
    let skipped = random.of(&["", "skipped"]).to_owned();
    let request =
        random.of(&["GET / HTTP/1.1", "PATCH /a b HTTP/2", "-", "\\x16\\x03", "get / HTTP/1.1"]).to_owned();
    let pieces = [text, number, skipped, request];
    let mut whole = String::new();
    let mut spans = [NOWHERE; 4];
    for (span, piece) in spans.iter_mut().zip(&pieces) {
        whole.push_str("<<");
        let from = whole.len();
        whole.push_str(piece);
        if random.below(8) > 0 {
            *span = (from, whole.len());
        }
    }
    let value = |part: usize| {
        let is_there = spans[part] != NOWHERE && !(dash == Dash::Absent && pieces[part] == "-");
        is_there.then(|| pieces[part].clone())
    };
    let is_number = value(1).is_none_or(|number| number.parse::<i64>().is_ok());
    let [method, path, protocol] = match value(3).as_deref() {
        Some("GET / HTTP/1.1") => [Some("GET"), Some("/"), Some("HTTP/1.1")],
        Some("PATCH /a b HTTP/2") => [Some("PATCH"), Some("/a b"), Some("HTTP/2")],
        _ => [None; 3],
    };
    let row = vec![
        ("text", value(0)),
        ("number", value(1)),
        ("request", value(3).filter(|_| method.is_none())),
        ("method", method.map(str::to_owned)),
        ("path", path.map(str::to_owned)),
        ("protocol", protocol.map(str::to_owned)),
    ];
    Sample { text: whole, spans, row: is_number.then_some(row) }
}

fn value(columns: &[Column], name: &str, row: usize) -> Option<String> {
    let column = columns.iter().find(|column| column.name == name)?;
    column.value(row).map(|value| match value {
        crate::Value::Text(text) => text.to_owned(),
        crate::Value::Int64(number) => number.to_string(),
        other => panic!("{other:?}"),
    })
}

/// Adds samples, some of them from elsewhere than the batch, and compares the columns with what they should be.
fn check(rows: usize, dash: Dash, own: bool, random: &mut Random, room: &Room) -> Room {
    let samples: Vec<Sample> = (0..rows).map(|_| sample(random, dash)).collect();
    let lines: Vec<String> =
        samples.iter().map(|sample| json!({"message": sample.text}).to_string()).collect();
    let batch = batch(&lines.join("\n"));
    let data = batch.text("message").map_or("", |column| column.data());
    let mut sinks = Sinks::with_room(&parts(), &batch, "message", dash, room);
    let mut expected = Vec::new();
    let mut start = 0;
    for sample in &samples {
        let end = start + sample.text.len();
        if random.below(20) == 0 {
            sinks.push_absent();
            expected.push(Vec::new());
        }
        // A piece of the batch's own text begins there, or all of it does, or it is a copy.
        let (text, shift) = match random.below(if own { 3 } else { 2 }) {
            0 => (&data[start..end], 0),
            1 => (data, start),
            _ => (sample.text.as_str(), 0),
        };
        let moved =
            |(from, to): Span| if (from, to) == NOWHERE { NOWHERE } else { (from + shift, to + shift) };
        sinks.row().copy_from_slice(&sample.spans.map(moved));
        match (sinks.add(text), &sample.row) {
            (Ok(()), Some(row)) => expected.push(row.clone()),
            (Err(wrong), None) => {
                assert_eq!(wrong, WrongType(1));
                let reason = wrong.describe(&parts(), text, sinks.row());
                assert!(
                    reason.starts_with("`number` is \"") && reason.ends_with(", which is no int"),
                    "{reason}"
                );
            }
            (added, row) => panic!("{added:?}, and should be {row:?}"),
        }
        start = end;
    }
    let mut changes = Changes::none();
    let room = sinks.finish(&parts(), "", &mut changes);
    for (row, fields) in expected.iter().enumerate() {
        for name in ["text", "number", "request", "method", "path", "protocol"] {
            let wanted = fields.iter().find(|field| field.0 == name).and_then(|field| field.1.clone());
            let wanted =
                if name == "number" { wanted.map(|n| n.parse::<i64>().unwrap().to_string()) } else { wanted };
            assert_eq!(value(&changes.set, name, row), wanted, "{name} of row {row} of {rows}");
        }
    }
    assert!(changes.set.iter().all(|column| column.name != "skipped"));
    room
}

#[test]
fn columns_have_what_lies_at_the_spans_however_many_rows_there_are_and_wherever_their_texts_stand() {
    let mut random = Random(7);
    for dash in [Dash::Absent, Dash::Keep] {
        for own in [false, true] {
            let mut room = Room::default();
            for rows in [1, 2, 3, 63, 64, 65, 128, 200, 300] {
                room = check(rows, dash, own, &mut random, &room);
                check(rows, dash, own, &mut random, &Room::default());
            }
        }
    }
}

#[test]
fn rows_of_which_none_had_a_byte_stay_when_a_last_one_comes_by_itself() {
    let batch = batch(r#"{"message": "short"}"#);
    let parts = [part("text", Becomes::Field(Kind::Text)), part("request", Becomes::Request)];
    let none = Room { columns: vec![[0; 3]; 2], all: 1 };
    for rows in [1, 2, BLOCK, 2 * BLOCK] {
        for (spans, nothing) in [([NOWHERE; 2], None), ([(0, 0); 2], Some(""))] {
            let mut sinks = Sinks::with_room(&parts, &batch, "message", Dash::Keep, &none);
            for _ in 0..rows {
                sinks.row().copy_from_slice(&spans);
                sinks.add(batch.text("message").unwrap().data()).unwrap();
            }
            // A text of its own: what waits is written before it.
            sinks.row().copy_from_slice(&[(0, 3), (3, 17)]);
            sinks.add("ownGET / HTTP/1.1").unwrap();
            let mut changes = Changes::none();
            sinks.finish(&parts, "", &mut changes);
            for row in 0..rows {
                assert_eq!(value(&changes.set, "text", row).as_deref(), nothing);
                assert_eq!(value(&changes.set, "path", row), None);
            }
            assert_eq!(value(&changes.set, "text", rows).as_deref(), Some("own"));
            assert_eq!(value(&changes.set, "path", rows).as_deref(), Some("/"));
        }
    }
}

#[test]
fn a_part_that_lies_outside_of_its_text_is_no_field() {
    for outside in [(2, 6), (3, 2), (6, 6), (NOWHERE.0, 2), (2, NOWHERE.1)] {
        let batch = batch(r#"{"message": "short"}"#);
        let parts = [part("text", Becomes::Field(Kind::Text))];
        let made = std::panic::catch_unwind(|| {
            let mut sinks = Sinks::new(&parts, &batch, "message", Dash::Keep);
            sinks.row()[0] = outside;
            sinks.add(batch.text("message").unwrap().data()).unwrap();
            sinks.finish(&parts, "", &mut Changes::none());
        });
        assert!(made.is_err(), "{outside:?}");
    }
}
