//! The delivery loop of outputs that build objects on disk: batches go into the yard, and what comes out of it is written,
//! as often as it takes.

use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;

use super::{Courier, one_of, until};
use crate::parcel::Refused;
use crate::staging::{Letters, Object, Plan, Sealed, Yard};
use crate::{Answer, Fate, WriteError};
use flitch_core::buffers::Buffer;
use flitch_core::dead_letter;
use flitch_core::telemetry::Metric;

/// How long after a failure the yard is opened again.
const REST: Duration = Duration::from_secs(1);

/// How long nothing has come when somebody waits for the end of what is on its way, or for room: then nothing more does.
const LULL: Duration = Duration::from_millis(200);

/// What was done in a yard: it comes back with the rows that belong to no object.
type Done = Result<(Box<Yard>, Option<Refused>), JoinError>;
type Job = Pin<Box<dyn Future<Output = Done> + Send>>;

/// Takes the batches of `buffer` to the output until it is closed and all objects are written.
pub(super) async fn work(courier: &Courier, plan: Plan, buffer: &Buffer) {
    let most = courier.output.concurrency().max(1);
    let mut under_way: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::with_capacity(most);
    under_way.push(Box::pin(courier.begin()));
    let mut open = true;
    let mut yard = Some(opened(courier, &plan).await);
    let mut job: Option<Job> = None;
    let (mut came, mut looked) = (Instant::now(), Instant::now());
    loop {
        while under_way.len() < most
            && let Some(sealed) = yard.as_mut().and_then(|yard| yard.pop())
        {
            under_way.push(Box::pin(courier.send(sealed, &plan)));
        }
        let is_done = yard.as_ref().is_some_and(|yard| yard.is_empty()) && under_way.is_empty();
        if !open && is_done {
            return;
        }
        let due = yard.as_ref().and_then(|yard| yard.due());
        let has_room = yard.as_mut().is_some_and(|yard| yard.takes_more());
        let lull =
            (has_room && yard.as_ref().is_some_and(|yard| yard.is_open())).then(|| came.max(looked) + LULL);
        let is_stuck = yard.as_ref().is_some_and(|yard| yard.is_stuck()) && under_way.len() < most;
        tokio::select! {
            biased;
            panicked = one_of(&mut under_way), if !under_way.is_empty() => courier.failed(panicked),
            done = of(&mut job), if job.is_some() => {
                job = None;
                match done {
                    Ok((back, refused)) => {
                        yard = Some(back);
                        under_way.extend(refused.map(|refused| -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
                            Box::pin(courier.refuse(refused))
                        }));
                    }
                    Err(_) => {
                        courier.failed(1);
                        yard = Some(opened(courier, &plan).await);
                    }
                }
            }
            () = until(due), if due.is_some() => job = with(yard.take(), |yard| {
                yard.tend(Instant::now());
                None
            }),
            () = ready(()), if is_stuck => job = with(yard.take(), |yard| {
                yard.close_largest(Instant::now());
                None
            }),
            batch = buffer.lease(), if open && has_room && under_way.len() <= most => match batch {
                Some(batch) if batch.records.rows() == 0 => batch.receipt.delivered(),
                Some(batch) => {
                    came = Instant::now();
                    job = with(yard.take(), move |yard| yard.put(batch, Instant::now()));
                }
                None => {
                    open = false;
                    job = with(yard.take(), close_all);
                }
            },
            () = until(lull), if lull.is_some() => {
                looked = Instant::now();
                // In a buffer that is full and gives out nothing is what has gone into the yard already.
                if buffer.is_rushed() || buffer.is_full() {
                    job = with(yard.take(), |yard| {
                        yard.hurry(Instant::now());
                        None
                    });
                }
            }
        }
    }
}

fn close_all(yard: &mut Yard) -> Option<Refused> {
    yard.close_all(Instant::now());
    None
}

/// Does something in the yard where it may block.
fn with(
    yard: Option<Box<Yard>>,
    work: impl FnOnce(&mut Yard) -> Option<Refused> + Send + 'static,
) -> Option<Job> {
    let mut yard = yard?;
    let job = tokio::task::spawn_blocking(move || {
        let refused = work(&mut yard);
        (yard, refused)
    });
    Some(Box::pin(job))
}

/// The end of a job; for ever where there is none.
async fn of(job: &mut Option<Job>) -> Done {
    match job {
        Some(job) => job.await,
        None => pending().await,
    }
}

/// Opens a yard; tries until there is one.
async fn opened(courier: &Courier, plan: &Plan) -> Box<Yard> {
    loop {
        let plan = plan.clone();
        match tokio::task::spawn_blocking(move || Yard::new(plan)).await {
            Ok(Ok(yard)) => return Box::new(yard),
            Ok(Err(error)) => {
                tracing::error!(output = %courier.name, "cannot build objects: {error}; records wait");
            }
            Err(_) => courier.failed(1),
        }
        tokio::time::sleep(REST).await;
    }
}

/// Bytes of dead letters that are written at once.
const LETTERS: usize = 1 << 20;

impl Courier {
    /// Puts in order what is left of a process before this one.
    async fn begin(&self) {
        self.repeat(None, || self.output.begin()).await;
    }

    /// Writes an object until its records are safe or refused for good, and settles what is in it.
    async fn send(&self, sealed: Sealed, plan: &Plan) {
        if let Some((sealed, reason)) = self.settled(sealed).await {
            self.cut(sealed, &reason, plan).await;
        }
    }

    /// The same for what may have to be cut: then it comes back, with what the destination says.
    pub(super) async fn settled(&self, sealed: Sealed) -> Option<(Sealed, String)> {
        match self.decided(&sealed.object).await {
            Fate::Poisoned(reason) if sealed.object.rows > 1 => {
                Metric::WriteErrors.counter(&[("output", &*self.name), ("kind", "poison")]).increment(1);
                return Some((sealed, reason));
            }
            Fate::Refused(reason) | Fate::Poisoned(reason) => self.bury_object(sealed, reason).await,
            Fate::Safe | Fate::Later(_) | Fate::Again(_) => {
                let Sealed { object, shares } = sealed;
                self.delivered.add(object.rows as usize, object.text as usize);
                shares.into_iter().for_each(|share| share.delivered());
                object.arrived();
            }
        }
        None
    }

    /// Writes an object until the destination has decided.
    async fn decided(&self, object: &Object) -> Fate {
        loop {
            let mut fate = self.repeat(Some(&self.seconds), || self.output.send(object)).await;
            while let Fate::Later(pause) = fate {
                tokio::time::sleep(pause).await;
                fate = self.repeat(None, || self.output.fate(object)).await;
            }
            let Fate::Again(error) = fate else { return fate };
            self.retries.increment(1);
            if let Some(until) = self.failure(&error, Instant::now()) {
                tokio::time::sleep_until(until).await;
            }
        }
    }

    fn failure(&self, error: &WriteError, begin: Instant) -> Option<Instant> {
        Metric::WriteErrors.counter(&[("output", &*self.name), ("kind", error.kind())]).increment(1);
        self.breaker.failure(error, begin)
    }

    /// Asks the output for something until it is done.
    async fn repeat<'o, T>(
        &self,
        seconds: Option<&metrics::Histogram>,
        what: impl Fn() -> Answer<'o, T>,
    ) -> T {
        let mut attempts = 0;
        loop {
            let turn = self.breaker.turn().await;
            if attempts > 0 {
                self.retries.increment(1);
            }
            attempts += 1;
            let begin = Instant::now();
            let answer = what().await;
            if let Some(seconds) = seconds {
                seconds.record(begin.elapsed().as_secs_f64());
            }
            let error = match answer {
                Ok(done) => {
                    self.breaker.success();
                    return done;
                }
                Err(error) => error,
            };
            let until = self.failure(&error, begin);
            drop(turn);
            if let Some(until) = until {
                tokio::time::sleep_until(until).await;
            }
        }
    }

    /// Puts the records of an object among the dead letters.
    async fn bury_object(&self, sealed: Sealed, reason: String) {
        let Sealed { object, shares } = sealed;
        let (object, reason): (_, Arc<str>) = (Arc::new(object), reason.into());
        let read = object.clone();
        let mut letters = match tokio::task::spawn_blocking(move || Letters::of(&read)).await {
            Ok(Ok(letters)) => letters,
            Ok(Err(error)) => return self.unread(&error),
            Err(panic) => return self.unread(&panic),
        };
        loop {
            let next = tokio::task::spawn_blocking(move || {
                let piece = letters.next(LETTERS);
                (letters, piece)
            });
            let (text, rows) = match next.await {
                Ok((back, Ok(Some(piece)))) => {
                    letters = back;
                    piece
                }
                Ok((_, Ok(None))) => break,
                Ok((_, Err(error))) => return self.unread(&error),
                Err(panic) => return self.unread(&panic),
            };
            let bytes = text.len();
            let (dead_letters, name, reason, text) =
                (self.dead_letters.clone(), self.name.clone(), reason.clone(), Arc::new(text));
            let put = move || dead_letters.lossless("output", &name, &reason, &text);
            if !dead_letter::until_written(&self.dead_letters, &self.name, &self.stop, put).await {
                return;
            }
            self.dead.add(rows, bytes);
        }
        shares.into_iter().for_each(|share| share.dead_lettered());
    }

    /// Tells that an object which was refused cannot be read: its sources send its records again.
    pub(super) fn unread(&self, error: &dyn std::fmt::Display) {
        tracing::error!(output = %self.name, "an object that was refused cannot be read, and its records are sent again: {error}");
    }
}
