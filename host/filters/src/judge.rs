//! Asks a plugin what becomes of a batch, and finds the records that it cannot survive.
//!
//! To judge is to do nothing about it: no receipt, no dead letter and no counter of records knows of it. So the same
//! batch may be judged as often as somebody likes, by the filter that is in force and by one that is only tried. What a
//! plugin does of its own accord (lines in the log, counters of its own) goes to the environment that it was given.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_schema::FieldRef;

use super::bisect::{self, Search};
use super::changes::{self, Layouts};
use super::filter::Filter;
use super::guest::answer::{Answer, copies, reason};
use super::guest::limits::Bounds;
use super::guest::lower::Handed;
use super::guest::{Fault, FaultKind, Instance};
use super::judgement::{Judgement, Part, Traffic};
use super::saved::Memory;
use super::settings::OnError;
use flitch_core::batch::builder::MAX_COLUMNS;
use flitch_core::batch::{Records, merge};
use flitch_core::receipt::Witness;

/// The column that says why a record is as it came, where `on_error: pass` lets it go on.
const ERROR: &str = "@error";
/// How much may come of a batch that is cut up before it goes on, in bytes: each of its parts may answer 1 MiB whatever it was
/// given, and there may be as many as it has records.
const MOST_HELD: usize = 8 << 20;
/// The same in columns: records that share no names would take the room of all names in each record, where they are put together.
const MOST_COLUMNS: usize = MAX_COLUMNS;
/// How long to wait before a plugin that did not start is started again, and again.
const PATIENCE: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];

/// A filter that says what becomes of batches, with an instance of its own.
#[derive(Debug)]
pub struct Judge {
    filter: Arc<Filter>,
    instance: Option<Instance>,
    /// Where what the instance remembers is kept.
    memory: Option<Memory>,
    /// Whether the records that go on are kept, and not only what became of each.
    keeps: bool,
    /// How what it answers stands among what it is given.
    layouts: Layouts,
}

impl Judge {
    /// A judge that begins with `instance`, or makes one when the first batch comes.
    pub fn new(filter: Arc<Filter>, instance: Option<Instance>) -> Judge {
        Judge { filter, instance, memory: None, keeps: true, layouts: Layouts::default() }
    }

    /// The same that only says which records it rejects, and which it cannot survive.
    pub fn keeping_nothing(self) -> Judge {
        Judge { keeps: false, ..self }
    }

    /// The same, whose first instance begins with what `memory` has, if there is one.
    pub fn with(self, memory: Option<Memory>) -> Judge {
        Judge { memory, ..self }
    }

    /// The filter.
    pub fn filter(&self) -> &Arc<Filter> {
        &self.filter
    }

    /// The instance, if there is one now.
    pub fn instance(&self) -> Option<&Instance> {
        self.instance.as_ref()
    }

    /// What becomes of `records`, however much that is.
    pub fn judge(&mut self, records: &Records) -> Judgement {
        self.judge_within(records, [usize::MAX; 2]).0
    }

    /// What becomes of `records`, or of so many of them, from the first on, as can be held of a batch that is cut up.
    pub fn judge_some(&mut self, records: &Records) -> (Judgement, usize) {
        self.judge_within(records, [MOST_HELD, MOST_COLUMNS])
    }

    fn judge_within(&mut self, records: &Records, most: [usize; 2]) -> (Judgement, usize) {
        let mut judgement = Judgement::default();
        if self.memory.is_some() {
            self.remember(&mut judgement.faults);
        }
        let time = self.filter.configured.limits.time.0;
        let mut judged = records.rows();
        if let Err(fault) = self.attempt(records, 0, time, &mut judgement) {
            let (counted, held, columns) = (0, 0, HashSet::default());
            let mut trial =
                Trial { judge: self, records, judgement: &mut judgement, counted, held, columns, most };
            judged = bisect::isolate(records.rows(), time, fault, &mut trial);
        }
        judgement.sort();
        (judgement, judged)
    }

    /// When what the instance remembers is to be saved.
    pub fn due(&self) -> Option<Instant> {
        self.memory.as_ref()?.due()
    }

    /// Saves what the instance remembers, where it has seen records since the last time. One that cannot say what it
    /// remembers is thrown away.
    pub fn save(&mut self) {
        let Some(memory) = self.memory.as_mut().filter(|memory| memory.due().is_some()) else { return };
        let Some(mut instance) = self.instance.take() else { return memory.lost() };
        let most = memory.most();
        match caught(|| instance.save(most)) {
            Ok(state) => {
                memory.saved(Ok(state));
                self.instance = Some(instance);
            }
            Err(fault) => {
                memory.saved(Err(&fault));
                self.filter.metrics.trapped(fault.kind.name());
            }
        }
    }

    /// What is to have the receipts of the records that were judged last, as the filter remembers them.
    pub fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.memory.as_ref()?.witness()
    }

    /// Gives the first instance what was kept, also where it is the first after records that are sent again. After a fault there is
    /// nothing to give: what was kept may be why.
    fn remember(&mut self, faults: &mut Vec<FaultKind>) {
        let is_past = self.memory.as_ref().is_some_and(Memory::is_past);
        if is_past {
            self.instance = None;
        }
        if (is_past || self.memory.as_ref().is_some_and(Memory::is_new))
            && let Some(mut instance) = self.instance.take().or_else(|| self.start(faults).ok())
            && let Some(memory) = &mut self.memory
        {
            let done = memory.begin().iter().try_for_each(|state| {
                let done = caught(|| instance.restore(state));
                memory.restored(&done);
                done.map_err(|fault| Some(fault.kind))?.map_err(|_| None::<FaultKind>)
            });
            match done {
                Ok(()) => self.instance = Some(instance),
                Err(kind) => faults.extend(kind),
            }
        }
        if let Some(memory) = &mut self.memory {
            memory.changed();
        }
    }

    /// Hands `records`, which are the rows from `from` on of the batch that came, to the plugin, and adds what becomes
    /// of them to `judgement`. After a fault the instance is gone, and no row is judged that was not before.
    fn attempt(
        &mut self,
        records: &Records,
        from: usize,
        time: Duration,
        judgement: &mut Judgement,
    ) -> Result<(), Fault> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.start(&mut judgement.faults)?,
        };
        let done = caught(|| match ask(&mut instance, records, time, &mut judgement.handed)? {
            Ok(answer) => self.accept(records, from, answer, judgement),
            Err(said) => self.reject_all(records, from, &reason(&said), judgement),
        });
        match done {
            Ok(()) => self.instance = Some(instance),
            Err(fault) => {
                judgement.faults.push(fault.kind);
                tracing::debug!(filter = &*self.filter.name, %fault, rows = records.rows(), "an instance is thrown away");
                return Err(fault);
            }
        }
        Ok(())
    }

    /// A new instance, after a few tries.
    #[expect(
        clippy::disallowed_methods,
        reason = "a pause between two attempts that ends early costs an attempt"
    )]
    fn start(&self, faults: &mut Vec<FaultKind>) -> Result<Instance, Fault> {
        let mut patience = PATIENCE.iter();
        loop {
            let fault = match Instance::start(&self.filter.guest) {
                Ok(Ok(instance)) => return Ok(instance),
                Ok(Err(refused)) => {
                    Fault::new(FaultKind::Start, &format!("it refuses its settings: {refused}"))
                }
                Err(fault) => Fault::new(FaultKind::Start, &fault.to_string()),
            };
            faults.push(fault.kind);
            match patience.next() {
                Some(wait) => std::thread::park_timeout(*wait),
                None => return Err(fault),
            }
        }
    }

    /// Adds the records that an answer lets go on.
    fn accept(
        &mut self,
        records: &Records,
        from: usize,
        answer: Answer,
        judgement: &mut Judgement,
    ) -> Result<(), Fault> {
        let Answer { take, rows: going, set, remove, rejected, bytes } = answer;
        let is_changed = !set.is_empty() || !remove.is_empty();
        let bounds =
            Bounds::of(&self.filter.configured.limits, if take.is_some() { records.memory() } else { 0 });
        let changed = self.layouts.apply(records, take.as_deref(), set, &remove, &bounds)?;
        let (dropped, grown) = tally(records.rows(), take.as_deref(), rejected.len());
        let (records, rows) = if self.filter.configured.on_error == OnError::Pass && !rejected.is_empty() {
            let passed = self.passed(records, &rejected)?;
            let mut rows = take.unwrap_or_default();
            let order = order(&rows, &rejected);
            rows.extend(rejected.iter().map(|(row, _)| *row));
            let rows = order.iter().map(|place| rows[*place as usize]).collect();
            let all = merge::concat(&[changed, passed]).and_then(|all| all.take(&order.into()));
            (all.map_err(Fault::nonsense)?, Some(rows))
        } else {
            (changed, take)
        };
        judgement.answered.add(going, bytes);
        if self.keeps {
            judgement.parts.push(Part { from, records, rows, is_changed });
        }
        judgement.rejected.extend(rejected.into_iter().map(|(row, reason)| (row + from as u32, reason)));
        judgement.dropped += dropped;
        judgement.grown += grown;
        Ok(())
    }

    /// Rejects all of `records` for one reason.
    fn reject_all(
        &self,
        records: &Records,
        from: usize,
        reason: &Arc<str>,
        judgement: &mut Judgement,
    ) -> Result<(), Fault> {
        let rejected = |from: usize| -> Vec<(u32, Arc<str>)> {
            (from..from + records.rows()).map(|row| (row as u32, reason.clone())).collect()
        };
        if self.filter.configured.on_error == OnError::Pass && self.keeps {
            let records = self.passed(records, &rejected(0))?;
            judgement.parts.push(Part { from, records, rows: None, is_changed: false });
        }
        judgement.rejected.extend(rejected(from));
        Ok(())
    }

    /// The rejected rows as they came, with the reasons.
    fn passed(&self, records: &Records, rejected: &[(u32, Arc<str>)]) -> Result<Records, Fault> {
        let rows: Vec<u32> = rejected.iter().map(|(row, _)| *row).collect();
        let rows = records.take(&rows.into()).map_err(Fault::nonsense)?;
        let reasons: Vec<Arc<str>> =
            self.filter.causes(rejected).into_iter().map(|cause| cause.reason).collect();
        changes::with_text(&rows, ERROR, &reasons)
    }
}

/// The search for the records that fail among those of a batch.
struct Trial<'a> {
    judge: &'a mut Judge,
    records: &'a Records,
    judgement: &'a mut Judgement,
    /// Parts of the judgement that are counted, their bytes, and the names of their columns.
    counted: usize,
    held: usize,
    columns: HashSet<FieldRef, ahash::RandomState>,
    /// Most bytes of them, and most columns.
    most: [usize; 2],
}

impl Trial<'_> {
    /// Counts the parts that have come.
    fn count(&mut self) {
        let new = &self.judgement.parts[self.counted..];
        self.held += new.iter().map(|part| part.records.memory()).sum::<usize>();
        self.columns
            .extend(new.iter().flat_map(|part| part.records.iter()).map(|column| column.field().clone()));
        self.counted += new.len();
    }
}

impl Search for Trial<'_> {
    fn attempt(&mut self, rows: Range<usize>, time: Duration) -> Result<(), Fault> {
        let part = self.records.slice(rows.start, rows.len());
        let done = self.judge.attempt(&part, rows.start, time, self.judgement);
        self.count();
        done
    }

    fn condemn(&mut self, row: usize, fault: &Fault) {
        let reason: Arc<str> = fault.to_string().into();
        self.judgement.condemned.push(row as u32);
        let record = self.records.slice(row, 1);
        if self.judge.reject_all(&record, row, &reason, self.judgement).is_err() {
            self.judgement.unjudged.push((row as u32, reason));
        }
        self.count();
    }

    fn give_up(&mut self, rows: Range<usize>, reason: &str) {
        let reason: Arc<str> = reason.into();
        self.judgement.unjudged.extend(rows.map(|row| (row as u32, reason.clone())));
    }

    fn is_full(&self) -> bool {
        self.held >= self.most[0] || self.columns.len() >= self.most[1]
    }
}

/// What `work` comes to. An answer over which the host panics costs what any other that it cannot use costs.
fn caught<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Fault::new(FaultKind::Answer, "the host panicked over its answer: please report this"))
    })
}

/// Asks the plugin what becomes of `records`. The inner error is the plugin's own: it rejects them all.
fn ask(
    instance: &mut Instance,
    records: &Records,
    time: Duration,
    traffic: &mut Traffic,
) -> Result<Result<Answer, String>, Fault> {
    let handed = Handed::gather(records, instance.wanted());
    traffic.add(records.rows(), handed.bytes());
    let columns = handed.columns();
    match instance.apply(handed.batch(&columns), handed.bytes(), time)? {
        Ok(said) => instance.check(said, records.rows()).map(Ok).map_err(Fault::nonsense),
        Err(reason) => Ok(Err(reason)),
    }
}

/// How many of `rows` rows were left out, and how many came on top.
fn tally(rows: usize, take: Option<&[u32]>, rejected: usize) -> (usize, usize) {
    let Some(take) = take else { return (0, 0) };
    let grown = copies(take, rows);
    (rows - (take.len() - grown) - rejected, grown)
}

/// Where each row of the output stands in the rows of `take` followed by the rejected ones: each of those before the
/// first row that came after it.
fn order(take: &[u32], rejected: &[(u32, Arc<str>)]) -> Vec<u32> {
    let mut order = Vec::with_capacity(take.len() + rejected.len());
    let mut left =
        rejected.iter().enumerate().map(|(place, (row, _))| ((take.len() + place) as u32, *row)).peekable();
    for (place, row) in take.iter().enumerate() {
        while let Some((passed, _)) = left.next_if(|(_, passed)| passed < row) {
            order.push(passed);
        }
        order.push(place as u32);
    }
    order.extend(left.map(|(place, _)| place));
    order
}

#[cfg(test)]
mod tests;
