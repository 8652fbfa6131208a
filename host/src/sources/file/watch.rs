//! What the system says about changes. Nothing depends on it: where it fails, files are found by looking.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crossbeam_channel::Sender as Channel;
use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::Hint;

/// Most folders that are watched: the system has few watches to give.
const MOST: usize = 1024;

/// Watches the folders in which files are looked for.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    /// A watch over no folder yet, which tells `hints` what it sees.
    pub fn new(hints: Channel<Hint>) -> Watch {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            for hint in understand(event) {
                // The source has ended.
                hints.send(hint).ok();
            }
        });
        let watcher = watcher
            .inspect_err(
                |error| tracing::warn!(%error, "the system tells no changes; files are found by looking"),
            )
            .ok();
        Watch { watcher, folders: BTreeSet::new() }
    }

    /// Watches these folders and no others.
    pub fn follow(&mut self, folders: &BTreeSet<PathBuf>) {
        if *folders == self.folders {
            return;
        }
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.folders.difference(folders) {
            // A folder that is removed is not watched any more anyway.
            watcher.unwatch(gone).ok();
        }
        for new in folders.difference(&self.folders).take(MOST.saturating_sub(self.folders.len())) {
            if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %new.display(), %error, "cannot watch; found by looking");
            }
        }
        self.folders.clone_from(folders);
    }
}

fn understand(event: notify::Result<notify::Event>) -> Vec<Hint> {
    match event {
        Ok(event) => match event.kind {
            EventKind::Modify(ModifyKind::Name(_)) | EventKind::Create(_) | EventKind::Remove(_) => {
                vec![Hint::Names]
            }
            EventKind::Modify(_) => event.paths.into_iter().map(Hint::Changed).collect(),
            EventKind::Access(_) => Vec::new(),
            EventKind::Any | EventKind::Other => vec![Hint::Names],
        },
        Err(_) => vec![Hint::Names],
    }
}
