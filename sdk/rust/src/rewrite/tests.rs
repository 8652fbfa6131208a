use super::*;
use crate::testing::batch;
use serde_json::Value as Json;

/// The values of JSON itself.
enum AsJson {}

impl Tree for AsJson {
    type Node = Json;

    fn object() -> Json {
        Json::Object(Default::default())
    }

    fn of(value: Value<'_>) -> Json {
        crate::testing::json_of(value)
    }

    fn is_object(node: &Json) -> bool {
        node.is_object()
    }

    fn members(node: &Json) -> Members<'_, Json> {
        match node {
            Json::Object(members) => {
                (members.len(), Box::new(members.iter().map(|(name, node)| (name.as_str(), node))))
            }
            _ => (0, Box::new(std::iter::empty())),
        }
    }

    fn member<'n>(node: &'n Json, name: &str) -> Option<&'n Json> {
        node.get(name)
    }

    fn place<'n>(node: &'n mut Json, name: &str) -> Option<&'n mut Json> {
        Some(node.as_object_mut()?.entry(name).or_insert_with(AsJson::object))
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
        rewriter.put(row, &before, after.into_iter().map(|record| (record, None)).collect()).unwrap();
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
