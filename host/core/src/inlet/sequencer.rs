//! Puts batches back into the order of their stream.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::batch::StreamId;

/// Puts what several workers finish back into the order in which it came, stream by stream.
///
/// A [`Place`] is taken when a batch comes in. Whoever finishes the batch that its stream waits for hands it on,
/// together with those behind it that are finished already; no lock is held while a batch is handed on.
///
/// A stream holds no more than [`WAITING`] finished batches back: who finishes one more waits with it, so that an
/// output that is stuck, or a batch that takes long, cannot pile batches up here.
///
/// A stream of which no place is out leaves nothing behind here, however its places ended.
pub struct Sequencer<T> {
    streams: Arc<Streams<T>>,
}

/// Finished batches that a stream holds back for one before them.
const WAITING: usize = 4;

struct Streams<T> {
    map: Mutex<HashMap<StreamId, Stream<T>, ahash::RandomState>>,
    /// A batch was handed on.
    progress: Condvar,
}

struct Stream<T> {
    issued: u64,
    next: u64,
    /// What is finished before its turn; none where the batch is gone.
    finished: BTreeMap<u64, Option<T>>,
    /// Somebody hands on batches of this stream now.
    busy: bool,
}

impl<T> Stream<T> {
    /// Passes over batches whose turn it is and that are gone. True if no place is out then, so that nobody would ever
    /// hand on what waits here.
    fn ends(&mut self) -> bool {
        while let Some(None) = self.finished.get(&self.next) {
            self.finished.remove(&self.next);
            self.next += 1;
        }
        self.finished.len() as u64 == self.issued - self.next
    }
}

impl<T> Streams<T> {
    /// Lets go of a stream that nobody hands on any more. What waited in it is dropped, so that it is sent again.
    fn let_go(&self, stream: StreamId, gone: Option<u64>) {
        let mut lock = self.map.lock();
        let mut ended = None;
        if let Some(line) = lock.get_mut(&stream) {
            if let Some(number) = gone {
                line.finished.insert(number, None);
            } else {
                line.busy = false;
            }
            // Whoever is busy here looks for it afterwards.
            if !line.busy && line.ends() {
                ended = lock.remove(&stream);
            }
        }
        drop(lock);
        self.progress.notify_all();
        drop(ended);
    }
}

impl<T> Default for Sequencer<T> {
    fn default() -> Self {
        Sequencer { streams: Arc::new(Streams { map: Mutex::default(), progress: Condvar::new() }) }
    }
}

impl<T> Sequencer<T> {
    /// The next place in a stream. Call it in the order of the stream.
    pub fn place(&self, stream: StreamId) -> Place<T> {
        if stream == StreamId::UNORDERED {
            return Place { streams: None, stream, number: 0 };
        }
        let mut streams = self.streams.map.lock();
        let line = streams.entry(stream).or_insert_with(|| Stream {
            issued: 0,
            next: 0,
            finished: BTreeMap::new(),
            busy: false,
        });
        let number = line.issued;
        line.issued += 1;
        Place { streams: Some(self.streams.clone()), stream, number }
    }
}

/// The place of one batch among those of its stream. Dropping it gives the place up.
pub struct Place<T> {
    streams: Option<Arc<Streams<T>>>,
    stream: StreamId,
    number: u64,
}

impl<T> Place<T> {
    /// The batch is finished: hands it on with `emit` when its turn has come, or leaves it for whoever is before it.
    pub fn finish(mut self, item: T, mut emit: impl FnMut(T)) {
        match self.streams.take() {
            None => emit(item),
            Some(streams) => advance(&streams, self.stream, self.number, Some(item), &mut emit),
        }
    }

    /// Hands on a piece of the batch, of which more follows: waits until its turn has come, and hands on with `emit` what is
    /// before it.
    pub fn hand_on(&self, piece: T, mut emit: impl FnMut(T)) {
        match &self.streams {
            None => emit(piece),
            Some(streams) => part(streams, self.stream, self.number, piece, &mut emit),
        }
    }

    /// The batch is gone: hands on with `emit` those that waited for it.
    pub fn give_up(mut self, mut emit: impl FnMut(T)) {
        if let Some(streams) = self.streams.take() {
            advance(&streams, self.stream, self.number, None, &mut emit);
        }
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        // What waits behind it is handed on by whoever finishes next.
        if let Some(streams) = self.streams.take() {
            streams.let_go(self.stream, Some(self.number));
        }
    }
}

/// The turn of whoever hands on batches of a stream. Dropped by a panic, it lets others go on.
struct Turn<'a, T> {
    streams: &'a Streams<T>,
    stream: StreamId,
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.streams.let_go(self.stream, None);
    }
}

fn advance<T>(streams: &Streams<T>, stream: StreamId, number: u64, item: Option<T>, emit: &mut dyn FnMut(T)) {
    let mut lock = streams.map.lock();
    // Whoever has the batch whose turn it is never waits here, so that those who do are let go.
    while item.is_some() && lock.get(&stream).is_some_and(|s| s.next != number && s.finished.len() >= WAITING)
    {
        streams.progress.wait(&mut lock);
    }
    let line = lock.get_mut(&stream).expect("a stream with places out is kept");
    line.finished.insert(number, item);
    if line.busy {
        return;
    }
    line.busy = true;
    loop {
        let line = lock.get_mut(&stream).expect("a stream that is busy is kept");
        let Some(item) = line.finished.remove(&line.next) else {
            line.busy = false;
            if line.next == line.issued {
                lock.remove(&stream);
            }
            streams.progress.notify_all();
            return;
        };
        line.next += 1;
        streams.progress.notify_all();
        if let Some(item) = item {
            drop(lock);
            let turn = Turn { streams, stream };
            emit(item);
            std::mem::forget(turn);
            lock = streams.map.lock();
        }
    }
}

fn part<T>(streams: &Streams<T>, stream: StreamId, number: u64, piece: T, emit: &mut dyn FnMut(T)) {
    let mut piece = Some(piece);
    let mut lock = streams.map.lock();
    while piece.is_some() {
        let line = lock.get_mut(&stream).expect("a stream with places out is kept");
        let next = match line.busy {
            true => None,
            false if line.next == number => piece.take().map(Some),
            false => line.finished.remove(&line.next).inspect(|_| line.next += 1),
        };
        let Some(next) = next else {
            // Somebody before it is at work, and wakes it.
            streams.progress.wait(&mut lock);
            continue;
        };
        line.busy = true;
        drop(lock);
        let turn = Turn { streams, stream };
        if let Some(item) = next {
            emit(item);
        }
        std::mem::forget(turn);
        lock = streams.map.lock();
        if let Some(line) = lock.get_mut(&stream) {
            line.busy = false;
        }
        streams.progress.notify_all();
    }
}

#[cfg(test)]
mod tests;
