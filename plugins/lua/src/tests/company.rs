//! What a script makes of a record is the same in whatever company it comes.

use crate::Lua;
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
        match self.below(12) {
            0 => json!(null),
            1 => json!([1, {"a": 2}]),
            2 => json!(1.5),
            3 => json!("a text of more than forty bytes, which is another kind of text"),
            4 => json!(self.below(3)),
            5 => json!(9_007_199_254_740_993_i64),
            6 => json!(false),
            7 => json!({}),
            8 | 9 if depth < 3 => self.object(depth + 1),
            _ => json!("text"),
        }
    }

    fn object(&mut self, depth: usize) -> Json {
        let names = [
            "a",
            "b",
            "c",
            "a.b",
            "o",
            "n'\"\\",
            "1",
            "é",
            "",
            "a name of more than forty bytes, which is long",
        ];
        let members: Map<String, Json> = (0..self.below(7))
            .map(|_| (names[self.below(names.len())].to_owned(), self.value(depth)))
            .collect();
        Json::Object(members)
    }

    fn record(&mut self) -> Json {
        let mut record = self.object(0);
        if self.below(3) == 0 {
            record["@timestamp"] = json!("2026-01-01T00:00:00.123456789Z");
        }
        if self.below(3) == 0 {
            record["@tag"] = json!("other");
        }
        record
    }
}

/// What scripts do with a record `r`.
const SCRIPTS: [&str; 33] = [
    "return 0, t, r",
    "return 2, t, r",
    "return 1, t, r",
    "return 1, t + 1, r",
    "return 2, t, {}",
    "return 2, t, {a = r.a, b = r.b}",
    "r.a = 'new' return 2, t, r",
    "r.a = nil return 2, t, r",
    "r.a = {1, 2} return 2, t, r",
    "r.a = function() end return 2, t, r",
    "r.a = 0/0 return 2, t, r",
    "r.new = 1 return 2, t, r",
    "r.new, r['x.y'], r.other = 1, 'text', false return 2, t, r",
    "r.new, r.a = {x = 1}, nil return 2, t, r",
    "for n = 1, 40 do r['x' .. n] = n end return 2, t, r",
    "r['\\255'] = function() end return 2, t, r",
    "r[1] = 1 return 2, t, r",
    "r['@tag'] = 'new' return 2, t, r",
    "r['@timestamp'] = '2026-01-01T00:00:00Z' return 2, t, r",
    "if type(r.o) == 'table' then r.o.a = 'new' end return 2, t, r",
    "if type(r.o) == 'table' then r.o.a = nil end return 2, t, r",
    "if type(r.o) == 'table' then for k in pairs(r.o) do r.o[k] = nil end end return 2, t, r",
    "r.o = nil return 2, t, r",
    "r.o = 'text' return 2, t, r",
    "r.o = {a = 1} return 2, t, r",
    "if type(r.o) == 'table' then r.o.o = {x = {}} end return 2, t, r",
    "setmetatable(r, {__index = function() return 'ghost' end}) return 2, t, r",
    "if type(r.o) == 'table' then setmetatable(r.o, {__index = {a = 1}}) end return 2, t, r",
    "return 2, t, {r, {a = 1}}",
    "if type(r.b) == 'number' then r.b = r.b + 0 r.c = tostring(r.b) end return 2, t, r",
    "local s = '' for k in pairs(r) do s = s .. k end r.a = s return 2, t, r",
    "next, type, getmetatable = nil return 2, t, r",
    "if r.a then error('no') end r.b = 1 return 2, t, r",
];

#[test]
fn a_record_among_many_becomes_what_it_becomes_by_itself() {
    let mut random = Random(3);
    for (round, script) in SCRIPTS.iter().enumerate() {
        let records: Vec<Json> = (0..40).map(|_| random.record()).collect();
        let settings = json!({
            "call": "f",
            "code": format!("local type = type function f(tag, t, r) {script} end"),
            "protected_mode": round % 2 == 0,
            "enable_flb_null": round % 3 == 0,
        });
        let mut together = Tester::new::<Lua, _>(settings.clone()).unwrap();
        let (mut expected, mut rejected) = (Vec::new(), Vec::new());
        for (row, record) in records.iter().enumerate() {
            let mut alone = Tester::new::<Lua, _>(settings.clone()).unwrap();
            let outcome = alone.run([record.clone()]);
            expected.extend(outcome.records);
            rejected.extend(outcome.rejected.into_iter().map(|(_, reason)| (row as u32, reason)));
        }
        let outcome = together.run(records);
        assert_eq!((outcome.records, outcome.rejected), (expected, rejected), "{script}");
    }
}
