//! Objects that a destination refuses for some of their records, and does not say for which: they are cut until these stand
//! alone, however many they are. What that costs the destination is bounded by how many parts it is shown at once and in a
//! second, and never by a verdict over a record that was not refused by itself.

use std::pin::Pin;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Courier, one_of};
use crate::staging::{Plan, Sealed, cut};
use flitch_core::tasks;
use flitch_core::telemetry::Quiet;

/// Objects that are cut at once. Others wait, as they are.
const OBJECTS: usize = 16;
/// Parts of all of them that are under way at once.
const PARTS: usize = 256;
/// The shortest time between two parts that begin their way.
const PACE: Duration = Duration::from_millis(5);

/// What the objects of one output share that are cut.
pub(super) struct Cutting {
    objects: Semaphore,
    parts: Semaphore,
    /// When the next part may go.
    next: Mutex<Option<Instant>>,
    said: Quiet,
}

impl Default for Cutting {
    fn default() -> Cutting {
        Cutting {
            objects: Semaphore::new(OBJECTS),
            parts: Semaphore::new(PARTS),
            next: Mutex::new(None),
            said: Quiet::a_minute(),
        }
    }
}

impl Cutting {
    /// Waits until a part may go.
    async fn pace(&self) {
        let at = {
            let (mut next, now) = (self.next.lock(), Instant::now());
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + PACE);
            at
        };
        if at > Instant::now() {
            tokio::time::sleep_until(at).await;
        }
    }
}

impl Courier {
    /// Settles the records of an object that was refused for some of them.
    ///
    /// The parts that were made last go first, so that as few wait on the disk as can be: no more than those under way, times
    /// how often an object can be cut.
    pub(super) async fn cut(&self, sealed: Sealed, reason: &str, plan: &Plan) {
        let Ok(_turn) = self.cutting.objects.acquire().await else { return };
        if self.cutting.said.may_say() {
            let (output, records) = (&self.name, sealed.object.rows);
            tracing::warn!(%output, records, reason, "the destination refuses an object for some of its records: it is cut until they stand alone");
        }
        let waiting = Mutex::new(self.parts(sealed, plan).await);
        let mut under_way: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::new();
        loop {
            let has_more = !waiting.lock().is_empty();
            if !has_more && under_way.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                panicked = one_of(&mut under_way, || false), if !under_way.is_empty() => self.failed(panicked),
                turn = self.cutting.parts.acquire(), if has_more => {
                    let Some(part) = waiting.lock().pop() else { continue };
                    let waiting = &waiting;
                    under_way.push(Box::pin(async move {
                        let _turn = turn;
                        self.cutting.pace().await;
                        if let Some((part, _)) = self.settled(part).await {
                            let parts = self.parts(part, plan).await;
                            waiting.lock().extend(parts);
                        }
                    }));
                }
            }
        }
    }

    /// The parts of an object, the first one last.
    async fn parts(&self, sealed: Sealed, plan: &Plan) -> Vec<Sealed> {
        let plan = plan.clone();
        match tasks::aside(move || cut(sealed, &plan)).await {
            Ok(Ok(mut parts)) => {
                parts.reverse();
                return parts;
            }
            Ok(Err(error)) => self.unread(&error),
            Err(panic) => self.unread(&panic),
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
