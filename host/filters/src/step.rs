//! One filter of a chain on one worker: asks its guest about a batch, and makes its answer good.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Answer, copies, reason};
use super::changes;
use super::filter::Filter;
use super::instance::{Fault, FaultKind, Instance};
use super::limits::Bounds;
use super::lower::Handed;
use super::settings::OnError;
use flitch_core::batch::{Records, merge};
use flitch_core::receipt::Receipt;

mod settle;

/// The column that says why a record is as it came, where `on_error: pass` lets it go on.
const ERROR: &str = "@error";
/// How long to wait before a plugin that did not start is started again, and again.
const PATIENCE: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];

/// A record that a filter rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The filter's name in the configuration.
    pub filter: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// The record as it came to the filter: a JSON object and a newline.
    pub record: Vec<u8>,
}

/// One filter of a chain, with this worker's instance.
#[derive(Debug)]
pub struct Step {
    pub(super) filter: Arc<Filter>,
    instance: Option<Instance>,
    rejected: Vec<Rejected>,
}

/// What becomes of a batch, part by part.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The records that go on, each part with the row of the batch from which it was.
    pub parts: Vec<(usize, Records)>,
    /// Rows of the batch that were rejected, with the reasons.
    pub rejected: Vec<(u32, Arc<str>)>,
    /// Rows of which the plugin never said what becomes of them, with the reasons.
    pub unjudged: Vec<(u32, Arc<str>)>,
    /// Rows that the guest left out.
    pub dropped: usize,
    /// Rows that came on top, where one was taken several times.
    pub grown: usize,
}

impl Outcome {
    /// The same in the order of the rows.
    fn sorted(mut self) -> Outcome {
        self.parts.sort_by_key(|(from, _)| *from);
        self.rejected.sort_by_key(|(row, _)| *row);
        self.unjudged.sort_by_key(|(row, _)| *row);
        self
    }
}

impl Step {
    /// A step that begins with `instance`, or makes one when the first batch comes.
    pub fn new(filter: Arc<Filter>, instance: Option<Instance>) -> Step {
        Step { filter, instance, rejected: Vec::new() }
    }

    /// The instance, if there is one now.
    pub fn instance(&self) -> Option<&Instance> {
        self.instance.as_ref()
    }

    /// Runs the filter over records for which `receipt` answers.
    pub fn run(&mut self, records: Arc<Records>, receipt: &mut Receipt) -> Arc<Records> {
        let mut outcome = Outcome::default();
        if let Err(fault) = self.attempt(&records, 0, self.filter.limits.time.0, &mut outcome) {
            self.isolate(&records, fault, &mut outcome);
        }
        let mut outcome = outcome.sorted();
        self.settle(&records, &mut outcome, receipt);
        let parts: Vec<Records> = outcome.parts.into_iter().map(|(_, part)| part).collect();
        let out = match <[Records; 1]>::try_from(parts) {
            Ok([one]) => Ok(one),
            Err(parts) => merge::concat(&parts).map_err(|e| e.to_string()),
        };
        match out {
            Ok(out) => Arc::new(out),
            // Columns of a batch that fit one by one do not fit together: none of them may be lost.
            Err(error) => {
                tracing::error!(
                    filter = &*self.filter.name,
                    error,
                    "a batch cannot be joined; its records are sent again"
                );
                drop(receipt.split(receipt.records() as usize));
                Arc::new(records.slice(0, 0))
            }
        }
    }

    /// What was rejected since the last call, where there are no dead letters.
    pub fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }

    /// Hands `records`, which are the rows from `from` on of the batch that came, to the plugin, and adds what becomes
    /// of them to `outcome`. After a fault the instance is gone and `outcome` is as it was.
    pub(super) fn attempt(
        &mut self,
        records: &Records,
        from: usize,
        time: Duration,
        outcome: &mut Outcome,
    ) -> Result<(), Fault> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.start()?,
        };
        let done = caught(|| match ask(&mut instance, &self.filter, records, time)? {
            Ok(answer) => self.accept(records, from, answer, outcome),
            Err(said) => self.reject_all(records, from, &reason(&said), outcome),
        });
        match done {
            Ok(()) => self.instance = Some(instance),
            Err(fault) => {
                self.filter.metrics.trapped(fault.kind.name());
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
    fn start(&mut self) -> Result<Instance, Fault> {
        let mut patience = PATIENCE.iter();
        loop {
            let fault = match Instance::start(&self.filter) {
                Ok(Ok(instance)) => return Ok(instance),
                Ok(Err(refused)) => {
                    Fault::new(FaultKind::Start, &format!("it refuses its settings: {refused}"))
                }
                Err(fault) => Fault::new(FaultKind::Start, &fault.to_string()),
            };
            self.filter.metrics.trapped(fault.kind.name());
            match patience.next() {
                Some(wait) => std::thread::park_timeout(*wait),
                None => return Err(fault),
            }
        }
    }

    /// Adds the records that an answer lets go on.
    fn accept(
        &self,
        records: &Records,
        from: usize,
        answer: Answer,
        outcome: &mut Outcome,
    ) -> Result<(), Fault> {
        let Answer { take, rows, set, remove, rejected, bytes } = answer;
        let bounds = Bounds::of(&self.filter.limits, if take.is_some() { records.memory() } else { 0 });
        let changed = changes::apply(records, take.as_deref(), set, &remove, &bounds)?;
        let (dropped, grown) = tally(records.rows(), take.as_deref(), rejected.len());
        self.filter.metrics.records_out.add(rows, bytes);
        let part = if self.filter.on_error == OnError::Pass && !rejected.is_empty() {
            let passed = self.passed(records, &rejected)?;
            let order = order(take.as_deref().unwrap_or_default(), &rejected);
            merge::concat(&[changed, passed])
                .and_then(|all| all.take(&order.into()))
                .map_err(|e| nonsense(e.to_string()))?
        } else {
            changed
        };
        outcome.parts.push((from, part));
        outcome.rejected.extend(rejected.into_iter().map(|(row, reason)| (row + from as u32, reason)));
        outcome.dropped += dropped;
        outcome.grown += grown;
        Ok(())
    }

    /// Rejects all of `records` for one reason.
    pub(super) fn reject_all(
        &self,
        records: &Records,
        from: usize,
        reason: &Arc<str>,
        outcome: &mut Outcome,
    ) -> Result<(), Fault> {
        let rejected = |from: usize| -> Vec<(u32, Arc<str>)> {
            (from..from + records.rows()).map(|row| (row as u32, reason.clone())).collect()
        };
        if self.filter.on_error == OnError::Pass {
            outcome.parts.push((from, self.passed(records, &rejected(0))?));
        }
        outcome.rejected.extend(rejected(from));
        Ok(())
    }

    /// The rejected rows as they came, with the reasons.
    fn passed(&self, records: &Records, rejected: &[(u32, Arc<str>)]) -> Result<Records, Fault> {
        let rows: Vec<u32> = rejected.iter().map(|(row, _)| *row).collect();
        let rows = records.take(&rows.into()).map_err(|e| nonsense(e.to_string()))?;
        let reasons: Vec<Arc<str>> = self.causes(rejected).into_iter().map(|cause| cause.reason).collect();
        changes::with_text(&rows, ERROR, &reasons)
    }
}

fn nonsense(reason: String) -> Fault {
    Fault::new(FaultKind::Answer, &reason)
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
    filter: &Filter,
    records: &Records,
    time: Duration,
) -> Result<Result<Answer, String>, Fault> {
    let handed = Handed::gather(records, instance.wanted());
    filter.metrics.records_in.add(records.rows(), handed.bytes());
    let columns = handed.columns();
    match instance.apply(handed.batch(&columns), handed.bytes(), time)? {
        Ok(changes) => Answer::check(changes, records.rows()).map(Ok).map_err(nonsense),
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
