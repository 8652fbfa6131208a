//! Filters whose generation before is put back: by their probations, or by somebody who asks.

use std::collections::{BTreeMap, BTreeSet};

use flitch_filters::RolledBack;

use super::App;
use super::history::By;

impl App {
    /// Notes filters that were put back, also in other pipelines that have them, and puts back what is worse than its
    /// probation allows. To be called often.
    pub(super) fn look(&mut self) {
        self.note_rolled_back(By::Probation);
    }

    /// Puts the generation before of a filter back, in all pipelines that have it. Answers whether there is one.
    pub(super) fn roll_back(&mut self, filter: &str) -> bool {
        self.look();
        let reason = "somebody asked for it";
        let done =
            self.pipelines.values().filter(|pipeline| pipeline.workers.roll_back(filter, reason)).count();
        self.note_rolled_back(By::Api);
        done > 0
    }

    /// Tells of filters whose files hold code that an earlier run has rolled back: what came before is in no file.
    pub(super) fn warn_of_rolled_back(&self, rolled_back: &BTreeMap<String, (String, String)>) {
        for (filter, made) in self.made() {
            if let Some((from, to)) = rolled_back.get(&*filter).filter(|(from, _)| **from == *made.sha256) {
                tracing::warn!(
                    filter = &*filter,
                    sha256 = from,
                    before = to,
                    "the filter runs code that was rolled back before flitch was started: its file holds it still"
                );
            }
        }
    }

    fn note_rolled_back(&mut self, by: By) {
        let take =
            || self.pipelines.values().flat_map(|pipeline| pipeline.workers.look()).collect::<Vec<_>>();
        let mut all: Vec<RolledBack> = take();
        if all.is_empty() {
            return;
        }
        for RolledBack { from, reason, .. } in &all {
            for pipeline in self.pipelines.values().filter(|pipeline| pipeline.workers.runs(from)) {
                pipeline.workers.roll_back(&from.name, reason);
            }
        }
        all.extend(take());
        let mut noted = BTreeSet::new();
        for RolledBack { from, to, reason } in all {
            if noted.insert(from.name.clone()) {
                self.history.rolled_back(by, &from, &to, reason);
            }
        }
        self.board.filters(self.filters_now());
    }
}
