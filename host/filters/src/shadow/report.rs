//! What is known of how a filter and its shadow agree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::ShadowSettings;
use super::compare::Found;
use crate::filter::Filter;
use crate::guest::FaultKind;
use flitch_core::batch::time;
use flitch_core::batch::value::Scalar;
use flitch_core::clock::Clock;

/// Most fields that are told apart; what others have is counted together.
pub const MAX_FIELDS: usize = 256;
/// Most examples of one field.
const OF_A_FIELD: usize = 3;

/// How a filter and its shadow agree.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The shadow's plugin, as the configuration names it.
    pub plugin: String,
    /// SHA-256 of its code.
    pub sha256: String,
    /// Since when it is compared, RFC 3339 in UTC: it begins anew with each generation of the filter.
    pub since: String,
    /// Which part of the batches it is given.
    pub rate: f64,
    /// Batches that were compared.
    pub batches: u64,
    /// Their records.
    pub records: u64,
    /// Those of which both said the same, in every field.
    pub same: u64,
    /// Records that were sampled and not compared, since the shadow was behind.
    pub skipped: u64,
    /// What became of records, by what the filter said and what its shadow said: `kept`, `split`, `dropped`, `rejected`,
    /// `unjudged`.
    pub outcomes: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// By the path of a field, for records that both let go on.
    pub fields: BTreeMap<String, FieldReport>,
    /// Values of fields beyond the first 256.
    pub other_fields: u64,
    /// The filter's own side.
    pub old: Side,
    /// The shadow's.
    pub new: Side,
    /// Differences with their values, as far as `shadow.examples` wants them.
    pub examples: Vec<Example>,
    #[serde(skip)]
    most: usize,
}

/// What one of the two cost.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Side {
    /// Instances that it lost over the records that were compared, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Processor time for each record, in ns, the host's own work with its answer included.
    pub ns_per_record: f64,
    #[serde(skip)]
    time: Duration,
}

/// How the values of one field agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldReport {
    /// Records with the same value.
    pub same: u64,
    /// Records with two values.
    pub different: u64,
    /// Records in which only the filter left a value.
    pub only_old: u64,
    /// Records in which only the shadow did.
    pub only_new: u64,
    /// Values whose kind is another, by both kinds: `text -> int64`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, u64>,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The row of its batch.
    pub row: u32,
    /// The field; none where it is about what became of the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the filter left there as JSON, or what it said; none where there is nothing.
    pub old: Option<String>,
    /// The same of the shadow.
    pub new: Option<String>,
}

impl FieldReport {
    /// Counts a pair of values, and answers whether they are the same.
    pub fn count(&mut self, old: Option<&Scalar<'_>>, new: Option<&Scalar<'_>>) -> bool {
        match (old, new) {
            (None, None) => return true,
            (Some(old), Some(new)) if old == new => {
                self.same += 1;
                return true;
            }
            (Some(old), Some(new)) => {
                self.different += 1;
                let (old, new) = (kind(old), kind(new));
                if old != new {
                    *self.kinds.entry(format!("{old} -> {new}")).or_default() += 1;
                }
            }
            (Some(_), None) => self.only_old += 1,
            (None, Some(_)) => self.only_new += 1,
        }
        false
    }

    /// How many pairs it has counted.
    pub fn values(&self) -> u64 {
        self.same + self.different + self.only_old + self.only_new
    }

    fn add(&mut self, other: FieldReport) {
        self.same += other.same;
        self.different += other.different;
        self.only_old += other.only_old;
        self.only_new += other.only_new;
        for (kinds, values) in other.kinds {
            *self.kinds.entry(kinds).or_default() += values;
        }
    }
}

fn kind(value: &Scalar<'_>) -> &'static str {
    match value {
        Scalar::Text(_) => "text",
        Scalar::Bytes(_) => "bytes",
        Scalar::Int(_) => "int64",
        Scalar::Float(_) => "float64",
        Scalar::Boolean(_) => "boolean",
        Scalar::Time(_) => "timestamp",
        Scalar::Json(_) => "json",
    }
}

impl Report {
    /// Nothing yet of the shadow `filter`.
    pub fn new(filter: &Arc<Filter>, settings: &ShadowSettings) -> Report {
        Report {
            plugin: settings.plugin.clone(),
            sha256: filter.plugin().sha256().to_owned(),
            since: time::to_text(Clock::system().now()),
            rate: settings.rate,
            batches: 0,
            records: 0,
            same: 0,
            skipped: 0,
            outcomes: BTreeMap::new(),
            fields: BTreeMap::new(),
            other_fields: 0,
            old: Side::default(),
            new: Side::default(),
            examples: Vec::new(),
            most: settings.examples,
        }
    }

    /// Records were sampled and not compared.
    pub fn skip(&mut self, records: usize) {
        self.skipped += records as u64;
    }

    /// How many examples there is room for.
    pub fn most_examples(&self) -> usize {
        self.most - self.examples.len()
    }

    /// Both took so long for so many records.
    pub fn cost(&mut self, records: usize, old: Duration, new: Duration) {
        let all = (self.records + records as u64).max(1) as f64;
        for (side, time) in [(&mut self.old, old), (&mut self.new, new)] {
            side.time += time;
            side.ns_per_record = side.time.as_secs_f64() * 1e9 / all;
        }
    }

    /// Both lost these instances.
    pub fn faults(&mut self, old: &[FaultKind], new: &[FaultKind]) {
        for (side, faults) in [(&mut self.old, old), (&mut self.new, new)] {
            for fault in faults {
                *side.faults.entry(fault.name()).or_default() += 1;
            }
        }
    }

    /// Adds what the comparison of a batch has found.
    pub fn add(&mut self, found: Found) {
        self.batches += 1;
        self.records += found.records;
        self.same += found.same;
        for ((old, new), records) in found.outcomes {
            *self.outcomes.entry(old).or_default().entry(new).or_default() += records;
        }
        self.other_fields += found.other_fields;
        for (name, field) in found.fields {
            if self.fields.len() < MAX_FIELDS || self.fields.contains_key(&name) {
                self.fields.entry(name).or_default().add(field);
            } else {
                self.other_fields += field.values();
            }
        }
        for example in found.examples {
            let of_it = self.examples.iter().filter(|known| known.field == example.field).count();
            if self.examples.len() < self.most && (example.field.is_none() || of_it < OF_A_FIELD) {
                self.examples.push(example);
            }
        }
    }
}
