//! How an object goes to its destination, and what becomes of its records.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use tokio::time::Instant;

use super::Courier;
use super::line::{Line, Next};
use crate::staging::{Letters, Object, Plan, Sealed};
use crate::{Answer, Fate, WriteError};
use flitch_core::dead_letter;
use flitch_core::tasks;
use flitch_core::telemetry::Metric;

/// Bytes of dead letters that are written at once.
const LETTERS: usize = 1 << 20;

impl Courier {
    /// Puts in order what is left of a process before this one.
    pub(super) async fn begin(&self) {
        self.repeat(|| self.output.begin()).await;
    }

    /// Writes an object once, and settles what is in it where the destination decides over it. What does not arrive waits.
    pub(super) async fn send(&self, sealed: Sealed, plan: &Plan, line: &Line) {
        match self.tried(&sealed.object, Some(line)).await {
            // What was written in a form that no record can be read from waits for an operator.
            Ok(Fate::Refused(reason) | Fate::Poisoned(reason)) if sealed.object.kept.is_none() => {
                let error = WriteError::Barred { reason, is_final: false };
                let until = self.failure(&error, Instant::now());
                self.wait(sealed, &error, until, line).await;
            }
            Ok(fate) => {
                if let Some((sealed, reason)) = self.settle_object(sealed, fate).await {
                    self.cut(sealed, &reason, plan).await;
                }
            }
            Err((error, until)) => self.wait(sealed, &error, until, line).await,
        }
        self.breaker.refused(line.refused());
    }

    /// Puts an object that did not arrive into the line.
    async fn wait(&self, sealed: Sealed, error: &WriteError, until: Option<Instant>, line: &Line) {
        if matches!(error, WriteError::Barred { .. }) && self.said_barred.may_say() {
            let (output, key) = (&self.name, sealed.object.key());
            tracing::error!(%output, key, "{error}; an operator must act; what goes there waits and is tried slowly, all else goes on");
        }
        match line.failed(sealed, error, until) {
            Next::Waits => self.retries.increment(1),
            Next::Refused(sealed) => self.bury_object(sealed, error.to_string()).await,
        }
    }

    /// Writes an object until the destination has decided. What may have to be cut comes back, with what the destination says.
    pub(super) async fn settled(&self, sealed: Sealed) -> Option<(Sealed, String)> {
        loop {
            match self.tried(&sealed.object, None).await {
                Ok(fate) => return self.settle_object(sealed, fate).await,
                Err((_, until)) => {
                    self.retries.increment(1);
                    if let Some(until) = until {
                        tokio::time::sleep_until(until).await;
                    }
                }
            }
        }
    }

    /// Settles what is in an object over which the destination has decided, but for one that may have to be cut.
    async fn settle_object(&self, sealed: Sealed, fate: Fate) -> Option<(Sealed, String)> {
        match fate {
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

    /// Writes an object once, and waits for what becomes of it. Where it did not arrive it may go again after that moment.
    async fn tried(
        &self,
        object: &Object,
        line: Option<&Line>,
    ) -> Result<Fate, (WriteError, Option<Instant>)> {
        let mut fate = self.ask(Some(&self.seconds), || self.output.send(object)).await?;
        let is_taken = matches!(fate, Fate::Safe | Fate::Later(_));
        let is_decided = is_taken || !matches!(fate, Fate::Again(_)) && object.kept.is_some();
        if let Some(line) = line
            && is_decided
            && line.passed(object.key(), is_taken)
        {
            tracing::info!(output = %self.name, key = object.key(), "what goes there is taken again");
        }
        while let Fate::Later(pause) = fate {
            tokio::time::sleep(pause).await;
            fate = self.repeat(|| self.output.fate(object)).await;
        }
        match fate {
            Fate::Again(error) => {
                let until = self.failure(&error, Instant::now());
                Err((error, until))
            }
            fate => Ok(fate),
        }
    }

    fn failure(&self, error: &WriteError, begin: Instant) -> Option<Instant> {
        Metric::WriteErrors.counter(&[("output", &*self.name), ("kind", error.kind())]).increment(1);
        self.breaker.failure(error, begin)
    }

    /// Asks the output for something until it is done.
    async fn repeat<'o, T>(&self, what: impl Fn() -> Answer<'o, T>) -> T {
        loop {
            match self.ask(None, &what).await {
                Ok(done) => return done,
                Err((_, until)) => {
                    self.retries.increment(1);
                    if let Some(until) = until {
                        tokio::time::sleep_until(until).await;
                    }
                }
            }
        }
    }

    /// Asks the output for something once. A panic is a failure as any other: what it was about is not lost by it.
    async fn ask<'o, T>(
        &self,
        seconds: Option<&metrics::Histogram>,
        what: impl FnOnce() -> Answer<'o, T>,
    ) -> Result<T, (WriteError, Option<Instant>)> {
        let _turn = self.breaker.turn().await;
        let begin = Instant::now();
        let answer = caught(what()).await;
        if let Some(seconds) = seconds {
            seconds.record(begin.elapsed().as_secs_f64());
        }
        let error = match answer {
            Some(Ok(done)) => {
                self.breaker.success();
                return Ok(done);
            }
            Some(Err(error)) => error,
            None => {
                let labels = [("part", "output"), ("name", &*self.name)];
                Metric::PartFailures.counter(&labels).increment(1);
                tracing::error!(output = %self.name, "a write panicked; it is tried again");
                WriteError::Unreachable { reason: "the write panicked; the log says where".to_owned() }
            }
        };
        let until = self.failure(&error, begin);
        Err((error, until))
    }

    /// Puts the records of an object among the dead letters.
    async fn bury_object(&self, sealed: Sealed, reason: String) {
        let Sealed { object, shares } = sealed;
        let (object, reason): (_, Arc<str>) = (Arc::new(object), reason.into());
        let read = object.clone();
        let mut letters = match tasks::aside(move || Letters::of(&read)).await {
            Ok(Ok(letters)) => letters,
            Ok(Err(error)) => return self.unread(&error),
            Err(panic) => return self.unread(&panic),
        };
        loop {
            let next = tasks::aside(move || {
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
        object.buried();
    }

    /// Tells that an object which was refused cannot be read: its sources send its records again.
    pub(super) fn unread(&self, error: &dyn std::fmt::Display) {
        tracing::error!(output = %self.name, "an object that was refused cannot be read, and its records are sent again (by the next start of flitch, where they are stored): {error}");
    }
}

/// What an output answers; none where it panics.
async fn caught<T>(mut answer: Answer<'_, T>) -> Option<Result<T, WriteError>> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests;
