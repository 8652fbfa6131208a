//! From what was gathered of a partition to batches on their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flitch_core::batch::{Records, StreamId, TIMESTAMP};
use flitch_core::buffers::Closed;
use flitch_core::dead_letter::Stall;
use flitch_core::receipt::{self, Ticket, Verdict};
use flitch_core::telemetry::{Metric, Tally};

use super::gather::Gather;
use super::partition::Partition;
use crate::bell::{Bell, Hint};
use crate::multiline::{Told, Waits};
use crate::push::Push;
use crate::{ChangedValues, SourceContext};

/// Hands batches on.
pub(super) struct Sender {
    pub cx: SourceContext,
    bell: Arc<Bell>,
    push: Push,
    /// Records of some partition came back.
    came_back: Arc<AtomicBool>,
    /// Dead letters could not be written.
    unburied: bool,
    /// Shows that.
    stall: Option<Stall>,
    changed: ChangedValues,
    tombstones: metrics::Counter,
    dead: Tally,
}

impl Sender {
    pub fn new(cx: SourceContext, bell: Arc<Bell>) -> Sender {
        Sender {
            push: Push::new(&bell),
            bell,
            came_back: Arc::default(),
            unburied: false,
            stall: None,
            changed: ChangedValues::new(&cx.name),
            tombstones: Metric::KafkaTombstones.counter(&[("source", &cx.name)]),
            dead: Tally::dead_lettered("source", &cx.name),
            cx,
        }
    }

    /// Whether a batch waits for room: nothing may be sent before it has found it.
    pub fn is_blocked(&self) -> bool {
        self.push.is_blocked()
    }

    /// Whether records came back since this was asked last.
    pub fn take_came_back(&self) -> bool {
        self.came_back.swap(false, Ordering::AcqRel)
    }

    /// Whether dead letters could not be written since this was asked last.
    pub fn take_unburied(&mut self) -> bool {
        std::mem::take(&mut self.unburied)
    }

    /// Tries again to hand on the batch that waits. The bell rings when there may be room for it.
    pub fn push_on(&mut self) -> Result<(), Closed> {
        self.push.go_on()
    }

    /// Sends what was gathered of a partition, which was read up to its next offset.
    pub fn send(&mut self, partition: &mut Partition, gather: &mut Gather) -> Result<(), Closed> {
        self.tombstones.increment(std::mem::take(&mut gather.tombstones));
        let constants = partition.constants.clone().timestamp(TIMESTAMP, self.cx.clock.now());
        let finished = gather.finish(&constants, partition.root);
        // The dead letters come first: the position that the records take with them lies behind the bad ones too.
        if !gather.bad.is_empty() {
            let is_buried = self.bury(partition, gather);
            gather.bad.clear();
            if !is_buried {
                self.unburied = true;
                return Ok(());
            }
        }
        let before = std::mem::replace(&mut partition.sent, partition.next);
        let Some((finished, bytes)) = finished else {
            // What is no record is safe.
            self.on_settled(partition, partition.next)(Verdict::Safe);
            return Ok(());
        };
        self.changed.count(finished.changed());
        let (cx, stream) = (self.cx.clone(), partition.stream);
        let records = Arc::new(finished.records);
        let waits = self.waits(partition, before, &records);
        self.push.begin(async move { cx.send_lines(records, bytes, stream, waits).await.map(drop) })
    }

    /// Sends the record whose next lines do not come any more.
    pub fn end(&mut self, stream: StreamId) -> Result<(), Closed> {
        let Some(joiner) = self.cx.joiner.clone() else { return Ok(()) };
        let intake = self.cx.intake.clone();
        self.push.begin(async move { joiner.end(&intake, stream).await })
    }

    /// Puts messages that are no records among the dead letters. Answers whether they are there; where not, they count as
    /// come back, and are read again.
    fn bury(&mut self, partition: &Partition, gather: &Gather) -> bool {
        let name = &self.cx.name;
        let bytes = gather.bad.iter().map(|bad| bad.value.len()).sum();
        // They stand before those that are sent next.
        let on_settled = self.on_settled(partition, partition.sent);
        let receipt = receipt::issue(self.cx.intake.ledger(), gather.bad.len(), bytes, on_settled);
        let (topic, number) = (&partition.topic, partition.number);
        let origin = |offset: i64| format!("topic {topic}, partition {number}, offset {offset}");
        let reasons: Vec<String> =
            gather.bad.iter().map(|bad| format!("{}: {}", origin(bad.offset), bad.reason)).collect();
        let letters = reasons.iter().zip(&gather.bad).map(|(reason, bad)| (&**reason, &*bad.value));
        if let Err(error) = self.cx.dead_letters.raw("source", name, letters) {
            self.stall.get_or_insert_with(|| self.cx.dead_letters.stalled(name, &error));
            return false;
        }
        self.stall = None;
        self.dead.add(gather.bad.len(), bytes);
        receipt.dead_lettered();
        true
    }

    /// Who waits for records of a partition, which was sent up to an offset `before` them. Where lines are joined, the position
    /// goes to the message at which a record that is open begins.
    fn waits(&self, partition: &Partition, before: i64, records: &Arc<Records>) -> Waits {
        let ahead = self.cx.joiner.as_ref().map(|_| {
            let (ticket, root) = (partition.mark.ticket(before), partition.root);
            let origins = records.origins().cloned();
            let (came_back, bell) = (self.came_back.clone(), self.bell.clone());
            let ahead = move |row: Option<usize>| {
                // The first line of a message has its offset in the root of the partition, the others in roots of their own.
                let first = row.zip(origins).map(|(row, origins)| origins.row(row));
                if let Some((_, offset)) = first.filter(|(of, _)| *of == root) {
                    ticket.stand_at(offset.cast_signed());
                }
                settling(ticket, came_back, bell)
            };
            Box::new(ahead) as Box<dyn FnOnce(Option<usize>) -> Told + Send>
        });
        Waits { ahead, all: self.on_settled(partition, partition.next) }
    }

    /// What settles messages of a partition up to this offset.
    fn on_settled(&self, partition: &Partition, offset: i64) -> Told {
        settling(partition.mark.ticket(offset), self.came_back.clone(), self.bell.clone())
    }
}

fn settling(ticket: Ticket<i64>, came_back: Arc<AtomicBool>, bell: Arc<Bell>) -> Told {
    Box::new(move |verdict| {
        ticket.settle(verdict);
        came_back.fetch_or(verdict == Verdict::Again, Ordering::AcqRel);
        bell.ring(Hint::Settled);
    })
}
