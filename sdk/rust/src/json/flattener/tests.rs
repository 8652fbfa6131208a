use super::*;
use crate::Column;
use crate::json::flatten;

/// Columns, and for each text what is wrong with it.
type Become = (Vec<Column>, Vec<String>);

/// What the texts become, read one after the other by what remembers the ones before, and each by itself. With how many of them followed a trail.
fn both(flattener: &mut Flattener, texts: &[String]) -> (Become, Become, usize) {
    let data = texts.concat();
    let (mut remembering, mut by_itself) = (ColumnSet::default(), ColumnSet::default());
    let (mut wrong, mut wrong_by_itself) = (Vec::new(), Vec::new());
    let (mut rows, mut from, mut followed) = (0, 0, 0);
    flattener.begin();
    for text in texts {
        let to = from + text.len();
        followed += usize::from(flattener.trails.follow(&data, from, to, flattener.above));
        let one = flattener.flatten(&data, from, to, rows, &mut remembering);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let other = flatten(text, &flattener.prefix, rows, &mut by_itself, flattener.limits);
        rows += usize::from(other.is_ok());
        wrong.push(format!("{one:?}"));
        wrong_by_itself.push(format!("{other:?}"));
        from = to;
    }
    ((remembering.finish(rows), wrong), (by_itself.finish(rows), wrong_by_itself), followed)
}

/// Numbers that look random, and are the same in each run.
struct Random(u32);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % most
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

const NAMES: [&str; 20] = [
    "a",
    "b",
    "c",
    "a.b",
    "ab",
    "level",
    "message",
    "kubernetes",
    "@timestamp",
    "@tag",
    "@rest",
    "@version",
    "é",
    r"\u0061",
    "",
    "a_name_longer_than_sixteen_bytes",
    "x",
    "y",
    "z",
    "time",
];

const VALUES: [&str; 36] = [
    r#""""#,
    r#""x""#,
    r#""some text of more than sixteen bytes""#,
    r#""é""#,
    r#""a\"b\\""#,
    r#""\ud83d\ude00\n""#,
    r#""\ud83d""#,
    r#""\x""#,
    "\"a\tb\"",
    r#""2026-01-01T00:00:00Z""#,
    r#""2026-01-01T00:00:00.5+01:00""#,
    r#""no time""#,
    "0",
    "-0",
    "7",
    "42",
    "12345678",
    "123456789",
    "1234567890123456789",
    "9223372036854775808",
    "01",
    "1.",
    "1.5",
    "-2.50",
    "1e3",
    "5e-324",
    "1e999",
    "true",
    "false",
    "null",
    "[1, {\"a\":[]}]",
    "[1 2]",
    "{}",
    "{ }",
    "tru",
    "\"",
];

/// An object as one of the programs writes it: its names in its order, some of them left out, with its own spaces.
fn text(random: &mut Random, names: &[&str], depth: usize, [colon, comma]: [&str; 2]) -> String {
    let mut text = "{".to_owned();
    for (place, name) in names.iter().enumerate() {
        if random.below(8) == 0 {
            continue;
        }
        if text.len() > 1 {
            text.push_str(comma);
        }
        text.push_str(&format!("\"{name}\"{colon}"));
        if depth < 4 && (place * 7 + depth * 3) % 5 == 1 && random.below(8) > 0 {
            text.push_str(&self::text(random, &names[place..], depth + 1, [colon, comma]));
        } else if random.below(6) > 0 {
            // Values of one kind, as most fields have them.
            text.push_str(["\"some words\"", "200", "0.25", "\"x\"", "true"][place % 5]);
        } else {
            let odd = random.below(4) == 0;
            text.push_str(if odd { random.of(&VALUES) } else { random.of(&VALUES[9..19]) });
        }
    }
    text + "}"
}

#[test]
fn a_text_that_follows_a_trail_becomes_what_it_is_by_itself() {
    let mut random = Random(1);
    let (mut all, mut followed) = (0, 0);
    for round in 0..100 {
        let limits = Limits { depth: 1 + random.below(8), ..Limits::default() };
        let mut flattener = Flattener::new(random.of(&["", "", "p", r"p.q\.r"]), limits);
        let names: Vec<&str> = (0..1 + random.below(9)).map(|_| random.of(&NAMES)).collect();
        let style = [[":", ","], [": ", ", "], [" :", " ,\n"]][random.below(3)];
        for batch in 0..3 {
            let texts: Vec<String> = (0..40)
                .map(|_| {
                    let mut text = text(&mut random, &names, 1, style);
                    match random.below(24) {
                        0 => text.insert(0, '\u{feff}'),
                        1 => text.push_str(random.of(&[" ", "\n", "x", "}"])),
                        2 => text = text.chars().take(random.below(60)).collect(),
                        3 => {
                            let place = random.below(text.len());
                            if text.is_char_boundary(place) {
                                text.insert_str(
                                    place,
                                    random.of(&["\"", "\\", ",", " ", "{", "}", ":", "1", "\n"]),
                                );
                            }
                        }
                        _ => {}
                    }
                    text
                })
                .collect();
            let (one, other, found) = both(&mut flattener, &texts);
            assert_eq!(one.1, other.1, "round {round}, batch {batch}: {texts:#?}");
            assert_eq!(
                format!("{:?}", one.0),
                format!("{:?}", other.0),
                "round {round}, batch {batch}: {texts:#?}"
            );
            all += texts.len();
            followed += found;
        }
    }
    assert!(followed > all / 4, "{followed} of {all} followed a trail");
}

#[test]
fn texts_of_one_program_follow_the_trail_of_the_first_ones() {
    let line = |number: usize| {
        let user = if number.is_multiple_of(3) { "null".to_owned() } else { format!("\"user {number}\"") };
        let trace = if number.is_multiple_of(2) { r#","trace":{"id":"x","sampled":true}"# } else { "" };
        format!(
            r#"{{"@timestamp":"2026-01-01T00:00:00.{number:03}Z","level":"info","n":{number},"took":0.{number},"user":{user}{trace},"message":"a \"quoted\" word, and é"}}"#
        )
    };
    let mut flattener = Flattener::new("", Limits::default());
    let texts: Vec<String> = (0..100).map(line).collect();
    let (one, other, followed) = both(&mut flattener, &texts);
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    assert!(followed >= 94, "{followed}");
    // What one batch has taught holds in the next one, whose columns are others.
    let (one, other, followed) = both(&mut flattener, &texts[3..40]);
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    assert_eq!(followed, 37);
}

#[test]
fn texts_that_share_no_names_cost_no_memory_and_are_read_all_the_same() {
    let mut flattener = Flattener::new("", Limits::default());
    for batch in 0..20 {
        let texts: Vec<String> = (0..50)
            .map(|row| format!(r#"{{"f{batch}_{row}":{{"g":{{"h{row}":"x"}},"i":2}},"j{row}":[{row}]}}"#))
            .collect();
        let (one, other, _) = both(&mut flattener, &texts);
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
    assert!(flattener.trails.is_small());
    let same: Vec<String> = (0..60).map(|row| format!(r#"{{"a":{row}}}"#)).collect();
    let (one, other, followed) = both(&mut flattener, &same);
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    assert!(followed > 20, "{followed}");
}
