use super::*;
use crate::testing::{Tester, batch};
use crate::{ColumnFilter, Fields, Result};
use serde_json::Value as Json;

/// The values of JSON itself.
enum AsJson {}

impl Tree for AsJson {
    type Node = Json;

    fn object<'m>(members: impl Iterator<Item = (&'m str, Json)>) -> Json {
        members.map(|(name, node)| (name.to_owned(), node)).collect()
    }

    fn of(value: Value<'_>) -> Json {
        crate::testing::json_of(value)
    }

    fn members(node: &Json) -> Option<impl ExactSizeIterator<Item = (&str, &Json)>> {
        Some(node.as_object()?.iter().map(|(name, node)| (name.as_str(), node)))
    }

    fn member<'n>(node: &'n Json, name: &str) -> Option<&'n Json> {
        node.get(name)
    }

    fn put(node: &mut Json, name: &str, value: Json) {
        if let Some(members) = node.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    }

    fn remove(node: &mut Json, name: &str) -> Option<Json> {
        node.as_object_mut()?.remove(name)
    }

    fn field(node: &Json) -> Option<Value<'_>> {
        match node {
            Json::String(text) => Some(Value::Text(text)),
            Json::Bool(is) => Some(Value::Boolean(*is)),
            Json::Number(number) => number.as_i64().map(Value::Int64),
            _ => None,
        }
    }

    fn json(node: &Json) -> String {
        node.to_string()
    }
}

/// Rewrites the records of an NDJSON text, and answers the changes.
fn rewrite(ndjson: &str, edit: impl Fn(&mut Json) -> Vec<Json>) -> Changes {
    let batch = batch(ndjson);
    let mut rewriter = Rewriter::<AsJson>::new(&batch);
    for row in 0..batch.len() {
        let mut before = rewriter.before(row);
        let after = edit(&mut before.record);
        rewriter.put(row, &before, after.into_iter().map(|record| (record, None)).collect());
    }
    let mut changes = Changes::none();
    rewriter.finish(&mut changes);
    changes
}

fn set_names(changes: &Changes) -> Vec<&str> {
    changes.set.iter().map(|column| column.name.as_str()).collect()
}

#[test]
fn what_is_left_as_it_was_is_not_written() {
    let text = r#"{"a":{"b":1,"c":[2]},"n":18446744073709551615,"@tag":"t"}"#;
    let changes = rewrite(text, |record| vec![record.take()]);
    assert!(changes.set.is_empty() && changes.remove.is_empty() && changes.take.is_none(), "{changes:?}");
}

#[test]
fn a_name_that_no_text_can_say_is_left_where_it_is() {
    let changes = rewrite(r#"{"\ud800":1,"o":{"\udbff":2},"n":3}"#, |record| {
        record["n"] = Json::from(4);
        vec![record.take()]
    });
    assert_eq!((set_names(&changes), removed(&changes)), (vec!["n"], vec![]));
}

#[test]
fn what_changes_is_written_and_what_is_gone_is_removed() {
    let changes = rewrite(r#"{"a":{"b":1,"c":2},"d":3}"#, |record| {
        record["a"]["b"] = Json::from(5);
        record.as_object_mut().unwrap().remove("d");
        vec![record.take()]
    });
    assert_eq!(set_names(&changes), ["a.b"]);
    assert_eq!(changes.remove.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["d"]);
}

#[test]
fn a_record_becomes_several_or_none() {
    let changes = rewrite("{\"n\":0}\n{\"n\":2}", |record| {
        vec![record.clone(); record["n"].as_u64().unwrap() as usize]
    });
    assert_eq!(changes.take, Some(vec![1, 1]));
    assert!(changes.set.is_empty());
}

#[test]
fn a_tag_stays_where_it_is_not_said_and_is_text() {
    let changes = rewrite(r#"{"@tag":"t","n":1}"#, |_| vec![serde_json::json!({"n": 1})]);
    assert!(changes.remove.is_empty() && changes.set.is_empty(), "{changes:?}");
    let changes = rewrite(r#"{"@tag":"t"}"#, |_| vec![serde_json::json!({"@tag": 5})]);
    assert_eq!(set_names(&changes), ["_@tag"]);
}

/// A record of 300 names, of which 44 stand in `@rest`.
fn large() -> String {
    let members: Vec<String> = (0..300).map(|number| format!("\"f{number}\":{number}")).collect();
    format!("{{{}}}", members.join(","))
}

fn rest_of(changes: &Changes) -> Option<Json> {
    let rest = changes.set.iter().find(|column| column.name == REST)?;
    match rest.value(0)? {
        Value::Json(text) => Some(serde_json::from_str(text).unwrap()),
        other => panic!("{other:?}"),
    }
}

fn removed(changes: &Changes) -> Vec<&str> {
    changes.remove.iter().map(|one| one.name.as_str()).collect()
}

#[test]
fn what_stands_beside_a_change_in_a_large_record_is_not_written() {
    let changes = rewrite(&large(), |record| {
        record["f1"] = Json::from("new");
        vec![record.take()]
    });
    assert_eq!((set_names(&changes), removed(&changes)), (vec!["f1"], vec![]));
    let changes = rewrite(&large(), |record| vec![record.take()]);
    assert!(changes.set.is_empty() && changes.remove.is_empty() && changes.take.is_none(), "{changes:?}");
}

#[test]
fn a_member_without_a_column_is_removed_renamed_and_changed() {
    let edited = |edit: fn(&mut Json)| {
        let changes = rewrite(&large(), |record| {
            edit(record);
            vec![record.take()]
        });
        assert_eq!((set_names(&changes), removed(&changes)), (vec![REST], vec![REST]));
        let rest = rest_of(&changes).unwrap();
        let names: Vec<String> = rest.as_object().unwrap().keys().cloned().collect();
        // None of them has a column that stays.
        assert!(
            names.iter().all(|name| name[1..].parse::<i32>().is_ok_and(|number| number > 255)),
            "{names:?}"
        );
        rest
    };
    let rest = edited(|record| drop(record.as_object_mut().unwrap().remove("f299")));
    assert_eq!(
        (rest.as_object().unwrap().len(), &rest["f298"], rest.get("f299")),
        (43, &Json::from(298), None)
    );
    let rest = edited(|record| {
        let moved = record.as_object_mut().unwrap().remove("f299").unwrap();
        record["g300"] = moved;
    });
    assert_eq!((rest.as_object().unwrap().len(), &rest["g300"]), (44, &Json::from(299)));
    let rest = edited(|record| record["f299"] = Json::from("new"));
    assert_eq!((rest.as_object().unwrap().len(), &rest["f299"]), (44, &Json::from("new")));
}

#[test]
fn a_large_record_that_becomes_another_one_leaves_nothing_of_itself() {
    let changes = rewrite(&large(), |record| {
        let members = record.as_object().unwrap().iter();
        vec![members.map(|(name, value)| (format!("a_{name}"), value.clone())).collect()]
    });
    let rest = rest_of(&changes).unwrap();
    // The time and the tag have names as well.
    assert_eq!((changes.set.len(), rest.as_object().unwrap().len()), (257, 46));
    assert_eq!(changes.remove.len(), 257);
    assert!(removed(&changes).contains(&REST));
    let changes = rewrite(&large(), |_| vec![serde_json::json!({"f1": 1})]);
    assert!(changes.set.is_empty());
    assert_eq!(changes.remove.len(), 256);
}

#[test]
fn what_stays_without_a_column_stays_as_it_is_written() {
    let text = large().replace("\"f298\":298", r#""f298":[1e400, "\ud83d"]"#);
    let changes = rewrite(&text, |record| {
        assert_eq!(record["f298"], serde_json::json!(["1e400", "\u{fffd}"]));
        record.as_object_mut().unwrap().remove("f299");
        vec![record.take()]
    });
    let rest = changes.set[0].value(0);
    let Some(Value::Json(text)) = rest else { panic!("{rest:?}") };
    assert!(text.ends_with(r#","f298":[1e400, "\ud83d"]}"#), "{text}");
}

#[test]
fn members_of_an_object_that_stay_keep_their_columns_where_there_are_no_more_names() {
    let text = large().replacen('{', r#"{"o":{"a":1,"b":2},"#, 1);
    let changes = rewrite(&text, |record| {
        record["o"]["b"] = Json::from(3);
        record["p"] = serde_json::json!({"q": 1});
        vec![record.take()]
    });
    assert_eq!(set_names(&changes), ["o.b", REST]);
    assert_eq!(rest_of(&changes).unwrap()["p"], serde_json::json!({"q": 1}));
}

#[test]
fn a_name_of_the_hosts_becomes_another_one() {
    let changes = rewrite(r#"{"n":1}"#, |_| vec![serde_json::json!({"@rest": 5, "n": 1})]);
    assert_eq!(set_names(&changes), ["_@rest"]);
}

#[test]
fn members_of_an_object_with_an_empty_name_are_its_own() {
    let text = r#"{"":{"a":1,"b":2},"a":"top"}"#;
    let changes = rewrite(text, |record| {
        record["x"] = Json::from(1);
        vec![record.take()]
    });
    assert_eq!((set_names(&changes), removed(&changes)), (vec!["x"], vec![]));
    let changes = rewrite(r#"{"message":1}"#, |_| vec![serde_json::from_str(text).unwrap()]);
    assert_eq!(set_names(&changes), [".a", ".b", "a"]);
}

/// A program that leaves these records, for each row.
struct Program(Vec<Vec<Json>>);

impl ColumnFilter for Program {
    type Settings = Vec<Vec<Json>>;

    fn new(after: Self::Settings) -> Result<Self> {
        Ok(Self(after))
    }

    fn fields(&self) -> Fields {
        Fields::All
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let mut rewriter = Rewriter::<AsJson>::new(batch);
        for (row, after) in self.0.iter().enumerate() {
            let before = rewriter.before(row);
            rewriter.put(row, &before, after.iter().map(|record| (record.clone(), None)).collect());
        }
        rewriter.finish(changes);
        Ok(())
    }
}

/// Numbers that look random, and are the same in each run.
struct Random(u32);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % most
    }

    fn name(&mut self) -> String {
        let names = ["a", "b", "c", "ab", "a.b", r"a\", "", "é", "_@tag", "f1", "f299", "f300"];
        names[self.below(names.len())].to_owned()
    }

    fn value(&mut self, depth: usize) -> Json {
        match self.below(if depth < 10 { 14 } else { 9 }) {
            0 => Json::Null,
            1 => Json::from(true),
            2 => serde_json::json!([]),
            3 => serde_json::json!([1, {"a": "b"}]),
            4 => serde_json::json!({}),
            5 => Json::from(u64::MAX),
            6 => Json::from("text"),
            7 => Json::from(1.5),
            8 => Json::from(self.below(3)),
            _ => self.object(depth + 1),
        }
    }

    fn object(&mut self, depth: usize) -> Json {
        let many = match self.below(40) {
            0 => 300,
            1 => 70,
            _ => 0,
        };
        let mut members: serde_json::Map<String, Json> =
            (0..many).map(|number| (format!("f{number}"), Json::from(number))).collect();
        for _ in 0..self.below(5) {
            members.insert(self.name(), self.value(depth));
        }
        Json::Object(members)
    }

    /// Changes some members of an object, those within it among them.
    fn edit(&mut self, object: &mut Json) {
        let Json::Object(members) = object else { return };
        for _ in 0..self.below(3) {
            let names: Vec<String> = members.keys().cloned().collect();
            let known = names.get(self.below(names.len() + 1)).cloned();
            let name = known.unwrap_or_else(|| self.name());
            match self.below(4) {
                0 => drop(members.remove(&name)),
                1 => drop(members.insert(name, self.value(1))),
                2 => {
                    let Some(moved) = members.remove(&name) else { continue };
                    members.insert(self.name(), moved);
                }
                _ => members.get_mut(&name).into_iter().for_each(|inner| self.edit(inner)),
            }
        }
    }
}

#[test]
fn what_a_program_leaves_is_what_the_record_is_then() {
    let mut random = Random(1);
    for round in 0..2000 {
        let before: Vec<Json> = (0..=random.below(4)).map(|_| random.object(0)).collect();
        let copies = |random: &mut Random, record: &Json| {
            let count = if random.below(4) == 0 { random.below(3) } else { 1 };
            let edited = |_| {
                let mut record = record.clone();
                random.edit(&mut record);
                record
            };
            (0..count).map(edited).collect::<Vec<_>>()
        };
        let after: Vec<Vec<Json>> = before.iter().map(|record| copies(&mut random, record)).collect();
        let mut program = Tester::new::<Program, _>(serde_json::to_value(&after).unwrap()).unwrap();
        let outcome = program.run(before.clone());
        assert_eq!(outcome.records, after.concat(), "round {round}: {before:?}");
    }
}
