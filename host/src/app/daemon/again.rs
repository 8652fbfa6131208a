//! Plugins that could not be loaded for what the machine lacked. What they are loaded for is told once (a file has changed), so
//! they are tried again here, after pauses that grow.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::time::Instant;

use crate::app::apply::Occasion;
use crate::app::history::By;
use flitch_core::telemetry::health::pause;
use flitch_filters::swap::Which;

/// What is to be tried again.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// The plugins that come from these files.
    files: BTreeSet<PathBuf>,
    /// All that have changed, and who asked for that.
    all: Option<By>,
    failures: u32,
    due: Option<Instant>,
}

impl Again {
    /// Something was tried, and the machine lacked what it takes, or not.
    pub fn came(&mut self, occasion: Occasion<'_>, lacks: bool, now: Instant) {
        match occasion.which {
            // Who asked for it has heard of it.
            Which::One(_) => return,
            Which::Files(files) if lacks => self.files.extend(files.iter().cloned()),
            Which::Files(files) => self.files.retain(|file| !files.contains(file)),
            Which::Changed if lacks => self.all = Some(occasion.by),
            Which::Changed => (self.all, self.files) = (None, BTreeSet::new()),
        }
        if lacks {
            self.failures += 1;
            self.due = Some(now + pause(self.failures));
        } else if self.files.is_empty() && self.all.is_none() {
            *self = Again::default();
        }
    }

    /// What is to be tried now: these files' plugins, or all, where somebody asked for that.
    pub fn due(&self, now: Instant) -> Option<(BTreeSet<PathBuf>, Option<By>)> {
        self.due.filter(|due| *due <= now).map(|_| (self.files.clone(), self.all))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(files: &BTreeSet<PathBuf>) -> Occasion<'_> {
        Occasion { which: Which::Files(files), ..By::File.into() }
    }

    #[test]
    fn what_the_machine_could_not_load_is_tried_again_after_pauses_that_grow_until_it_can() {
        let (mut again, start) = (Again::default(), Instant::now());
        let late = start + Duration::from_secs(3600);
        let [one, other] = ["one.wasm", "other.wasm"].map(|file| BTreeSet::from([PathBuf::from(file)]));
        again.came(of(&one), false, start);
        assert_eq!(again.due(late), None, "nothing was lacking");
        again.came(of(&one), true, start);
        assert_eq!(again.due(start), None);
        let first = again.due.unwrap();
        assert_eq!(again.due(first), Some((one.clone(), None)));
        again.came(of(&one), true, first);
        assert!(again.due.unwrap() - first > first - start, "the pause has grown");
        again.came(of(&other), true, first);
        assert_eq!(again.due(late).unwrap().0, &one | &other);
        again.came(of(&one), false, first);
        assert_eq!(again.due(late), Some((other.clone(), None)), "the other waits still");
        again.came(of(&other), false, first);
        assert_eq!(again.due(late), None);
    }

    #[test]
    fn whoever_looks_at_all_files_looks_at_those_that_wait_too() {
        let (mut again, now) = (Again::default(), Instant::now());
        let late = now + Duration::from_secs(3600);
        let file = BTreeSet::from([PathBuf::from("one.wasm")]);
        again.came(of(&file), true, now);
        again.came(By::Registry.into(), true, now);
        assert_eq!(again.due(late), Some((file.clone(), Some(By::Registry))));
        again.came(Occasion { which: Which::One("mine"), ..By::Api.into() }, true, now);
        again.came(By::Config.into(), false, now);
        assert_eq!(again.due(late), None);
    }
}
