//! Watches the files that plugins come from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use flitch_core::file_stamp::FileStamp;
use flitch_core::tasks;

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
        let kernel = || Ok(notify::recommended_watcher(move |_| told.notify_one())?);
        self.kernel = tasks::with_thread(kernel, |made| Ok(made.configure(Config::default())?))
            .inspect_err(|error| {
                tracing::debug!(error = format!("{error:#}"), "folders are looked at every {EVERY:?} only");
            })
            .ok();
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

    /// Waits until some of the files have changed and are written; another that is written meanwhile does not hold them up.
    pub async fn changed(&mut self) -> BTreeSet<PathBuf> {
        loop {
            if self.files.is_empty() {
                self.told.notified().await;
            } else {
                tokio::select! {
                    () = self.told.notified() => {}
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
            let mut before = self.others();
            while !before.is_empty() {
                tokio::time::sleep(QUIET).await;
                let now = self.others();
                let quiet = now.iter().filter(|(file, stamp)| before.get(*file) == Some(*stamp));
                let quiet: Vec<_> = quiet.map(|(file, stamp)| (file.clone(), *stamp)).collect();
                if !quiet.is_empty() {
                    // The next call looks at those that are not.
                    self.told.notify_one();
                    self.files.extend(quiet.iter().map(|(file, stamp)| (file.clone(), Some(*stamp))));
                    return quiet.into_iter().map(|(file, _)| file).collect();
                }
                before = now;
            }
        }
    }

    /// The files that are others than before. One that is gone has no new code: its plugin goes on.
    fn others(&self) -> BTreeMap<PathBuf, FileStamp> {
        let other = |(file, seen): (&PathBuf, &Option<FileStamp>)| {
            let now = FileStamp::of(file).filter(|now| *seen != Some(*now))?;
            Some((file.clone(), now))
        };
        self.files.iter().filter_map(other).collect()
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
