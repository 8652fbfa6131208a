//! What the system says about changes. Nothing depends on it: where it fails, files are found by looking.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use notify::event::{EventKind, ModifyKind, RenameMode};
use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher};
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
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    news: Arc<Mutex<News>>,
}

impl Watch {
    /// A watch over no folder yet, which rings the bell once when there is news to take.
    pub fn new(bell: Arc<Bell>) -> Watch {
        let news = Arc::new(Mutex::new(News::default()));
        let told = news.clone();
        let hear = move |event: notify::Result<notify::Event>| {
            let mut news = told.lock();
            let was_empty = news.is_empty();
            news.add(event);
            if was_empty && !news.is_empty() {
                bell.ring(Hint::News);
            }
        };
        let watcher = tasks::with_thread(
            || Ok(notify::recommended_watcher(hear)?),
            |made| Ok(made.configure(Config::default())?),
        );
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the system tells no changes; files are found by looking"
                );
            })
            .ok();
        Watch { watcher, folders: BTreeSet::new(), news }
    }

    /// What happened since this was last called.
    pub fn take(&self) -> News {
        std::mem::take(&mut *self.news.lock())
    }

    /// Watches these folders and no others.
    pub fn follow(&mut self, folders: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.folders.difference(&folders) {
            // A folder that is removed is not watched any more anyway.
            watcher.unwatch(gone).ok();
        }
        for new in folders.difference(&self.folders).take(MOST.saturating_sub(self.folders.len())) {
            if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %new.display(), %error, "cannot watch; found by looking");
            }
        }
        self.folders = folders;
    }
}
