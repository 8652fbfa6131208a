//! Parses a JSON text into fields, without a tree between.

use flitch_sdk::json::{Flattener, Limits, MAX_DEPTH};
use flitch_sdk::parse::{Policy, check_prefix, set_present};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, bail, path};

flitch_sdk::parser_settings! {
    /// The settings of `json`.
    pub struct Settings {
        field: "message", keep_source: false, on_mismatch: Reject;
        /// The path below which the members are written; at the top if there is none.
        pub prefix: String = String::new(),
        /// Whether a member replaces a field of the same path that the record has.
        pub overwrite: bool = true,
        /// Past this depth, 1 to 8, an object stays one JSON value.
        pub max_depth: usize = MAX_DEPTH,
    }
}

/// The filter.
#[derive(Debug)]
pub struct Json {
    flattener: Flattener,
    overwrite: bool,
    policy: Policy,
}

impl ColumnFilter for Json {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        if !(1..=MAX_DEPTH).contains(&settings.max_depth) {
            bail!("settings.max_depth: {} is not between 1 and {MAX_DEPTH}", settings.max_depth);
        }
        let policy = settings.policy();
        policy.check([])?;
        check_prefix(&settings.prefix)?;
        Ok(Self {
            flattener: Flattener::new(
                settings.prefix,
                Limits { depth: settings.max_depth, ..Limits::default() },
            ),
            overwrite: settings.overwrite,
            policy,
        })
    }

    fn fields(&self) -> Fields {
        // What is not to be overwritten must be seen.
        if self.overwrite { Fields::only([&self.policy.field]) } else { Fields::All }
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let mut columns = self.policy.flatten(batch, changes, &mut self.flattener);
        if !self.overwrite {
            let going_on = changes.going_on(batch.len());
            let Policy { field, keep_source, .. } = &self.policy;
            let goes = |name: &str| !keep_source && (name == field || path::is_below(name, field));
            for column in &mut columns {
                column.leave_what_is(batch, goes, &going_on);
            }
        }
        set_present(changes, columns);
        Ok(())
    }
}

flitch_sdk::export!(Json);

#[cfg(test)]
mod tests;
