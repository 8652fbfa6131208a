//! A queue between threads and tasks, bounded by weight.

use std::collections::VecDeque;
use std::time::Instant;

use super::sync::{AtomicUsize, Condvar, Mutex, Notify, Ordering};

/// The queue takes no more items: its reader has stopped.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("closed")]
pub struct Closed;

/// Nothing came in time.
#[derive(Debug, PartialEq, Eq)]
pub struct Late;

/// A queue bounded by the weight of its items, for threads and tasks on both ends: a thread that puts items in waits with
/// [`block_on`](crate::blocking::block_on).
///
/// An item heavier than the whole bound is taken when the queue is empty, so that nothing waits for ever.
#[derive(Debug)]
pub struct Queue<T> {
    capacity: usize,
    state: Mutex<Inside<T>>,
    room: Notify,
    item: Signal,
    /// Pushes that wait for room.
    waiting: AtomicUsize,
}

/// One of the pushes that wait, for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Waiting<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Inside<T> {
    items: VecDeque<(T, usize)>,
    weight: usize,
    closed: bool,
}

/// Wakes one waiter among threads and one among tasks.
#[derive(Debug, Default)]
struct Signal {
    threads: Condvar,
    tasks: Notify,
}

impl Signal {
    fn one(&self) {
        self.threads.notify_one();
        self.tasks.notify_one();
    }

    fn all(&self) {
        self.threads.notify_all();
        self.tasks.notify_waiters();
        self.tasks.notify_one();
    }
}

impl<T> Queue<T> {
    /// A queue whose items weigh no more than `capacity` together.
    pub fn new(capacity: usize) -> Queue<T> {
        Queue {
            capacity,
            state: Mutex::new(Inside { items: VecDeque::new(), weight: 0, closed: false }),
            room: Notify::new(),
            item: Signal::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    fn has_room(&self, state: &Inside<T>, weight: usize) -> bool {
        state.items.is_empty() || state.weight + weight <= self.capacity
    }

    fn put(&self, state: &mut Inside<T>, item: T, weight: usize) {
        state.weight += weight;
        state.items.push_back((item, weight));
        self.item.one();
        if state.weight < self.capacity {
            self.room.notify_one();
        }
    }

    fn get(&self, state: &mut Inside<T>) -> Option<T> {
        let (item, weight) = state.items.pop_front()?;
        state.weight -= weight;
        self.room.notify_one();
        if !state.items.is_empty() {
            self.item.one();
        }
        Some(item)
    }

    /// Puts an item in, unless there is no room, when the item comes back.
    pub fn try_push(&self, item: T, weight: usize) -> Result<Result<(), T>, Closed> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Closed);
        }
        if !self.has_room(&state, weight) {
            return Ok(Err(item));
        }
        self.put(&mut state, item, weight);
        Ok(Ok(()))
    }

    /// Puts an item in, waiting while there is no room.
    pub async fn push(&self, item: T, weight: usize) -> Result<(), Closed> {
        let mut item = item;
        loop {
            let room = self.room.notified();
            match self.try_push(item, weight)? {
                Ok(()) => return Ok(()),
                Err(back) => item = back,
            }
            let _waiting = Waiting::new(&self.waiting);
            room.await;
        }
    }

    /// Takes the oldest item out, blocking the thread while there is none, until a time if there is one; none once the
    /// queue is closed and empty.
    ///
    /// # Errors
    /// That time has come.
    pub fn pop_blocking(&self, until: Option<Instant>) -> Result<Option<T>, Late> {
        let mut state = self.state.lock();
        let mut late = false;
        loop {
            if let Some(item) = self.get(&mut state) {
                return Ok(Some(item));
            }
            if state.closed {
                return Ok(None);
            }
            match until {
                _ if late => return Err(Late),
                None => self.item.threads.wait(&mut state),
                Some(until) => late = self.item.threads.wait_until(&mut state, until).timed_out(),
            }
        }
    }

    /// Takes the oldest item out; none once the queue is closed and empty.
    pub async fn pop(&self) -> Option<T> {
        loop {
            let item = self.item.tasks.notified();
            {
                let mut state = self.state.lock();
                if let Some(item) = self.get(&mut state) {
                    return Some(item);
                }
                if state.closed {
                    return None;
                }
            }
            item.await;
        }
    }

    /// Takes the oldest item out if there is one.
    pub fn try_pop(&self) -> Option<T> {
        self.get(&mut self.state.lock())
    }

    /// Refuses new items; those inside can still be taken out.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.room.notify_waiters();
        self.room.notify_one();
        self.item.all();
    }

    /// The sum of what `count` says of each item, the weight of all, and whether it is closed.
    pub fn look(&self, count: impl Fn(&T) -> u64) -> (u64, usize, bool) {
        let state = self.state.lock();
        (state.items.iter().map(|(item, _)| count(item)).sum(), state.weight, state.closed)
    }

    /// Whether the next item would wait, as far as can be said without knowing its weight.
    pub fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.state.lock().weight >= self.capacity
    }

    /// Number of items inside.
    pub fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Whether nothing is inside.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
