//! The threads of a pipeline: each takes batches from the inlet, runs its chain over them, and hands them on in
//! order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};

use super::{Chain, Program};
use flitch_core::batch::Batch;
use flitch_core::inlet::{Done, Inlet, Job};
use flitch_core::router::Router;
use flitch_core::tasks;
use flitch_core::telemetry::Metric;
use flitch_core::telemetry::health::{Health, Part, panicked, pause};

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
        let inlet = Inlet::new(count, router);
        let program = Arc::new(ArcSwap::new(program));
        let ends = Arc::<Ends>::default();
        let mut workers = Workers { inlet, program, threads: Vec::with_capacity(count), ends };
        for number in 0..count {
            let name = format!("{pipeline}-{number}");
            let worker = Worker {
                inlet: workers.inlet.clone(),
                program: workers.program.clone(),
                part: Part::new(health, "worker", &name),
                ends: workers.ends.clone(),
                chain: |program| Box::new(program.chain()),
            };
            workers.threads.push(tasks::joined_thread(name, move || worker.run())?);
        }
        Ok(workers)
    }

    /// The filters that run.
    pub fn program(&self) -> Arc<Program> {
        self.program.load_full()
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
        self.inlet.close();
        self.ends.now();
        for thread in self.threads {
            // What a panic was is told by the worker itself.
            let _ = thread.join();
        }
        // Only where a worker has failed at last.
        self.inlet.clear();
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

/// The filters of a worker.
trait Filters {
    /// Runs a batch through them.
    fn run(&mut self, batch: Batch) -> Batch;

    /// Takes those of `program`.
    fn change(&mut self, program: &Arc<Program>);
}

impl Filters for Chain {
    fn run(&mut self, batch: Batch) -> Batch {
        self.apply(batch)
    }

    fn change(&mut self, program: &Arc<Program>) {
        self.change(program);
    }
}

/// One thread of a pipeline.
struct Worker {
    inlet: Inlet,
    program: Arc<ArcSwap<Program>>,
    part: Part,
    ends: Arc<Ends>,
    chain: fn(&Arc<Program>) -> Box<dyn Filters>,
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
        let mut chain: Option<Box<dyn Filters>> = None;
        while let Some(Job { batch, place, pass }) = self.inlet.next() {
            let hand_on = |done| self.inlet.hand_on(&self.part, done);
            if pass.is_left() {
                drop(batch);
                place.give_up(hand_on);
                continue;
            }
            // A panic of ours must cost its batch (sent again), not the order of the stream nor the worker.
            let done = catch_unwind(AssertUnwindSafe(|| {
                let latest = self.program.load();
                if !Arc::ptr_eq(&latest, &current) {
                    current = latest.clone();
                    if let Some(chain) = &mut chain {
                        self.change(&mut **chain, &current);
                    }
                }
                chain.get_or_insert_with(|| (self.chain)(&current)).run(batch)
            }));
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

    /// Takes other filters between two batches. What there is to make for them was made aside.
    fn change(&self, chain: &mut dyn Filters, program: &Arc<Program>) {
        let began = Instant::now();
        chain.change(program);
        let pause = began.elapsed();
        Metric::FilterSwapPause.histogram(&[]).record(pause);
        tracing::debug!(worker = %self.part, ?pause, "a worker has taken other filters");
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

#[cfg(test)]
mod tests;
