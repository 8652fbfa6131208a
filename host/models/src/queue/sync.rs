//! What the queue is made of, on loom: parking_lot's locks, and tokio's `Notify` as its documentation has it.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub use loom::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

pub struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Mutex<T> {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap()))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().unwrap()
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().unwrap()
    }
}

/// What a wait for a time came to.
pub struct Waited;

impl Waited {
    pub fn timed_out(&self) -> bool {
        false
    }
}

#[derive(Debug, Default)]
pub struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().unwrap();
        guard.0 = Some(self.0.wait(held).unwrap());
    }

    /// Here no time ever comes.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: std::time::Instant) -> Waited {
        self.wait(guard);
        Waited
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A permit that is kept for the next who waits, and those who wait, first come first served.
#[derive(Debug)]
pub struct Notify(loom::sync::Mutex<State>);

#[derive(Debug, Default)]
struct State {
    permit: bool,
    /// How often all were notified.
    rounds: usize,
    next: usize,
    waiting: VecDeque<(usize, Waker)>,
    /// Those who were notified and have not seen it, and whether it was they alone.
    notified: Vec<(usize, bool)>,
}

impl Default for Notify {
    fn default() -> Notify {
        Notify::new()
    }
}

impl Notify {
    pub fn new() -> Notify {
        Notify(loom::sync::Mutex::new(State::default()))
    }

    pub fn notify_one(&self) {
        let mut state = self.0.lock().unwrap();
        let woken = state.one();
        drop(state);
        if let Some(waker) = woken {
            waker.wake();
        }
    }

    pub fn notify_waiters(&self) {
        let mut state = self.0.lock().unwrap();
        state.rounds += 1;
        let all: Vec<_> = state.waiting.drain(..).collect();
        state.notified.extend(all.iter().map(|(id, _)| (*id, false)));
        drop(state);
        all.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Hears of every [`Notify::notify_waiters`] from now on.
    pub fn notified(&self) -> Notified<'_> {
        let rounds = self.0.lock().unwrap().rounds;
        Notified { notify: self, rounds, id: None, done: false }
    }
}

impl State {
    fn one(&mut self) -> Option<Waker> {
        match self.waiting.pop_front() {
            Some((id, waker)) => {
                self.notified.push((id, true));
                Some(waker)
            }
            None => {
                self.permit = true;
                None
            }
        }
    }

    /// Whether this one was notified, and whether it was it alone.
    fn take(&mut self, id: usize) -> Option<bool> {
        let place = self.notified.iter().position(|(notified, _)| *notified == id)?;
        Some(self.notified.remove(place).1)
    }
}

pub struct Notified<'a> {
    notify: &'a Notify,
    rounds: usize,
    id: Option<usize>,
    done: bool,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let notify = self.notify;
        let mut state = notify.0.lock().unwrap();
        match self.id {
            None if state.rounds != self.rounds => self.done = true,
            None if std::mem::take(&mut state.permit) => self.done = true,
            None => {
                let id = state.next;
                state.next += 1;
                state.waiting.push_back((id, cx.waker().clone()));
                self.id = Some(id);
            }
            Some(id) => self.done = state.take(id).is_some(),
        }
        if self.done { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.filter(|_| !self.done) else { return };
        let mut state = self.notify.0.lock().unwrap();
        state.waiting.retain(|(waiting, _)| *waiting != id);
        // What was meant for it alone goes to the next.
        let passed = if state.take(id) == Some(true) { state.one() } else { None };
        drop(state);
        if let Some(waker) = passed {
            waker.wake();
        }
    }
}
