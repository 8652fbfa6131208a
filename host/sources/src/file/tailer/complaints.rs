//! What is told of files that cannot be read, once for each.

use std::io;
use std::path::Path;

use super::super::tail::Tail;
use super::Tailer;

/// Most paths that are complained about once; with more they are complained about again.
const MOST_WARNED: usize = 10_000;

impl Tailer {
    /// Leaves a file alone that something else than gzip has compressed: its bytes are no lines.
    pub(super) fn leave_out(&mut self, tail: &mut Tail, by: &str) {
        tail.content = None;
        if self.is_new_complaint(&tail.path) {
            tracing::warn!(
                source = %self.out.cx.name, path = %tail.path.display(), by,
                "a compressed file is left out, since only gzip is read; name such files under `exclude`, or take their \
                 bytes for text by `compression: none`"
            );
        }
    }

    /// Whether nobody was told yet that something is wrong with a file.
    fn is_new_complaint(&mut self, path: &Path) -> bool {
        if self.warned.len() >= MOST_WARNED {
            self.warned.clear();
        }
        self.warned.insert(path.to_owned())
    }

    /// Tells what is wrong with a file, once.
    pub(super) fn complain(&mut self, path: &Path, error: &io::Error) {
        if self.is_new_complaint(path) {
            tracing::warn!(
                source = %self.out.cx.name, path = %path.display(), %error,
                "cannot read; tried again until it can"
            );
        }
    }
}
