//! Things of which the log says how many there were: the first ones at once, and what comes then once a minute.

use std::fmt;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

use super::Quiet;

/// All that may have something left to say.
static ALL: LazyLock<Mutex<Vec<Weak<dyn Left>>>> = LazyLock::new(Mutex::default);

/// What has happened since the log last said so. What no minute brings to the log is said when this is gone, and by [`say_all`].
pub struct Gathered<T> {
    said: Quiet,
    kept: Mutex<Option<T>>,
    say: Box<dyn Fn(T) + Send + Sync>,
}

trait Left: Send + Sync {
    /// Says what is kept: where its time has come, or `at_once`.
    fn tell(&self, at_once: bool);
}

impl<T: Send + 'static> Gathered<T> {
    /// One whose lines `say` writes.
    pub fn new(say: impl Fn(T) + Send + Sync + 'static) -> Arc<Gathered<T>> {
        let gathered =
            Arc::new(Gathered { said: Quiet::a_minute(), kept: Mutex::default(), say: Box::new(say) });
        let weak: Weak<Gathered<T>> = Arc::downgrade(&gathered);
        let mut all = ALL.lock();
        all.retain(|left| left.strong_count() > 0);
        all.push(weak);
        gathered
    }

    /// Adds to what is kept, which is none where all of it was said.
    pub fn add(&self, add: impl FnOnce(Option<T>) -> T) {
        let mut kept = self.kept.lock();
        *kept = Some(add(kept.take()));
        drop(kept);
        self.tell(false);
    }
}

impl<T: Send> Left for Gathered<T> {
    fn tell(&self, at_once: bool) {
        let mut kept = self.kept.lock();
        if kept.is_none() || !(self.said.may_say() || at_once) {
            return;
        }
        let told = kept.take();
        drop(kept);
        told.into_iter().for_each(&self.say);
    }
}

impl<T> Drop for Gathered<T> {
    fn drop(&mut self) {
        self.kept.get_mut().take().into_iter().for_each(&self.say);
    }
}

impl<T> fmt::Debug for Gathered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gathered")
    }
}

/// Says everything whose time has come though nothing more of its kind has. To be called often.
pub fn say_due() {
    tell(false);
}

/// Says everything that was not said yet, as the end of the process wants it.
pub fn say_all() {
    tell(true);
}

fn tell(at_once: bool) {
    let all = ALL.lock().clone();
    all.iter().filter_map(Weak::upgrade).for_each(|left| left.tell(at_once));
}

#[cfg(test)]
mod tests;
