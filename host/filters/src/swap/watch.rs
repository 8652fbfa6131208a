//! Watches the files that plugins come from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use flitch_core::file_stamp::FileStamp;

/// How often files are looked at where the kernel tells nothing: network folders, bind mounts.
const EVERY: Duration = Duration::from_secs(2);
/// How long a file must stay the same before it is taken for written.
const QUIET: Duration = Duration::from_millis(200);

/// Watches files that plugins come from. The kernel's word (inotify) is a hint; a look every few seconds finds what it
/// does not tell.
pub struct Watch {
    files: BTreeMap<PathBuf, Option<FileStamp>>,
    told: Arc<Notify>,
    kernel: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches no file yet.
    pub fn new() -> Watch {
        Watch { files: BTreeMap::new(), told: Arc::default(), kernel: None }
    }

    /// Watches these files from now on. Those that it watched already are not taken for changed.
    pub fn follow(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let mut before = std::mem::take(&mut self.files);
        self.files = files
            .into_iter()
            .map(|file| {
                let seen = before.remove(&file).unwrap_or_else(|| FileStamp::of(&file));
                (file, seen)
            })
            .collect();
        let told = self.told.clone();
        self.kernel = notify::recommended_watcher(move |_| told.notify_one()).ok();
        let folders: BTreeSet<_> = self.files.keys().filter_map(|file| file.parent()).collect();
        for folder in folders {
            let watched =
                self.kernel.as_mut().map(|kernel| kernel.watch(folder, RecursiveMode::NonRecursive));
            if let Some(Err(error)) = watched {
                tracing::debug!(folder = %folder.display(), %error, "the folder is looked at every {EVERY:?} only");
            }
        }
    }

    /// Takes these as they are now: who put them there has told of it, and they are whole.
    pub fn takes(&mut self, placed: &BTreeSet<PathBuf>) {
        for (file, seen) in self.files.iter_mut().filter(|(file, _)| placed.contains(*file)) {
            *seen = FileStamp::of(file).or(*seen);
        }
    }

    /// Waits until one of the files has changed and is written.
    pub async fn changed(&mut self) {
        loop {
            if self.files.is_empty() {
                self.told.notified().await;
            } else {
                tokio::select! {
                    () = self.told.notified() => {}
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
            if self.differs() && self.settled().await {
                return;
            }
        }
    }

    fn differs(&self) -> bool {
        // A file that is gone has no new code: its plugin goes on.
        self.files.iter().any(|(file, seen)| FileStamp::of(file).is_some_and(|now| *seen != Some(now)))
    }

    /// Waits until the files stay as they are; whether they are others then.
    async fn settled(&mut self) -> bool {
        loop {
            let now: Vec<Option<FileStamp>> = self.files.keys().map(|file| FileStamp::of(file)).collect();
            tokio::time::sleep(QUIET).await;
            if self.files.keys().zip(&now).all(|(file, now)| FileStamp::of(file) == *now) {
                let differs = self.differs();
                for (seen, now) in self.files.values_mut().zip(now) {
                    *seen = now.or(*seen);
                }
                return differs;
            }
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Watch::new()
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("files", &self.files.keys()).finish_non_exhaustive()
    }
}
