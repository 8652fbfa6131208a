//! What the system says about changes. Nothing depends on it: where it fails, files are found by looking.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use notify::event::{EventKind, ModifyKind, RenameMode};
use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;

use crate::bell::{Bell, Hint};
use flitch_core::tasks;

/// Most folders that are watched: the system has few watches to give.
const MOST: usize = 1024;

/// Most names that are remembered; where more happens everything is looked at.
const MOST_NAMES: usize = 1 << 16;

/// What happened since it was last asked, however often it did.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Files that were written to.
    pub written: HashSet<PathBuf>,
    /// Names that came or went.
    pub named: HashSet<PathBuf>,
    /// Names that changed, from and to, in their order.
    pub moved: Vec<(PathBuf, PathBuf)>,
    /// The system lost count: anything may have happened.
    pub unknown: bool,
}

impl News {
    fn is_empty(&self) -> bool {
        self.written.is_empty() && self.named.is_empty() && self.moved.is_empty() && !self.unknown
    }

    fn add(&mut self, event: notify::Result<notify::Event>) {
        if self.written.len() + self.named.len() + self.moved.len() >= MOST_NAMES {
            *self = News { unknown: true, ..News::default() };
        }
        match event {
            Ok(event) if !event.need_rescan() => match event.kind {
                EventKind::Access(_) => {}
                // The two halves of it come as well, by themselves.
                EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => {
                    if let Ok([from, to]) = <[PathBuf; 2]>::try_from(event.paths) {
                        self.moved.push((from, to));
                    }
                }
                EventKind::Modify(ModifyKind::Name(_)) | EventKind::Create(_) | EventKind::Remove(_) => {
                    self.named.extend(event.paths);
                }
                EventKind::Modify(_) => {
                    for path in event.paths {
                        if !self.written.contains(&path) {
                            self.written.insert(path);
                        }
                    }
                }
                EventKind::Any | EventKind::Other => self.unknown = true,
            },
            Ok(_) | Err(_) => self.unknown = true,
        }
    }
}

/// Watches the folders in which files are looked for.
pub(super) struct Watch {
    /// None while the system gives none; then it is asked for one again.
    watcher: Option<RecommendedWatcher>,
    /// Those that are watched.
    folders: BTreeSet<PathBuf>,
    news: Arc<Mutex<News>>,
    bell: Arc<Bell>,
    /// It was told that the system does not watch all.
    is_told: bool,
}

impl Watch {
    /// A watch over no folder yet, which rings the bell once when there is news to take.
    pub fn new(bell: Arc<Bell>) -> Watch {
        let mut watch =
            Watch { watcher: None, folders: BTreeSet::new(), news: Arc::default(), bell, is_told: false };
        watch.begin();
        watch
    }

    /// Asks the system for a watcher, where there is none.
    fn begin(&mut self) {
        if self.watcher.is_some() {
            return;
        }
        let (bell, told) = (self.bell.clone(), self.news.clone());
        let hear = move |event: notify::Result<notify::Event>| {
            let mut news = told.lock();
            let was_empty = news.is_empty();
            news.add(event);
            if was_empty && !news.is_empty() {
                bell.ring(Hint::News);
            }
        };
        let made = tasks::with_thread(
            || Ok(notify::recommended_watcher(hear)?),
            |made| Ok(made.configure(Config::default())?),
        );
        match made {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                let error = format!(
                    "{error:#} (`fs.inotify.max_user_instances` and `ulimit -n` bound what there is)"
                );
                self.tell(&error);
            }
        }
    }

    /// What happened since this was last called.
    pub fn take(&mut self) -> News {
        let news = std::mem::take(&mut *self.news.lock());
        // One that went and came again is watched anew.
        for name in &news.named {
            self.folders.remove(name);
        }
        news
    }

    /// Watches these folders and no others. What the system does not watch is tried again at the next call.
    pub fn follow(&mut self, folders: &BTreeSet<PathBuf>) {
        self.begin();
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.folders.difference(folders) {
            // A folder that is removed is not watched any more anyway.
            watcher.unwatch(gone).ok();
        }
        self.folders.retain(|folder| folders.contains(folder));
        let mut refused = None;
        let room = MOST.saturating_sub(self.folders.len());
        for new in folders.difference(&self.folders.clone()).take(room) {
            match watcher.watch(new, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.folders.insert(new.clone())),
                Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                    refused.get_or_insert_with(|| {
                        format!("{}: {error} (`fs.inotify.max_user_watches`)", new.display())
                    });
                }
                Err(error) => {
                    tracing::debug!(folder = %new.display(), %error, "cannot watch; found by looking");
                }
            }
        }
        match refused {
            Some(error) => self.tell(&error),
            None => self.is_told = false,
        }
    }

    fn tell(&mut self, error: &str) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(
                error,
                "the system tells not all changes; files are found by looking until it does"
            );
        }
    }
}

#[cfg(test)]
mod tests;
