//! The door of a pipeline: a source's [`Intake`] hands its batches to the [`Inlet`] of each pipeline that reads from it,
//! workers take them from there, and a [`Sequencer`] puts what they have finished back in order before the router.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::batch::Batch;
use crate::blocking::block_on;
use crate::buffers::{Closed, Late, Queue};
use crate::router::Router;
use crate::telemetry::Part;
use crate::telemetry::health::panicked;

mod intake;
mod pass;
mod sequencer;

pub use intake::{Handover, Intake};
pub use pass::Pass;
pub use sequencer::{Place, Sequencer};

/// Batches that may wait for a worker, for each worker.
const WAITING: usize = 4;

/// A batch that waits for a worker.
pub struct Job {
    /// The batch as its source sent it.
    pub batch: Batch,
    /// Its place among those of its stream.
    pub place: Place<Done>,
    /// Held until the batch is with its outputs.
    pub pass: Pass,
}

/// A batch that has been through the filters. The batch is dropped before its pass.
pub struct Done {
    /// The batch as the filters left it.
    pub batch: Batch,
    /// That of its [`Job`].
    pub pass: Pass,
}

/// Where a pipeline takes batches in.
///
/// A pipeline without workers routes them at once, on the thread or task of the source.
#[derive(Clone)]
pub struct Inlet {
    queue: Option<Arc<Queue<Job>>>,
    sequencer: Arc<Sequencer<Done>>,
    router: Arc<Router>,
}

impl Inlet {
    /// An inlet from which so many workers take batches and hand them on to `router`.
    pub fn new(workers: usize, router: Arc<Router>) -> Inlet {
        let queue = (workers > 0).then(|| Arc::new(Queue::new(workers * WAITING)));
        Inlet { queue, sequencer: Arc::default(), router }
    }

    /// Takes a batch in, waiting while the pipeline is full. One whose pass is left is dropped instead, so that its
    /// source sends it again.
    ///
    /// # Errors
    /// The pipeline takes nothing more in; the batch is dropped.
    pub async fn push(&self, batch: Batch, pass: &Pass) -> Result<(), Closed> {
        // Nothing may overtake what was dropped.
        if pass.is_left() {
            return Ok(());
        }
        let push = async {
            match &self.queue {
                Some(queue) => {
                    let place = self.sequencer.place(batch.stream);
                    queue.push(Job { batch, place, pass: pass.clone() }, 1).await
                }
                None => self.router.push(batch).await,
            }
        };
        tokio::select! {
            biased;
            pushed = push => pushed,
            () = pass.left() => Ok(()),
        }
    }

    /// Whether the next batch would wait.
    pub fn is_full(&self) -> bool {
        self.queue.as_ref().is_some_and(|q| q.is_full()) || self.router.is_full()
    }

    /// Whether both lead into the same pipeline.
    pub fn is(&self, other: &Inlet) -> bool {
        Arc::ptr_eq(&self.sequencer, &other.sequencer)
    }

    /// For workers: the next batch; none once the inlet is closed and empty. Blocks, until a time if there is one.
    ///
    /// # Errors
    /// That time has come.
    pub fn next(&self, until: Option<Instant>) -> Result<Option<Job>, Late> {
        match &self.queue {
            Some(queue) => queue.pop_blocking(until),
            None => Ok(None),
        }
    }

    /// Takes a batch to its outputs. A panic costs the batch, and `part` tells of it: whoever hands on for a stream must
    /// not fail.
    pub fn hand_on(&self, part: &Part, Done { batch, pass }: Done) {
        // Nothing may overtake what was dropped.
        if pass.is_left() {
            return;
        }
        let push = async {
            tokio::select! {
                biased;
                pushed = self.router.push(batch) => pushed,
                () = pass.left() => Ok(()),
            }
        };
        match catch_unwind(AssertUnwindSafe(|| block_on(push))) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::debug!("the outputs are closed; the records are sent again"),
            Err(panic) => part.failed(&panicked(panic)),
        }
    }

    /// Takes nothing more in; workers can still take what is there.
    pub fn close(&self) {
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }

    /// Drops what no worker has taken, so that it is sent again.
    pub fn clear(&self) {
        let Some(queue) = &self.queue else { return };
        while queue.try_pop().is_some() {}
    }
}
