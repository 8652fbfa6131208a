//! Takes records through a pipeline: its filters as components, its router with the conditions, and buffers in which they
//! arrive.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fastrand::Rng;
use flitch_core::batch::{Batch, Records, StreamId};
use flitch_core::blocking::block_on;
use flitch_core::buffers::Buffer;
use flitch_core::exact;
use flitch_core::receipt::{self, Ledger};
use flitch_core::router::{Route, Router};
use flitch_core::telemetry::Tally;
use flitch_filters::{Chain, FilterContext, FilterSettings, LoadError, Program, Rejected};
use serde_json::Value as Json;

use crate::pipeline::PipelineSettings;

/// So many times batches are cut by chance.
const BY_CHANCE: u64 = 3;

/// What became of records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The records that each route took to its output, in order. The routes are numbered, as several may lead to one.
    pub out: BTreeMap<(String, usize), Vec<Json>>,
    /// Those that became dead letters.
    pub dead: Vec<Dead>,
    /// How many were dropped on purpose.
    pub dropped: u64,
}

/// A record that became a dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Dead {
    /// The filter or source that gave it up.
    pub by: String,
    /// Why, without the name of who says so.
    pub reason: String,
    /// The record as it came to there; a text where it never was one.
    pub record: Json,
    /// Whether a plugin failed over it, and did not reject it.
    pub is_fault: bool,
}

impl Outcome {
    /// The records that arrived at an output.
    pub fn at(&self, output: &str) -> Vec<Json> {
        let routes = self.out.iter().filter(|((to, _), _)| to == output);
        routes.flat_map(|(_, records)| records).cloned().collect()
    }
}

/// The outcomes of several batches as one.
pub fn joined(outcomes: Vec<Outcome>) -> Outcome {
    let mut all = Outcome::default();
    for Outcome { out, dead, dropped } in outcomes {
        for (route, records) in out {
            all.out.entry(route).or_default().extend(records);
        }
        all.dead.extend(dead);
        all.dropped += dropped;
    }
    all
}

/// A pipeline without sources and outputs.
pub struct Rig {
    program: Arc<Program>,
    router: Router,
    buffers: BTreeMap<(String, usize), Buffer>,
}

impl Rig {
    /// The pipeline of this name, its filters loaded.
    ///
    /// # Errors
    /// Which filter cannot be used, and why.
    pub fn new(
        name: &str,
        pipeline: &PipelineSettings,
        filters: &[(&str, &FilterSettings)],
        cx: &FilterContext,
    ) -> Result<Rig, LoadError> {
        let program = Arc::new(Program::load(filters, cx)?);
        let (mut routes, mut buffers) = (Vec::new(), BTreeMap::new());
        for (number, to) in pipeline.to.iter().enumerate() {
            let buffer = Buffer::with_room(u64::MAX);
            routes.push(Route::to(buffer.clone()).when(to.when.clone()));
            buffers.insert((to.output.clone(), number), buffer);
        }
        let router = Router::new(routes, Tally::noop()).of_pipeline(name);
        Ok(Rig { program, router, buffers })
    }

    /// Takes these batches through, one after the other, with instances of the plugins that have seen no record. Answers
    /// what became of each.
    ///
    /// # Errors
    /// What should never be: a record of which nobody says what became of it.
    pub fn run(&self, batches: &[Records]) -> Result<Vec<Outcome>, String> {
        let mut chain = self.program.chain();
        batches.iter().map(|records| self.one(&mut chain, records)).collect()
    }

    fn one(&self, chain: &mut Chain, records: &Records) -> Result<Outcome, String> {
        let ledger = Arc::<Ledger>::default();
        let receipt = receipt::issue(&ledger, records.rows(), 0, |_| {});
        let records = Arc::new(records.slice(0, records.rows()));
        let batch = chain.apply(Batch { records, receipt, stream: StreamId::UNORDERED });
        block_on(self.router.push(batch)).map_err(|closed| closed.to_string())?;
        let mut outcome = Outcome::default();
        for (route, buffer) in &self.buffers {
            let arrived = outcome.out.entry(route.clone()).or_default();
            while let Some(batch) = buffer.try_lease() {
                arrived.extend(rows(&batch.records));
                batch.receipt.delivered();
            }
        }
        outcome.dead = chain.take_rejected().iter().map(dead).collect();
        let accounts = ledger.read();
        outcome.dropped = accounts.dropped;
        match (accounts.in_flight(), accounts.returned) {
            (0, 0) => Ok(outcome),
            _ => Err(format!("not every record has ended: {accounts:?}")),
        }
    }
}

fn rows(records: &Records) -> Vec<Json> {
    let text = records.ndjson();
    (0..text.ends.len()).map(|row| exact::read(text.value(row))).collect()
}

fn dead(rejected: &Rejected) -> Dead {
    // Who gives the reason stands before it.
    let (_, reason) = rejected.reason.split_once(": ").unwrap_or(("", &rejected.reason));
    Dead {
        by: rejected.filter.to_string(),
        reason: reason.to_owned(),
        record: exact::read(&rejected.record),
        is_fault: rejected.is_fault,
    }
}

/// In which batches records come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Each in one of its own.
    OneByOne,
    /// Cut by chance.
    Cut {
        /// What leads to these cuts again.
        seed: u64,
        /// Which of those of this seed.
        number: u64,
    },
}

impl Manner {
    /// All that are tried beside one batch.
    pub fn all(seed: u64) -> impl Iterator<Item = Manner> {
        let cuts = (0..BY_CHANCE).map(move |number| Manner::Cut { seed, number });
        std::iter::once(Manner::OneByOne).chain(cuts)
    }

    /// The same records in these batches.
    pub fn cut(self, batches: &[Records]) -> Vec<Records> {
        let mut chance = match self {
            Manner::OneByOne => None,
            Manner::Cut { seed, number } => Some(Rng::with_seed(seed.wrapping_add(number << 32))),
        };
        let mut cut = Vec::new();
        for records in batches {
            let mut from = 0;
            while from < records.rows() {
                let left = records.rows() - from;
                let rows = chance.as_mut().map_or(1, |chance| chance.usize(1..=left));
                cut.push(records.slice(from, rows));
                from += rows;
            }
        }
        cut
    }
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Manner::OneByOne => f.write_str("record by record"),
            Manner::Cut { seed, .. } => write!(f, "in batches cut by chance (`--seed {seed}`)"),
        }
    }
}
