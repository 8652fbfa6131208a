//! Keeps or drops records by conditions, a column at a time.

mod condition;

pub use condition::Condition;
use flitch_model::condition::ConditionSettings;
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, bail};
use serde::Deserialize;

/// The settings of `match`: one of the two.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Only records for which this holds go on.
    pub keep: Option<ConditionSettings>,
    /// Records for which this holds are dropped.
    pub drop: Option<ConditionSettings>,
}

/// The filter.
#[derive(Debug)]
pub struct Match {
    condition: Condition,
    /// Whether records for which the condition holds go on.
    keep: bool,
}

impl ColumnFilter for Match {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let (settings, keep) = match (&settings.keep, &settings.drop) {
            (Some(condition), None) => (condition, true),
            (None, Some(condition)) => (condition, false),
            (None, None) => bail!("settings: `keep` or `drop` is missing"),
            (Some(_), Some(_)) => bail!("settings: `keep` and `drop` exclude each other"),
        };
        let place = if keep { "settings.keep" } else { "settings.drop" };
        Ok(Self { condition: Condition::new(settings).map_err(|error| error.at(place))?, keep })
    }

    fn fields(&self) -> Fields {
        Fields::only(self.condition.fields())
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let holds = self.condition.test(batch);
        let going_on = (0..batch.rows).zip(&holds).filter(|(_, holds)| **holds == self.keep);
        let take: Vec<u32> = going_on.map(|(row, _)| row).collect();
        if take.len() < batch.len() {
            changes.take(take);
        }
        Ok(())
    }
}

flitch_sdk::export!(Match);

#[cfg(test)]
mod tests;
