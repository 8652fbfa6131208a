//! Does what a command does once more whenever a file changes that it is about.

use std::io::Write;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, LogFormat};
use flitch_core::tasks;
use flitch_filters::swap::Watch;

/// Calls `once`, and again whenever one of the `files` changes, which are asked for before each time; ends at Ctrl-C or
/// SIGTERM, and fails then as the last time did. `what` says what is waited for.
pub fn at_each_change(
    what: &str,
    mut files: impl FnMut() -> Vec<PathBuf>,
    mut once: impl FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = tasks::runtime_here()?;
    let inside = runtime.enter();
    let (mut interrupt, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    drop(inside);
    let mut watch = Watch::new();
    loop {
        // Before they are read: what is written meanwhile is a change.
        watch.follow(files());
        let code = match once() {
            Ok(()) => 0,
            Err(Failure::Other(error)) if super::is_broken_pipe(&error) => return Ok(()),
            Err(failure) => super::report(failure, LogFormat::Text),
        };
        writeln!(std::io::stderr(), "\nwaiting for {what} to change; Ctrl-C ends")?;
        let ended = runtime.block_on(async {
            tokio::select! {
                _ = watch.changed() => false,
                _ = interrupt.recv() => true,
                _ = term.recv() => true,
            }
        });
        match (ended, code) {
            (false, _) => {}
            (true, 0) => return Ok(()),
            (true, code) => return Err(Failure::Told(code)),
        }
    }
}

/// All files below a folder, and the folders, in which files may come and go.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // A link is followed to a file, and to no folder, which may lie above.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => all.extend(below(&entry.path())),
            _ => all.push(entry.path()),
        }
    }
    all
}
