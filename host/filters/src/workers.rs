//! The threads of a pipeline: each takes batches from the inlet, runs its chain over them, and hands them on in
//! order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};

use super::saved::States;
use super::step::Step;
use super::{Chain, Filter, Program};
use flitch_core::batch::Batch;
use flitch_core::buffers::Late;
use flitch_core::inlet::{Done, Inlet, Job};
use flitch_core::router::Router;
use flitch_core::tasks;
use flitch_core::telemetry::Metric;
use flitch_core::telemetry::health::{Health, Part, panicked, pause};

mod rollback;

pub use rollback::{Generations, RolledBack};

/// The threads that run a pipeline's filters.
pub struct Workers {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// What the threads of a pipeline have in common.
struct Shared {
    pipeline: String,
    inlet: Inlet,
    program: ArcSwap<Program>,
    health: Arc<Health>,
    ends: Ends,
    /// Filters that were put back, until somebody asks for them.
    rolled_back: Mutex<Vec<RolledBack>>,
    /// What workers need no more, at most that of one swap.
    gone: Mutex<Vec<Step>>,
    /// Threads that run records again.
    again: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Workers {
    /// Starts `count` threads that run `program` and hand the batches to `router`; none for an empty program.
    /// What the filters remember is kept in `states`. `health` hears of those that fail.
    pub fn start(
        pipeline: &str,
        program: Arc<Program>,
        count: usize,
        router: Arc<Router>,
        states: &Arc<States>,
        health: &Arc<Health>,
    ) -> std::io::Result<Workers> {
        let most = program.max_workers().unwrap_or(usize::MAX);
        let count = if program.is_empty() { 0 } else { count.clamp(1, most.max(1)) };
        let shared = Shared::new(pipeline, Inlet::new(count, router), program, health);
        let mut workers = Workers { shared, threads: Vec::with_capacity(count) };
        let shelf = states.shelf(pipeline, count);
        for number in 0..count {
            let name = format!("{pipeline}-{number}");
            let worker = Worker {
                shared: workers.shared.clone(),
                part: Part::new(health, "worker", &name),
                chain: {
                    let shelf = shelf.clone();
                    Box::new(move |program| Box::new(program.chain_of(&shelf, number)))
                },
            };
            workers.threads.push(tasks::joined_thread(name, move || worker.run())?);
        }
        Ok(workers)
    }

    /// The filters that run.
    pub fn program(&self) -> Arc<Program> {
        self.shared.program.load_full()
    }

    /// Where batches go in.
    pub fn inlet(&self) -> &Inlet {
        &self.shared.inlet
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

    /// Replaces the filters: each worker takes the new ones between two batches. Those that take the place of others are
    /// on probation.
    pub fn swap(&self, program: Arc<Program>) {
        self.shared.bury();
        super::swap::take_over(&self.program(), &program);
        self.shared.program.store(program);
    }

    /// Takes nothing more in, and lets the threads end when they have finished what is there.
    pub fn close(&self) {
        self.shared.inlet.close();
        self.shared.ends.now();
    }

    /// Whether nothing is left that [`Workers::finish`] would wait for.
    pub fn have_ended(&self) -> bool {
        let again = self.shared.again.lock();
        self.threads.iter().chain(&*again).all(thread::JoinHandle::is_finished)
    }

    /// [`Workers::close`], and waits for the threads. Blocks.
    pub fn finish(self) {
        self.close();
        for thread in self.threads {
            // What a panic was is told by the worker itself.
            let _ = thread.join();
        }
        // Only where a worker has failed at last.
        self.shared.inlet.clear();
        let again = std::mem::take(&mut *self.shared.again.lock());
        for thread in again {
            // The letters of what it did not come to stay.
            let _ = thread.join();
        }
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
    /// Runs a batch through them. What goes on before the last piece of it goes to `on`.
    fn run(&mut self, batch: Batch, on: &mut dyn FnMut(Batch)) -> Batch;

    /// Takes those of `program`.
    fn change(&mut self, program: &Arc<Program>);

    /// One that is to go, and why.
    fn worse(&mut self) -> Option<(Arc<Filter>, String)>;

    /// What nobody needs any more.
    fn take_gone(&mut self) -> Vec<Step>;

    /// When what they remember is to be saved.
    fn due(&self) -> Option<Instant>;

    /// Saves what they remember.
    fn save(&mut self);
}

impl Filters for Chain {
    fn run(&mut self, batch: Batch, on: &mut dyn FnMut(Batch)) -> Batch {
        self.apply_in_pieces(0, batch, on)
    }

    fn change(&mut self, program: &Arc<Program>) {
        self.change(program);
    }

    fn worse(&mut self) -> Option<(Arc<Filter>, String)> {
        self.worse()
    }

    fn take_gone(&mut self) -> Vec<Step> {
        self.take_gone()
    }

    fn due(&self) -> Option<Instant> {
        Chain::due(self)
    }

    fn save(&mut self) {
        Chain::save(self);
    }
}

/// Makes what a worker runs of the filters that are in force.
type Begin = Box<dyn Fn(&Arc<Program>) -> Box<dyn Filters> + Send>;

/// One thread of a pipeline.
struct Worker {
    shared: Arc<Shared>,
    part: Part,
    chain: Begin,
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
        let Shared { inlet, program, .. } = &*self.shared;
        let mut current = program.load_full();
        let mut chain: Option<Box<dyn Filters>> = None;
        loop {
            let Job { batch, place, pass } = match inlet.next(due(&chain)) {
                Ok(Some(job)) => job,
                Ok(None) => break save(&mut chain),
                Err(Late) => {
                    save(&mut chain);
                    continue;
                }
            };
            let hand_on = |done| inlet.hand_on(&self.part, done);
            if pass.is_left() {
                drop(batch);
                place.give_up(hand_on);
                continue;
            }
            // A panic of ours must cost its batch (sent again), not the order of the stream nor the worker.
            let done = catch_unwind(AssertUnwindSafe(|| {
                let latest = program.load();
                if !Arc::ptr_eq(&latest, &current) {
                    current = latest.clone();
                    if let Some(chain) = &mut chain {
                        self.change(&mut **chain, &current);
                    }
                }
                let mut on = |batch| place.hand_on(Done { batch, pass: pass.clone() }, hand_on);
                chain.get_or_insert_with(|| (self.chain)(&current)).run(batch, &mut on)
            }));
            match done {
                Ok(batch) => {
                    *failures = 0;
                    place.finish(Done { batch, pass }, hand_on);
                    if due(&chain).is_some_and(|due| due <= Instant::now()) {
                        save(&mut chain);
                    }
                    if let Some(chain) = &mut chain {
                        self.look(&mut **chain);
                    }
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

    /// Looks at filters on probation.
    fn look(&self, chain: &mut dyn Filters) {
        if let Some((filter, why)) = chain.worse() {
            self.shared.roll_back(&filter, &why);
        }
        let gone = chain.take_gone();
        if !gone.is_empty() {
            self.shared.gone.lock().extend(gone);
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
        self.shared.ends.wait(pause);
        self.part.up();
    }
}

/// When what a worker's filters remember is to be saved.
fn due(chain: &Option<Box<dyn Filters>>) -> Option<Instant> {
    chain.as_ref()?.due()
}

/// Saves what a worker's filters remember.
fn save(chain: &mut Option<Box<dyn Filters>>) {
    if let Some(chain) = chain {
        chain.save();
    }
}

#[cfg(test)]
mod tests;
