//! The one delivery loop: takes batches from a buffer to an output, in the parcels that the output wants, until each record
//! is safe there or among the dead letters. Outputs never retry and never sleep; all of that is here.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::breaker::Breaker;
use super::gather::Gather;
use super::parcel::{Member, Piece, Refused};
use super::retry::RetrySettings;
use super::{Output, WriteError, Written};
use flitch_core::batch::Records;
use flitch_core::buffers::Buffer;
use flitch_core::clock::until;
use flitch_core::dead_letter::{self, Cause, DeadLetters};
use flitch_core::receipt::Receipt;
use flitch_core::telemetry::health::Ailment;
use flitch_core::telemetry::{Metric, Quiet, Tally};

/// Takes the batches of `buffer` to `output` until the buffer is closed and empty.
///
/// Up to [`Output::concurrency`] parcels are under way; their first writes begin in the order in which they were closed,
/// which is that of the buffer where each batch is one. What is gathered when the buffer ends is written. When `stop` is
/// cancelled the loop ends at once and leaves what is not settled to be sent again. What keeps writes from going through is
/// told by `ailment`.
pub async fn deliver(
    name: Arc<str>,
    output: Arc<dyn Output>,
    buffer: Buffer,
    policy: RetrySettings,
    dead_letters: DeadLetters,
    ailment: Ailment,
    stop: CancellationToken,
) {
    let courier = Courier::new(&name, output, (policy, ailment), dead_letters, stop.clone());
    let work = async {
        if let Some(plan) = courier.output.builds() {
            return staged::work(&courier, plan, &buffer).await;
        }
        let most = courier.output.concurrency().max(1);
        let mut under_way: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::with_capacity(most);
        let mut gather = Gather::new(&courier.name, courier.output.wants());
        let mut open = true;
        while open || !gather.is_empty() || !under_way.is_empty() {
            // What waits by itself takes no other's place.
            let seated = courier.bench.seated();
            let most = most + seated;
            while under_way.len() < most
                && let Some(piece) = gather.pop()
            {
                under_way.push(Box::pin(courier.carry(piece)));
            }
            buffer.emptied_by(!gather.is_empty(), !under_way.is_empty());
            // Rows without a key are under way to the dead letters beside the writes, and may have to wait.
            let takes_more = open && under_way.len() <= most && gather.takes_more(under_way.len() < most);
            tokio::select! {
                biased;
                panicked = one_of(&mut under_way, || courier.bench.seated() != seated), if !under_way.is_empty() => {
                    buffer.turned();
                    courier.failed(panicked);
                }
                () = until(gather.due()), if gather.due().is_some() => gather.close_due(),
                batch = buffer.lease(), if takes_more => match batch {
                    Some(batch) if batch.records.rows() == 0 => batch.receipt.delivered(),
                    Some(batch) => {
                        if let Some(refused) = gather.add(batch) {
                            under_way.push(Box::pin(courier.refuse(refused)));
                        }
                    }
                    None => {
                        open = false;
                        gather.close_all();
                    }
                },
            }
        }
    };
    let stopped = tokio::select! {
        biased;
        () = stop.cancelled() => true,
        () = work => false,
    };
    buffer.emptied_by(false, false);
    if stopped && buffer.keeps() {
        tracing::info!(output = %name, "stopped; what is not delivered stays in the buffer on disk");
        return;
    }
    if stopped && buffer.is_best_effort() {
        buffer.leave();
        tracing::warn!(output = %name, "stopped; what is not delivered is dropped and counted (`best_effort`)");
        return;
    }
    if stopped {
        tracing::debug!(output = %name, "stopped; what is not delivered is sent again by its source");
        return;
    }
    if let Err(error) = courier.output.close().await {
        tracing::error!(output = %name, "closing failed: {error}");
    }
}

/// Waits until one of the futures is finished, and takes it out, or until one makes room for others. All are polled, oldest
/// first. One that panics costs its parcel, whose sources send it again, and not the loop. Answers how many did.
///
/// By hand, and not `FuturesUnordered`: that polls what was woken in the order of the wakes, so that after a pause which
/// all have waited for a younger parcel may go first, and gives each future a task of its own on the heap. What this
/// saves is little: there are as many futures here as an output has writes under way, 16 at most, and those that wait beside.
async fn one_of(
    futures: &mut Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>>,
    makes_room: impl Fn() -> bool,
) -> usize {
    poll_fn(|cx| {
        let before = futures.len();
        let mut panics = 0;
        futures.retain_mut(|future| {
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
            panics += usize::from(polled.is_err());
            polled.is_ok_and(|poll| poll.is_pending())
        });
        if futures.len() < before || makes_room() { Poll::Ready(panics) } else { Poll::Pending }
    })
    .await
}

/// What the parcels of one output share on their way.
struct Courier {
    name: Arc<str>,
    output: Arc<dyn Output>,
    attempts: Option<u32>,
    breaker: Breaker,
    dead_letters: DeadLetters,
    stop: CancellationToken,
    delivered: Tally,
    dead: Tally,
    seconds: metrics::Histogram,
    retries: metrics::Counter,
    cutting: cut::Cutting,
    said_barred: Quiet,
    bench: beside::Bench,
}

impl Courier {
    fn new(
        name: &Arc<str>,
        output: Arc<dyn Output>,
        (policy, ailment): (RetrySettings, Ailment),
        dead_letters: DeadLetters,
        stop: CancellationToken,
    ) -> Courier {
        let labels = [("output", &**name)];
        Courier {
            name: name.clone(),
            output,
            attempts: policy.attempts,
            breaker: Breaker::new(name, policy, ailment),
            dead_letters,
            stop,
            delivered: Tally::delivered(name),
            dead: Tally::dead_lettered("output", name),
            seconds: Metric::WriteSeconds.histogram(&labels),
            retries: Metric::WriteRetries.counter(&labels),
            cutting: cut::Cutting::default(),
            said_barred: Quiet::a_minute(),
            bench: beside::Bench::new(),
        }
    }

    /// Tells of writes that panicked, if there are any.
    fn failed(&self, panics: usize) {
        if panics > 0 {
            let labels = [("part", "output"), ("name", &*self.name)];
            Metric::PartFailures.counter(&labels).increment(panics as u64);
            tracing::error!(output = %self.name, "a write panicked; the sources of its records send them again, or the next start of flitch does, where they are stored");
        }
    }

    /// Takes a parcel to the output, in parts where it must be.
    async fn carry(&self, piece: Piece) {
        let mut pieces = vec![piece];
        let mut beside = beside::Beside::new(self);
        while let Some(piece) = pieces.pop() {
            self.attempt(piece, &mut pieces, &mut beside).await;
        }
    }

    /// Writes a piece once; what is left of it goes back to `pieces`.
    async fn attempt(&self, mut piece: Piece, pieces: &mut Vec<Piece>, beside: &mut beside::Beside<'_>) {
        let turn = self.breaker.turn().await;
        if piece.attempts > 0 {
            self.retries.increment(1);
        }
        piece.attempts += 1;
        let begin = Instant::now();
        let answer = self.output.write(&piece.parcel).await;
        self.seconds.record(begin.elapsed().as_secs_f64());
        let (rows, answered) = (piece.parcel.rows(), answer.is_ok());
        let (written, error) = match answer {
            Ok(mut written) => {
                let again = written.again.take();
                (written, again)
            }
            Err(error) => (Written::default(), Some(((0..piece.parcel.rows() as u32).collect(), error))),
        };
        let failed =
            error.as_ref().filter(|(rows, e)| !rows.is_empty() && !matches!(e, WriteError::Poison { .. }));
        let until = failed.map(|(left, error)| {
            if !self.output.tells_apart() {
                return self.breaker.failure(error, begin);
            }
            let others_are_decided = answered && left.len() < rows;
            if others_are_decided {
                self.breaker.success();
            }
            match others_are_decided || answered && rows == 1 || beside.is_on() {
                true => Some(beside.until(error, piece.attempts)),
                false => self.breaker.failure(error, begin),
            }
        });
        if let Some((_, error)) = &error {
            Metric::WriteErrors.counter(&[("output", &*self.name), ("kind", error.kind())]).increment(1);
        }
        if until.is_none() {
            self.breaker.success();
        }
        drop(turn);
        let left = self.settle(piece, written, error.as_ref().map_or(&[][..], |(rows, _)| rows)).await;
        if let Some(left) = &left {
            beside.sit(left);
        }
        match (left, error) {
            (Some(left), Some((_, WriteError::Poison { reason }))) => self.halve(left, reason, pieces).await,
            (Some(left), Some((_, error))) if self.attempts.is_some_and(|most| left.attempts >= most) => {
                let reason = format!("given up after {} attempts: {error}", left.attempts);
                for member in left.into_members() {
                    self.bury_all(member, &reason).await;
                }
            }
            (Some(left), _) => pieces.push(left),
            (None, _) => {}
        }
        match until.flatten() {
            Some(until) => tokio::time::sleep_until(until).await,
            // A pause of nothing would last until the timer's next tick, a millisecond for every batch.
            None => tokio::task::consume_budget().await,
        }
    }

    /// Settles the rows that are written or refused, and answers what must be written again.
    async fn settle(&self, piece: Piece, written: Written, again: &[u32]) -> Option<Piece> {
        let safe = piece.parcel.rows() - again.len() - written.refused.len();
        if safe > 0 {
            self.delivered.add(safe, written.bytes as usize);
        }
        let (left, refused) = piece.settle(written, again);
        for refused in refused {
            self.refuse(refused).await;
        }
        left
    }

    /// Buries what is refused of a member.
    async fn refuse(&self, refused: Refused) {
        let Refused { member, refusals } = refused;
        let causes = refusals.into_iter().map(|r| Cause { row: r.row, reason: r.reason });
        self.bury(member.receipt, &member.records, causes.collect()).await;
    }

    /// Buries all rows of a member.
    async fn bury_all(&self, member: Member, reason: &str) {
        let causes = all(&member.records, reason);
        self.bury(member.receipt, &member.records, causes).await;
    }

    /// Cuts a refused piece in two, or buries the record that stands alone.
    async fn halve(&self, piece: Piece, reason: String, pieces: &mut Vec<Piece>) {
        match piece.halve() {
            Ok([first, second]) => pieces.extend([second, first]),
            Err(alone) => self.bury_all(alone, &reason).await,
        }
    }

    /// Puts rows among the dead letters; tries until they are on disk.
    async fn bury(&self, receipt: Receipt, records: &Arc<Records>, causes: Vec<Cause>) {
        let text = records.ndjson();
        let bytes = causes.iter().map(|c| text.row(c.row as usize).len()).sum();
        let rows = causes.len();
        let (letters, records, causes) = (self.dead_letters.clone(), records.clone(), Arc::new(causes));
        let name = self.name.clone();
        let put = move || letters.records("output", &name, &records, &causes);
        if !dead_letter::until_written(&self.dead_letters, &self.name, &self.stop, put).await {
            return;
        }
        self.dead.add(rows, bytes);
        receipt.dead_lettered();
    }
}

fn all(records: &Records, reason: &str) -> Vec<Cause> {
    let reason: Arc<str> = reason.into();
    (0..records.rows() as u32).map(|row| Cause { row, reason: reason.clone() }).collect()
}

mod beside;
mod cut;
mod line;
mod send;
mod staged;

#[cfg(test)]
mod tests;
