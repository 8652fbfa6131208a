//! Files that grow: log files, followed through rotation.
//!
//! One thread per source reads all its files in turn. A file is known by device, inode, the time at which it was made,
//! and hashes of its first bytes and of those before its position; the position moves only when the receipt of what was
//! read has settled, and is saved in the source's folder. Where a file begins is saved before its first record goes on,
//! so that it is found again whatever it is called after a crash.
//!
//! What the system says about changes (notify) saves time, and tells of renames that are faster than any look:
//! everything else is found by looking, too. The folders that links lead to are watched and searched like those of the
//! globs. While an output takes nothing only reading stands still.
//!
//! A file's bytes are not kept: a line without its end, and records that came back, are read again. So a position is
//! always the beginning of a line, and a restart needs nothing else. Only the records of containers are kept while they
//! are open, since those of the other stream pass them by: see `container::Position`.

use std::path::Path;
use std::sync::{Arc, atomic};
use std::time::{Duration, Instant};

use super::{BESIDE, Running, Sample, SourceContext, SourceKind, Starting};
use crate::bell::Bell;
use crate::thread;
use flitch_core::batch::constants::Constants;

mod charset;
mod checkpoint;
mod container;
mod content;
mod discover;
mod fingerprint;
mod gather;
mod identity;
mod offsets;
mod overlay;
mod pool;
mod read;
mod sample;
mod sender;
mod settings;
mod settled;
mod tail;
mod tailer;
mod walk;
mod watch;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;

pub use crate::multiline::Pattern;
pub use charset::Charset;
use discover::Globs;
use gather::Gather;
pub use settings::{Codec, Compression, FileSettings, Glob, MultilineSettings, ReadFrom};
use tailer::{Next, Tailer};
use watch::Watch;

/// A file that is written all the time is looked at no more often than this for it.
const NEWS: Duration = Duration::from_millis(5);

impl SourceKind for FileSettings {
    fn start(&self, cx: SourceContext) -> Starting {
        Box::pin(start(self.clone(), cx))
    }

    fn check(&self) -> anyhow::Result<()> {
        Globs::new(&self.include, &self.exclude)?;
        Gather::new(self)?;
        Ok(())
    }

    fn warnings(&self) -> Vec<(String, String)> {
        let globs = Globs::warnings(&self.include, &self.exclude);
        globs.into_iter().map(|(place, says)| (format!("include[{place}]"), says)).collect()
    }

    fn tag(&self) -> Option<String> {
        self.tag.clone()
    }

    fn reads_text(&self) -> bool {
        true
    }

    fn sample(&self, texts: &[&[u8]], beside: &Constants) -> anyhow::Result<Sample> {
        sample::sample(self, texts, beside)
    }

    fn reads(&self, path: &Path) -> bool {
        Globs::new(&self.include, &self.exclude).is_ok_and(|globs| globs.matches(path))
    }

    fn descriptors(&self) -> u64 {
        self.max_open_files as u64 + BESIDE
    }
}

/// Opens the source: refuses settings and checkpoints that make no sense. Files need not be there yet.
async fn start(settings: FileSettings, cx: SourceContext) -> anyhow::Result<Running> {
    let bell = Arc::new(Bell::default());
    let (name, stop) = (format!("file-{}", cx.name), cx.stop.clone());
    let tailer = Tailer::new(settings, cx, bell.clone(), Instant::now())?;
    let watch = Watch::new(bell.clone());
    let heard = bell.clone();
    Ok(Box::pin(thread::run(name, stop, bell, move |is_left| {
        run(tailer, watch, &heard, is_left);
        Ok(())
    })))
}

/// The thread: works while there is work, and waits for hints otherwise. Once it `is_left` to itself another may have
/// its files and its positions.
fn run(mut tailer: Tailer, mut watch: Watch, bell: &Bell, is_left: &dyn Fn() -> bool) {
    let mut news_at = None;
    let mut last_news = Instant::now();
    loop {
        let now = Instant::now();
        if news_at.is_some_and(|at| now >= at) {
            tailer.changed(&watch.take(), now);
            news_at = None;
            last_news = now;
        }
        let next = match tailer.turn(now) {
            Ok(next) => next,
            Err(closed) => {
                tracing::debug!(source = %tailer.out.cx.name, "the pipelines are {closed}; the rest is read at the next start");
                break;
            }
        };
        if let Some(folders) = tailer.take_folders() {
            watch.follow(&folders);
        }
        let told = match next {
            Next::Now => bell.take(),
            Next::At(at) => bell.wait_until(news_at.map_or(at, |news| at.min(news))),
        };
        let now = Instant::now();
        if told.news {
            news_at = Some(now.max(last_news + NEWS));
        }
        if told.settled {
            tailer.settled();
        }
        if told.first {
            tailer.save_soon(now);
        }
        if told.stop {
            break;
        }
    }
    finish(tailer, bell, is_left);
}

/// Waits until all that was sent has settled, and saves the positions.
fn finish(mut tailer: Tailer, bell: &Bell, is_left: &dyn Fn() -> bool) {
    loop {
        // Pipelines that are closed give back what waits for them.
        tailer.out.push_on().ok();
        if tailer.out.settled.stop() {
            break;
        }
        bell.wait();
    }
    if !is_left() {
        tailer.save_last(Instant::now());
    }
}
