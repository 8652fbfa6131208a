//! What becomes of arrays, against what they are as JSON.

use crate::Split;
use flitch_sdk::testing::Tester;
use serde_json::{Map, Value as Json, json};

/// Numbers that look random, and are the same in each run.
struct Random(u32);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % most
    }

    fn value(&mut self, depth: usize) -> Json {
        match self.below(if depth < 3 { 10 } else { 6 }) {
            0 => json!(null),
            1 => json!([1, {"a": 2}]),
            2 => json!(1.5),
            3 => json!("text"),
            4 => json!(self.below(100)),
            5 => json!({}),
            _ => self.object(depth + 1),
        }
    }

    fn object(&mut self, depth: usize) -> Json {
        let names = ["a", "b", "c", "a.b", "list", "n", "é", ""];
        let members: Map<String, Json> = (0..self.below(5))
            .map(|_| (names[self.below(names.len())].to_owned(), self.value(depth)))
            .collect();
        Json::Object(members)
    }

    /// A record, whose `list` is an array mostly.
    fn record(&mut self, is_objects: bool) -> Json {
        let mut record = self.object(1);
        let one = |random: &mut Self| {
            if is_objects && random.below(20) > 0 { random.object(1) } else { random.value(1) }
        };
        let list: Vec<Json> = (0..self.below(6)).map(|_| one(self)).collect();
        match self.below(8) {
            0 => {}
            1 => record["list"] = json!(Json::from(list).to_string()),
            _ => record["list"] = list.into(),
        }
        record
    }
}

/// Puts members into an object; those of an object go into the one that is there.
fn put(object: &mut Map<String, Json>, members: Map<String, Json>) {
    for (name, value) in members {
        let own = object.entry(name).or_insert(Json::Null);
        match (value, own) {
            (Json::Object(inner), own) if !inner.is_empty() => {
                if !own.is_object() {
                    *own = json!({});
                }
                put(own.as_object_mut().unwrap(), inner);
            }
            (value, own) => *own = value,
        }
    }
}

/// What becomes of a record.
fn parts(record: &Json, target: Option<&str>, index: Option<&str>) -> Vec<Json> {
    let read = match &record["list"] {
        Json::String(text) => serde_json::from_str(text).unwrap_or(Json::Null),
        value => value.clone(),
    };
    let elements = match read {
        Json::Array(elements) if !elements.is_empty() => elements,
        _ => return vec![record.clone()],
    };
    if target == Some("") && !elements.iter().all(Json::is_object) {
        return vec![record.clone()];
    }
    let part = |(number, element): (usize, Json)| {
        let mut part = record.clone();
        let members = part.as_object_mut().unwrap();
        members.remove("list");
        match (target, element) {
            (Some(""), Json::Object(inner)) => put(members, inner),
            (target, element) => drop(members.insert(target.unwrap_or("list").to_owned(), element)),
        }
        if let Some(index) = index {
            members.insert(index.to_owned(), json!(number));
        }
        part
    };
    elements.into_iter().enumerate().map(part).collect()
}

#[test]
fn each_element_becomes_a_record_whatever_stands_beside_it() {
    let mut random = Random(7);
    for round in 0..1500 {
        let target = [None, Some(""), Some("to")][round % 3];
        let index = [None, Some("n")][round / 3 % 2];
        let records: Vec<Json> = (0..=random.below(5)).map(|_| random.record(target == Some(""))).collect();
        let settings = json!({"field": "list", "target": target, "index_field": index});
        let mut split = Tester::new::<Split, _>(settings).unwrap();
        let expected: Vec<Json> = records.iter().flat_map(|record| parts(record, target, index)).collect();
        let outcome = split.run(records.clone());
        assert_eq!((outcome.records, outcome.rejected), (expected, vec![]), "round {round}: {records:?}");
    }
}
