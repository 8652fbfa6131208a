use super::*;
use crate::testing::{Tester, batch, host};
use crate::{Fields, RecordFilter};
use serde_json::{Value as Json, json};

/// Runs `apply` over the records, and answers those that go on and those that were rejected.
fn run(
    records: &[Json],
    apply: impl Fn(&mut Record<'_>) -> Result<()> + 'static,
) -> (Vec<Json>, Vec<(u32, String)>) {
    struct Closure;
    type Apply = Box<dyn Fn(&mut Record<'_>) -> Result<()>>;
    thread_local!(static APPLY: std::cell::RefCell<Option<Apply>> = const { std::cell::RefCell::new(None) });
    impl RecordFilter for Closure {
        type Settings = Json;

        fn new(_: Json) -> Result<Self> {
            Ok(Self)
        }

        fn fields(&self) -> Fields {
            Fields::All
        }

        fn apply(&mut self, record: &mut Record<'_>) -> Result<()> {
            APPLY.with_borrow(|apply| apply.as_ref().expect("a closure")(record))
        }
    }
    APPLY.set(Some(Box::new(apply)));
    let outcome = Tester::new::<Closure, _>(json!({})).expect("settings").run(records.to_vec());
    (outcome.records, outcome.rejected)
}

#[test]
fn a_field_reads_as_its_own_type_in_whatever_company_it_comes() {
    let records = [
        json!({"v": 1}),
        json!({"v": "one \"1\""}),
        json!({"v": true}),
        json!({"v": 1.5}),
        json!({"v": [1]}),
    ];
    let (out, _) = run(&records, |record| {
        let kind = match record.get("v") {
            Some(Value::Int64(1)) => "int",
            Some(Value::Text("one \"1\"")) => "text",
            Some(Value::Boolean(true)) => "bool",
            Some(Value::Float64(_)) => "float",
            Some(Value::Json("[1]")) => "json",
            other => panic!("{other:?}"),
        };
        record.set("v", kind);
        Ok(())
    });
    assert_eq!(out, ["int", "text", "bool", "float", "json"].map(|kind| json!({"v": kind})));
}

#[test]
fn reads_see_what_was_set_and_removed_before() {
    let (out, _) = run(&[json!({"a": {"b": 1, "c": 2}, "d": "x"})], |record| {
        assert_eq!(record.int("a.b"), Some(1));
        record.set("a.b", "new");
        assert_eq!((record.text("a.b"), record.int("a.c")), (Some("new"), Some(2)));
        record.remove("a");
        assert!(!record.has("a.b") && !record.has("a.c"));
        record.set("a", 5);
        assert_eq!(record.int("a"), Some(5));
        record.set("d.e", 1.5);
        assert!(!record.has("d"), "a value below replaces the one above");
        assert_eq!(record.fields().count(), 4, "a, d.e and the two of the host");
        Ok(())
    });
    assert_eq!(out, [json!({"a": 5, "d": {"e": 1.5}})]);
}

#[test]
fn records_are_dropped_rejected_and_split_in_order() {
    let records: Vec<Json> = (0..6).map(|n| json!({"n": n, "tags": ["x", "y"]})).collect();
    let (out, rejected) = run(&records, |record| {
        record.set("seen", true);
        match record.int("n") {
            Some(0) => record.discard(),
            Some(1) => return Err(err!("one is odd")),
            Some(2) => {
                record.remove("tags");
                record.split(["a", "b", "c"], |record, part| {
                    record.set("part", part);
                    if part == "b" {
                        record.discard();
                    }
                    Ok(())
                })?;
            }
            Some(3) => record.split(0..0, |_, _| Ok(()))?,
            Some(4) => {
                record.split(0..2, |record, part: i32| {
                    record.set("n", part);
                    if part == 1 { Err(err!("half of it is bad")) } else { Ok(()) }
                })?;
            }
            _ => {}
        }
        Ok(())
    });
    assert_eq!(
        out,
        [
            json!({"n": 2, "seen": true, "part": "a"}),
            json!({"n": 2, "seen": true, "part": "c"}),
            json!({"n": 5, "seen": true, "tags": ["x", "y"]}),
        ]
    );
    assert_eq!(rejected, [(1, "one is odd".to_owned()), (4, "half of it is bad".to_owned())]);
}

#[test]
fn a_json_value_is_set_member_by_member() {
    let value = json!({"x": {"y": 1, "z.z": [true, null]}, "e": {}, "big": u64::MAX, "n": null});
    let set = value.clone();
    let (out, _) = run(&[json!({"o": {"old": 1}}), json!({})], move |record| {
        record.set_json("o", &set);
        assert_eq!(record.json("o.big"), Some(json!(u64::MAX)));
        Ok(())
    });
    assert_eq!(out, [json!({"o": value}), json!({"o": value})]);
}

#[test]
fn a_batch_that_nothing_happens_to_has_the_empty_record_of_changes() {
    let batch = batch("{\"a\":1}\n{\"a\":2}");
    let mut record = Record::new(&batch, &Fields::All);
    (0..2).for_each(|row| record.run(row, |_| Ok(())));
    let changes = record.finish();
    assert!(changes.take.is_none() && changes.set.is_empty() && changes.remove.is_empty());
}

#[test]
fn what_a_filter_logs_and_counts_shows_in_a_native_test() {
    run(&[json!({}), json!({})], |_| {
        crate::host::info("hello");
        crate::host::count("records", 2);
        Ok(())
    });
    assert_eq!(host::take_log().len(), 2);
    assert_eq!(host::take_counters()["records"], 4);
}

#[test]
fn a_filter_that_asks_for_all_finds_what_stands_in_objects_without_columns() {
    struct Finds;

    impl RecordFilter for Finds {
        type Settings = Json;

        fn new(_: Json) -> Result<Self> {
            Ok(Self)
        }

        fn apply(&mut self, record: &mut Record<'_>) -> Result<()> {
            let found = [record.text("last"), record.text("o.in.most"), record.text("o.gone")];
            let found: Vec<String> = found.into_iter().map(|text| format!("{text:?}")).collect();
            record.remove("last");
            assert!(!record.has("last"));
            record.set("found", &found.join(" "));
            Ok(())
        }
    }

    let mut record: serde_json::Map<String, Json> =
        (0..256).map(|number| (format!("a{number}"), json!(number))).collect();
    record.insert("last".to_owned(), json!("\"here\""));
    record.insert("o".to_owned(), json!({"in": {"most": "there"}}));
    let mut filter = Tester::new::<Finds, _>(json!({})).unwrap();
    let outcome = filter.run([Json::Object(record), json!({"last": "x"})]);
    assert_eq!(outcome.records[0]["found"], json!(r#"Some("\"here\"") Some("there") None"#));
    assert_eq!((outcome.records[0].get("last"), outcome.records[0].as_object().unwrap().len()), (None, 258));
    assert_eq!(outcome.records[1], json!({"found": r#"Some("x") None None"#}));
}

#[test]
fn the_fields_of_a_record_are_its_own_whatever_has_a_column_in_another() {
    let wide = |row: i64| {
        let mut record: serde_json::Map<String, Json> =
            (0..256).map(|number| (format!("a{number}"), json!(number))).collect();
        record.insert("last".to_owned(), json!(row));
        Json::Object(record).to_string()
    };
    let names = |text: &str, row: usize| {
        let (batch, mut names) = (batch(text), Vec::new());
        let mut record = Record::new(&batch, &Fields::All);
        record.run(row, |record| {
            names = record.fields().map(|(name, _)| name.to_owned()).collect();
            assert_eq!(record.int("last"), Some(7));
            record.remove("@rest");
            assert_eq!(record.get("last"), None);
            Ok(())
        });
        names
    };
    let alone = names(&wide(7), 0);
    assert!(alone.contains(&"@rest".to_owned()) && !alone.contains(&"last".to_owned()), "{alone:?}");
    assert_eq!(names(&format!("{{\"last\":5}}\n{}", wide(7)), 1), alone);
}

#[test]
fn members_that_are_set_below_an_empty_name_stay_there() {
    let batch = crate::testing::batch("{}");
    let mut record = Record::new(&batch, &Fields::All);
    record.run(0, |record| {
        record.set_json("", &json!({"a": 1}));
        Ok(())
    });
    let changes = record.finish();
    assert_eq!(changes.set.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), [".a"]);
}
