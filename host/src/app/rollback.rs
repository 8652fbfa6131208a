//! Filters whose generation before is put back: by their probations, or by somebody who asks.

use std::collections::{BTreeMap, BTreeSet};

use flitch_filters::{Generations, RolledBack};

use super::history::By;
use super::{App, apart};

impl App {
    /// Notes filters that were put back, also in other pipelines that have them, and puts back what is worse than its
    /// probation allows. To be called often.
    pub(super) async fn look(&mut self) {
        self.note_rolled_back(By::Probation).await;
    }

    /// Puts the generation before of a filter back, in all pipelines that have it. Answers whether there is one.
    pub(super) async fn roll_back(&mut self, filter: &str) -> bool {
        self.look().await;
        let (all, filter) = (self.generations(), filter.to_owned());
        let ask = move || {
            let asked = |one: &&Generations| one.roll_back(&filter, "somebody asked for it");
            all.iter().filter(asked).count()
        };
        let done = apart(ask).await;
        self.note_rolled_back(By::Api).await;
        done > 0
    }

    fn generations(&self) -> Vec<Generations> {
        self.pipelines.values().map(|pipeline| pipeline.workers.generations()).collect()
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

    async fn note_rolled_back(&mut self, by: By) {
        let all = self.generations();
        let look = move || {
            let take = || all.iter().flat_map(Generations::look).collect::<Vec<RolledBack>>();
            let mut found = take();
            for RolledBack { from, reason, .. } in &found {
                for one in all.iter().filter(|one| one.runs(from)) {
                    one.roll_back(&from.name, reason);
                }
            }
            if !found.is_empty() {
                found.extend(take());
            }
            found
        };
        let found = apart(look).await;
        if found.is_empty() {
            return;
        }
        let mut noted = BTreeSet::new();
        for RolledBack { from, to, reason } in found {
            if noted.insert(from.name.clone()) {
                self.package_went_back(&from, &to, &reason);
                self.history.rolled_back(by, &from, &to, reason);
            }
        }
        self.board.filters(self.filters_now());
        self.board.runs(self.running());
    }
}
