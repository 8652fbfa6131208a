//! Where two judgements of one batch agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::Array;

use super::outcome::{Fate, Outcome};
use super::report::{Example, FieldReport, MAX_FIELDS};
use crate::guest::voice::one_line;
use crate::judgement::Judgement;
use flitch_core::batch::value::Scalar;
use flitch_core::batch::{Column, Records};

/// Most bytes of a value, or a reason, in an example.
const MAX_VALUE: usize = 200;
/// Most bytes of the name of a field that is told apart.
const MAX_NAME: usize = 256;
/// Most examples of one kind that a batch brings.
const OF_A_KIND: usize = 3;

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Found {
    /// Rows that were compared.
    pub records: u64,
    /// Those of which both said the same.
    pub same: u64,
    /// How many rows were, for example, kept by the one and dropped by the other.
    pub outcomes: BTreeMap<(&'static str, &'static str), u64>,
    /// By the path of a field.
    pub fields: BTreeMap<String, FieldReport>,
    /// Values of fields that are too many to be told apart.
    pub other_fields: u64,
    /// Differences with their values.
    pub examples: Vec<Example>,
}

/// Compares what two filters said of a batch of `rows` rows. No more than `most` examples are kept.
pub fn compare(rows: usize, old: &Judgement, new: &Judgement, most: usize) -> Found {
    let mut found = Found { records: rows as u64, ..Found::default() };
    let (Some(old), Some(new)) = (Outcome::of(old), Outcome::of(new)) else { return found };
    let mut differs = vec![false; rows];
    let mut pairs = Pairs::default();
    for row in 0..rows as u32 {
        let (was, is) = (old.fate(row), new.fate(row));
        *found.outcomes.entry((was.name(), is.name())).or_default() += 1;
        if !was.is_same(is) {
            differs[row as usize] = true;
            let name = Some((was.name(), is.name()));
            found.example(most, Example { row, field: None, old: told(was), new: told(is) }, name);
        } else if matches!(was, Fate::Kept(_)) {
            let both = old.places(row).iter().zip(new.places(row));
            pairs.0.extend(both.map(|((_, was), (_, is))| (row, *was as usize, *is as usize)));
        }
    }
    for name in names(&old.records, &new.records) {
        let columns = (old.records.column(name), new.records.column(name));
        found.field(name, columns, &pairs, &mut differs, most);
    }
    found.same = differs.iter().filter(|differs| !**differs).count() as u64;
    found
}

/// Records that both let go on: the row, and the place of each.
#[derive(Default)]
struct Pairs(Vec<(u32, usize, usize)>);

fn names<'a>(old: &'a Records, new: &'a Records) -> BTreeSet<&'a str> {
    old.iter().chain(new.iter()).map(|column| column.field().name().as_str()).collect()
}

fn told(fate: Fate<'_>) -> Option<String> {
    Some(match fate {
        Fate::Rejected(reason) | Fate::Unjudged(reason) => {
            format!("{}: {}", fate.name(), one_line(reason, MAX_VALUE))
        }
        Fate::Kept(records) if records > 1 => format!("split into {records}"),
        fate => fate.name().to_owned(),
    })
}

impl Found {
    fn field(
        &mut self,
        name: &str,
        (old, new): (Option<Column<'_>>, Option<Column<'_>>),
        pairs: &Pairs,
        differs: &mut [bool],
        most: usize,
    ) {
        let mut report = FieldReport::default();
        let mut examples = 0;
        if let (Some(old), Some(new)) = (old, new)
            && is_one(old, new)
            && pairs.0.iter().all(|(_, was, is)| old.place(*was) == new.place(*is))
        {
            // The same column of both: most fields of most filters.
            let there = |&&(_, was, _): &&(u32, usize, usize)| old.array().is_valid(old.place(was));
            report.same = pairs.0.iter().filter(there).count() as u64;
        } else {
            for &(row, was, is) in &pairs.0 {
                let was = old.and_then(|column| column.scalar(was));
                let is = new.and_then(|column| column.scalar(is));
                if !report.count(was.as_ref(), is.as_ref()) {
                    differs[row as usize] = true;
                    examples += 1;
                    if examples <= OF_A_KIND {
                        let field = Some(name.to_owned());
                        self.example(
                            most,
                            Example { row, field, old: was.map(text), new: is.map(text) },
                            None,
                        );
                    }
                }
            }
        }
        if report == FieldReport::default() {
            return;
        }
        if self.fields.len() < MAX_FIELDS && name.len() <= MAX_NAME {
            self.fields.insert(name.to_owned(), report);
        } else {
            self.other_fields += report.values();
        }
    }

    /// Keeps an example, if there is room; of outcomes, only the first ones of each kind.
    fn example(&mut self, most: usize, example: Example, outcome: Option<(&'static str, &'static str)>) {
        let is_another = outcome.is_none_or(|kind| self.outcomes[&kind] <= OF_A_KIND as u64);
        if self.examples.len() < most && is_another {
            self.examples.push(example);
        }
    }
}

/// Whether both are one column, of which neither filter made another.
fn is_one(old: Column<'_>, new: Column<'_>) -> bool {
    Arc::ptr_eq(old.array(), new.array()) && old.field() == new.field()
}

/// A value as JSON has it, cut, on one line.
fn text(value: Scalar<'_>) -> String {
    let mut out = Vec::new();
    match &value {
        Scalar::Text(text) => flitch_core::batch::json::write_string(text.as_bytes(), &mut out),
        other => {
            other.write_text(&mut out);
        }
    }
    let text = String::from_utf8_lossy(&out);
    match text.is_empty() {
        true => "null".to_owned(),
        false => one_line(&text, MAX_VALUE).into_owned(),
    }
}
