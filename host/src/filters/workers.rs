use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};

use super::sequencer::{Place, Sequencer};
use super::{Pass, Program};
use crate::batch::Batch;
use crate::blocking::block_on;
use crate::buffers::{Closed, Queue};
use crate::router::Router;
use crate::telemetry::health::{Health, Part, panicked, pause};

/// Batches that may wait for a worker, for each worker.
const WAITING: usize = 4;

struct Job {
    batch: Batch,
    place: Place<Done>,
    pass: Pass,
}

/// A batch that has been through the filters. The batch is dropped before its pass.
struct Done {
    batch: Batch,
    pass: Pass,
}

/// Where a pipeline takes batches in.
///
/// A pipeline without filters routes them at once, on the thread or task of the source.
#[derive(Clone)]
pub struct Inlet {
    queue: Option<Arc<Queue<Job>>>,
    sequencer: Arc<Sequencer<Done>>,
    router: Arc<Router>,
}

impl Inlet {
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
}

/// The threads that run a pipeline's filters.
pub struct Workers {
    inlet: Inlet,
    program: Arc<ArcSwap<Program>>,
    threads: Vec<thread::JoinHandle<()>>,
    ends: Arc<Ends>,
}

impl Workers {
    /// Starts `count` threads that run `program` and hand the batches to `router`; none for an empty program.
    /// `health` hears of those that fail.
    pub fn start(
        pipeline: &str,
        program: Arc<Program>,
        count: usize,
        router: Arc<Router>,
        health: &Arc<Health>,
    ) -> std::io::Result<Workers> {
        let most = program.max_workers().unwrap_or(usize::MAX);
        let count = if program.is_empty() { 0 } else { count.clamp(1, most.max(1)) };
        let queue = (count > 0).then(|| Arc::new(Queue::new(count * WAITING)));
        let inlet = Inlet { queue, sequencer: Arc::default(), router };
        let program = Arc::new(ArcSwap::new(program));
        let ends = Arc::<Ends>::default();
        let mut workers = Workers { inlet, program, threads: Vec::with_capacity(count), ends };
        for number in 0..count {
            let name = format!("{pipeline}-{number}");
            let worker = Worker {
                queue: workers.inlet.queue.clone().expect("workers have a queue"),
                program: workers.program.clone(),
                router: workers.inlet.router.clone(),
                part: Part::new(health, "worker", &name),
                ends: workers.ends.clone(),
                chain: |program| {
                    let mut chain = program.chain();
                    Box::new(move |batch| chain.apply(batch))
                },
            };
            workers.threads.push(thread::Builder::new().name(name).spawn(move || worker.run())?);
        }
        Ok(workers)
    }

    /// Where batches go in.
    pub fn inlet(&self) -> &Inlet {
        &self.inlet
    }

    /// How many threads run the filters.
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// Whether [`Workers::swap`] can put `program` in: as a chain that is not empty for one that is not, and with no
    /// fewer instances than there are threads.
    pub fn can_run(&self, program: &Program) -> bool {
        program.is_empty() == self.threads.is_empty()
            && program.max_workers().is_none_or(|most| self.threads.len() <= most)
    }

    /// Replaces the filters: each worker takes the new ones between two batches.
    pub fn swap(&self, program: Arc<Program>) {
        let old = self.program.swap(program.clone());
        super::swap::announce(&old, &program);
    }

    /// Takes nothing more in, finishes what is there, and ends the threads. Blocks.
    pub fn finish(self) {
        let Some(queue) = &self.inlet.queue else { return };
        queue.close();
        self.ends.now();
        for thread in self.threads {
            // What a panic was is told by the worker itself.
            let _ = thread.join();
        }
        // Only where a worker has failed at last.
        while queue.try_pop().is_some() {}
    }
}

/// Wakes workers that pause when they are to end.
#[derive(Default)]
struct Ends {
    ending: Mutex<bool>,
    wake: Condvar,
}

impl Ends {
    fn now(&self) {
        *self.ending.lock() = true;
        self.wake.notify_all();
    }

    /// Waits for `time`, or until the workers are to end.
    fn wait(&self, time: Duration) {
        let mut ending = self.ending.lock();
        if !*ending {
            self.wake.wait_for(&mut ending, time);
        }
    }
}

/// Runs a batch through filters.
type Apply = Box<dyn FnMut(Batch) -> Batch>;

/// One thread of a pipeline.
struct Worker {
    queue: Arc<Queue<Job>>,
    program: Arc<ArcSwap<Program>>,
    router: Arc<Router>,
    part: Part,
    ends: Arc<Ends>,
    chain: fn(&Arc<Program>) -> Apply,
}

impl Worker {
    /// Works until the queue is closed and empty, also where it fails.
    fn run(&self) {
        let mut failures = 0;
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work(&mut failures))) {
            failures += 1;
            self.rest(failures, &panicked(panic));
        }
    }

    fn work(&self, failures: &mut u32) {
        let mut current = self.program.load_full();
        let mut chain: Option<Apply> = None;
        while let Some(Job { batch, place, pass }) = self.queue.pop_blocking() {
            let hand_on = |done| hand_on(&self.router, &self.part, done);
            if pass.is_left() {
                drop(batch);
                place.give_up(hand_on);
                continue;
            }
            let latest = self.program.load();
            if !Arc::ptr_eq(&latest, &current) {
                current = latest.clone();
                chain = None;
            }
            // A panic of ours must cost its batch (sent again), not the order of the stream nor the worker.
            let done =
                catch_unwind(AssertUnwindSafe(|| chain.get_or_insert_with(|| (self.chain)(&current))(batch)));
            match done {
                Ok(batch) => {
                    *failures = 0;
                    place.finish(Done { batch, pass }, hand_on);
                }
                Err(panic) => {
                    chain = None;
                    place.give_up(hand_on);
                    drop(pass);
                    *failures += 1;
                    self.rest(*failures, &panicked(panic));
                }
            }
        }
    }

    /// Tells of a failure. One that follows on another is no matter of a single batch: then the worker pauses.
    fn rest(&self, failures: u32, reason: &str) {
        if failures == 1 {
            return self.part.failed(reason);
        }
        let pause = pause(failures - 1);
        self.part.down(reason, pause);
        self.ends.wait(pause);
        self.part.up();
    }
}

/// Takes a batch to its outputs. A panic costs the batch: whoever hands on for a stream must not fail.
fn hand_on(router: &Router, part: &Part, Done { batch, pass }: Done) {
    // Nothing may overtake what was dropped.
    if pass.is_left() {
        return;
    }
    let push = async {
        tokio::select! {
            biased;
            pushed = router.push(batch) => pushed,
            () = pass.left() => Ok(()),
        }
    };
    match catch_unwind(AssertUnwindSafe(|| block_on(push))) {
        Ok(Ok(())) => {}
        Ok(Err(_)) => tracing::debug!("the outputs are closed; the records are sent again"),
        Err(panic) => part.failed(&panicked(panic)),
    }
}

#[cfg(test)]
mod tests;
