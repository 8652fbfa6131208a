//! What the outputs of this process share that write to one path: both generations of an output while it is replaced.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use parking_lot::{Mutex, MutexGuard};

use flitch_core::tasks;
use flitch_core::telemetry::Part;

/// Places that outputs know.
static PLACES: LazyLock<Mutex<Places>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Places {
    known: HashMap<PathBuf, Weak<Place>>,
    /// How many there may be before those are forgotten that nobody uses.
    most: usize,
}

/// A path that is written to.
#[derive(Debug, Default)]
pub(super) struct Place {
    turn: Mutex<()>,
    /// Compresses the file that was rotated last.
    compressing: Mutex<Option<Compressing>>,
}

#[derive(Debug)]
struct Compressing {
    thread: JoinHandle<()>,
    /// Dropped to end it where it failed and waits to try again.
    need: Sender<Infallible>,
}

impl Place {
    /// The place of a path.
    pub fn of(path: &Path) -> Arc<Place> {
        let mut places = PLACES.lock();
        if let Some(place) = places.known.get(path).and_then(Weak::upgrade) {
            return place;
        }
        if places.known.len() >= places.most {
            places.known.retain(|_, place| place.strong_count() > 0);
            places.most = (places.known.len() * 2).max(1024);
        }
        let place = Arc::new(Place::default());
        places.known.insert(path.to_owned(), Arc::downgrade(&place));
        place
    }

    /// Held from looking which file is at the path until lines are in it, and while it is moved away: lines that reach
    /// a file behind the one that compresses it would be deleted with it.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock()
    }

    /// Runs `work`, which compresses the file that was just moved away, on a thread. Where it panics it is tried again
    /// until the file is to be moved on; `part` hears of it.
    pub fn compress(self: &Arc<Self>, part: Part, work: impl Fn() + Send + 'static) -> std::io::Result<()> {
        // As long as it runs whoever asks for the place is to find this one.
        let place = self.clone();
        let (need, needed) = crossbeam_channel::bounded(0);
        let thread = tasks::kept_thread(part, needed, move || {
            let _held = &place;
            work();
        })?;
        *self.compressing.lock() = Some(Compressing { thread, need });
        Ok(())
    }

    /// Waits until the last rotated file is compressed, or stays as it is.
    pub fn finish(&self) {
        let mut compressing = self.compressing.lock();
        if let Some(Compressing { thread, need }) = compressing.take() {
            drop(need);
            // What a panic was is told by the thread itself.
            let _ = thread.join();
        }
    }
}
