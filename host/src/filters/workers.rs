use std::sync::Arc;
use std::thread;

use arc_swap::ArcSwap;

use super::sequencer::{Place, Sequencer};
use super::{Chain, Program};
use crate::batch::Batch;
use crate::buffers::{Closed, Queue};
use crate::router::Router;

/// Batches that may wait for a worker, for each worker.
const WAITING: usize = 4;

struct Job {
    batch: Batch,
    place: Place<Batch>,
}

/// Where a pipeline takes batches in.
///
/// A pipeline without filters routes them at once, on the thread or task of the source.
#[derive(Clone)]
pub struct Inlet {
    queue: Option<Arc<Queue<Job>>>,
    sequencer: Arc<Sequencer<Batch>>,
    router: Arc<Router>,
}

impl Inlet {
    fn job(&self, batch: Batch) -> Job {
        Job { place: self.sequencer.place(batch.stream), batch }
    }

    /// Takes a batch in, waiting while the pipeline is full.
    pub async fn push(&self, batch: Batch) -> Result<(), Closed> {
        match &self.queue {
            Some(queue) => queue.push(self.job(batch), 1).await,
            None => self.router.push(batch).await,
        }
    }

    /// Takes a batch in, blocking the thread while the pipeline is full.
    pub fn push_blocking(&self, batch: Batch) -> Result<(), Closed> {
        match &self.queue {
            Some(queue) => queue.push_blocking(self.job(batch), 1),
            None => self.router.push_blocking(batch),
        }
    }

    /// Whether the next batch would wait.
    pub fn is_full(&self) -> bool {
        self.queue.as_ref().is_some_and(|q| q.is_full()) || self.router.is_full()
    }
}

/// The threads that run a pipeline's filters.
pub struct Workers {
    inlet: Inlet,
    program: Arc<ArcSwap<Program>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads that run `program` and hand the batches to `router`; none for an empty program.
    pub fn start(
        pipeline: &str,
        program: Arc<Program>,
        count: usize,
        router: Arc<Router>,
    ) -> std::io::Result<Workers> {
        let most = program.max_workers().unwrap_or(usize::MAX);
        let count = if program.is_empty() { 0 } else { count.clamp(1, most.max(1)) };
        let queue = (count > 0).then(|| Arc::new(Queue::new(count * WAITING)));
        let inlet = Inlet { queue: queue.clone(), sequencer: Arc::default(), router: router.clone() };
        let program = Arc::new(ArcSwap::new(program));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let (queue, program, router) = (queue.clone(), program.clone(), router.clone());
            let name = format!("{pipeline}-{number}");
            threads.push(thread::Builder::new().name(name).spawn(move || {
                let queue = queue.expect("workers have a queue");
                work(&queue, &program, &router);
            })?);
        }
        Ok(Workers { inlet, program, threads })
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
        if let Some(queue) = &self.inlet.queue {
            queue.close();
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a filter worker panicked; its records are sent again");
            }
        }
    }
}

fn work(queue: &Queue<Job>, program: &ArcSwap<Program>, router: &Router) {
    let mut current = program.load_full();
    let mut chain: Chain = current.chain();
    let emit = |batch| {
        if router.push_blocking(batch).is_err() {
            tracing::debug!("the outputs are closed; the records are sent again");
        }
    };
    while let Some(Job { batch, place }) = queue.pop_blocking() {
        let latest = program.load();
        if !Arc::ptr_eq(&latest, &current) {
            current = latest.clone();
            chain = current.chain();
        }
        // A panic of ours must cost its batch (sent again), not the order of the stream nor the worker.
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| chain.apply(batch))) {
            Ok(batch) => place.finish(batch, emit),
            Err(_) => {
                chain = current.chain();
                place.give_up(emit);
            }
        }
    }
}
