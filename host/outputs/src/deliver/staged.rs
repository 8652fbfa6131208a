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
    let mut yard = Some(opened(courier, &plan).await);
    let mut job: Option<Job> = None;
    let (mut came, mut looked) = (Instant::now(), Instant::now());
    loop {
        // What a process before this one has left may wait for an operator: it takes no object's place.
        let most = writes + usize::from(!has_begun.load(Ordering::Relaxed));
        while under_way.len() < most
            && let Some(sealed) = line.next(Instant::now(), || yard.as_mut().and_then(|yard| yard.pop()))
        {
            under_way.push(Box::pin(courier.send(sealed, &plan, &line)));
        }
        let again = line.due().filter(|_| under_way.len() < most);
        let is_done =
            yard.as_ref().is_some_and(|yard| yard.is_empty()) && under_way.is_empty() && line.is_empty();
        if !open && is_done {
            return;
        }
        // An object takes the time that it takes, to be filled and to be written: what keeps it from being written is an ailment.
        buffer.emptied_by(yard.as_ref().is_none_or(|yard| !yard.is_empty()) || !under_way.is_empty(), false);
        let due = yard.as_ref().and_then(|yard| yard.due());
        let has_room = yard.as_mut().is_some_and(|yard| yard.takes_more());
        let lull =
            (has_room && yard.as_ref().is_some_and(|yard| yard.is_open())).then(|| came.max(looked) + LULL);
        let is_stuck = yard.as_ref().is_some_and(|yard| yard.is_stuck()) && under_way.len() < most;
        tokio::select! {
            biased;
            panicked = one_of(&mut under_way, || false), if !under_way.is_empty() => {
                buffer.turned();
                courier.failed(panicked);
            }
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
            () = until(again), if again.is_some() => {}
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
    let job = tasks::aside(move || {
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
