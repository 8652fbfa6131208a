//! The delivery loop of outputs that build objects on disk: batches go into the yard, and what comes out of it is written,
//! as often as it takes.

use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::line::Line;
use super::{Courier, one_of};
use crate::parcel::Refused;
use crate::staging::{Plan, Yard};
use flitch_core::batch::Batch;
use flitch_core::buffers::Buffer;
use flitch_core::clock::until;
use flitch_core::tasks::{self, Undone};

/// How long after a failure the yard is opened again.
const REST: Duration = Duration::from_secs(1);

/// How long nothing has come when somebody waits for the end of what is on its way, or for room: then nothing more does.
const LULL: Duration = Duration::from_millis(200);

/// What was done in a yard: it comes back with the rows that belong to no object.
type Done = Result<(Box<Yard>, Option<Refused>), Undone>;
type Job = Pin<Box<dyn Future<Output = Done> + Send>>;

/// The yard, or what is being done in it.
struct Site {
    yard: Option<Box<Yard>>,
    job: Option<Job>,
    /// When a batch came last, and when it was last asked whether somebody waits.
    came: Instant,
    looked: Instant,
}

impl Site {
    fn of(yard: Box<Yard>) -> Site {
        Site { yard: Some(yard), job: None, came: Instant::now(), looked: Instant::now() }
    }

    /// Whether there is nothing in it, and nothing is done in it.
    fn is_empty(&self) -> bool {
        self.yard.as_ref().is_some_and(|yard| yard.is_empty())
    }

    /// Whether it takes another batch now.
    fn has_room(&mut self) -> bool {
        self.yard.as_mut().is_some_and(|yard| yard.takes_more())
    }

    /// Whether it has room again only when an object is closed before its time.
    fn is_stuck(&self) -> bool {
        self.yard.as_ref().is_some_and(|yard| yard.is_stuck())
    }

    /// When an object is to be closed.
    fn due(&self) -> Option<Instant> {
        self.yard.as_ref().and_then(|yard| yard.due())
    }

    /// When it has had nothing to do for so long that somebody may wait for what it keeps open.
    fn lull(&self) -> Option<Instant> {
        let is_open = self.yard.as_ref().is_some_and(|yard| yard.is_open());
        is_open.then(|| self.came.max(self.looked) + LULL)
    }

    /// Does something in the yard where it may block.
    fn start(&mut self, work: impl FnOnce(&mut Yard) -> Option<Refused> + Send + 'static) {
        let Some(mut yard) = self.yard.take() else { return };
        self.job = Some(Box::pin(tasks::aside(move || {
            let refused = work(&mut yard);
            (yard, refused)
        })));
    }

    /// Puts a batch into it.
    fn put(&mut self, batch: Batch) {
        self.came = Instant::now();
        self.start(move |yard| yard.put(batch, Instant::now()));
    }

    /// Does what has no rows that come back.
    fn tend(&mut self, work: fn(&mut Yard, Instant)) {
        self.start(move |yard| {
            work(yard, Instant::now());
            None
        });
    }

    /// The end of what is done in it; for ever where that is nothing.
    async fn done(&mut self) -> Done {
        let Some(job) = &mut self.job else { return pending().await };
        let done = job.await;
        self.job = None;
        done
    }
}

/// Takes the batches of `buffer` to the output until it is closed and all objects are written.
pub(super) async fn work(courier: &Courier, plan: Plan, buffer: &Buffer) {
    let writes = courier.output.concurrency().max(1);
    let (line, has_begun) = (Line::default(), AtomicBool::new(false));
    let mut under_way: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::with_capacity(writes + 1);
    under_way.push(Box::pin(async {
        courier.begin().await;
        has_begun.store(true, Ordering::Relaxed);
    }));
    let mut open = true;
    let mut site = Site::of(opened(courier, &plan).await);
    loop {
        // What a process before this one has left may wait for an operator: it takes no object's place.
        let most = writes + usize::from(!has_begun.load(Ordering::Relaxed));
        while under_way.len() < most
            && let Some(sealed) = line.next(Instant::now(), || site.yard.as_mut().and_then(|yard| yard.pop()))
        {
            under_way.push(Box::pin(courier.send(sealed, &plan, &line)));
        }
        if !open && site.is_empty() && under_way.is_empty() && line.is_empty() {
            return;
        }
        // An object takes the time that it takes, to be filled and to be written: what keeps it from being written is an ailment.
        buffer.emptied_by(!site.is_empty() || !under_way.is_empty(), false);
        let again = line.due().filter(|_| under_way.len() < most);
        let (due, has_room) = (site.due(), site.has_room());
        let lull = site.lull().filter(|_| has_room);
        let is_stuck = site.is_stuck() && under_way.len() < most;
        tokio::select! {
            biased;
            panicked = one_of(&mut under_way, || false), if !under_way.is_empty() => {
                buffer.turned();
                courier.failed(panicked);
            }
            done = site.done() => match done {
                Ok((back, refused)) => {
                    site.yard = Some(back);
                    under_way.extend(refused.map(|refused| -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
                        Box::pin(courier.refuse(refused))
                    }));
                }
                Err(_) => {
                    courier.failed(1);
                    site.yard = Some(opened(courier, &plan).await);
                }
            },
            () = until(again), if again.is_some() => {}
            () = until(due), if due.is_some() => site.tend(Yard::tend),
            () = ready(()), if is_stuck => site.tend(Yard::close_largest),
            batch = buffer.lease(), if open && has_room && under_way.len() <= most => match batch {
                Some(batch) if batch.records.rows() == 0 => batch.receipt.delivered(),
                Some(batch) => site.put(batch),
                None => {
                    open = false;
                    site.tend(Yard::close_all);
                }
            },
            () = until(lull), if lull.is_some() => {
                site.looked = Instant::now();
                // In a buffer that is full and gives out nothing is what has gone into the yard already.
                if buffer.is_rushed() || buffer.is_full() {
                    site.tend(Yard::hurry);
                }
            }
        }
    }
}

/// Opens a yard; tries until there is one.
async fn opened(courier: &Courier, plan: &Plan) -> Box<Yard> {
    loop {
        let plan = plan.clone();
        match tasks::aside(move || Yard::new(plan)).await {
            Ok(Ok(yard)) => return Box::new(yard),
            Ok(Err(error)) => {
                tracing::error!(output = %courier.name, "cannot build objects: {error}; records wait");
            }
            Err(_) => courier.failed(1),
        }
        tokio::time::sleep(REST).await;
    }
}
