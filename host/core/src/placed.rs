//! Files that this process itself put into their places, whole: who watches them need not wait until they are written.

use std::collections::BTreeSet;
use std::path::PathBuf;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Tells one who watches files of those that were put into their places since it was asked last.
#[derive(Debug, Default)]
pub struct Placed {
    files: Mutex<BTreeSet<PathBuf>>,
    told: Notify,
}

impl Placed {
    /// This file is another one now, and whole.
    pub fn tell(&self, file: PathBuf) {
        self.files.lock().insert(file);
        self.told.notify_one();
    }

    /// Waits until there are some. What was told before is not forgotten.
    pub async fn next(&self) -> BTreeSet<PathBuf> {
        loop {
            let files = std::mem::take(&mut *self.files.lock());
            if !files.is_empty() {
                return files;
            }
            self.told.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_told_is_told_once_and_not_forgotten() {
        let placed = Placed::default();
        placed.tell("/a".into());
        placed.tell("/a".into());
        assert_eq!(placed.next().await, BTreeSet::from(["/a".into()]));
        let (next, ()) = tokio::join!(placed.next(), async { placed.tell("/b".into()) });
        assert_eq!(next, BTreeSet::from(["/b".into()]));
    }
}
