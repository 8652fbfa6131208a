//! Runs a program of Vector's remap language over each record.

mod compile;
mod event;
mod functions;
mod grok;
mod settings;
mod tables;

use event::Remap;
use flitch_sdk::rewrite::Rewriter;
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, bail, err, host};
pub use settings::Settings;
use vrl::compiler::runtime::{Runtime, Terminate};
use vrl::compiler::{ExpressionError, Program, TargetValue, TimeZone};
use vrl::value::{ObjectMap, Value};

/// The filter.
pub struct Vrl {
    program: Program,
    timezone: TimeZone,
    runtime: Runtime,
    settings: Settings,
}

impl ColumnFilter for Vrl {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        if settings.source.trim().is_empty() {
            bail!("settings: `source` is missing: the program");
        }
        let timezone = TimeZone::parse(&settings.timezone).filter(|zone| *zone != TimeZone::Local);
        let timezone = timezone
            .ok_or_else(|| err!("settings.timezone: there is no time zone `{}`", settings.timezone))?;
        let program = compile::compile(&settings.source)?;
        Ok(Self { program, timezone, runtime: Runtime::default(), settings })
    }

    fn fields(&self) -> Fields {
        Fields::All
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let mut rewriter = Rewriter::<Remap>::new(batch);
        let mut failures = Failures::default();
        for row in 0..batch.len() {
            let mut before = event::before(&rewriter, row);
            let record = std::mem::replace(&mut before.record, Value::Null);
            match self.run(record) {
                Ok(after) => {
                    let records = event::after(&rewriter, row, after);
                    rewriter.put(row, &before, records);
                }
                Err(failure) => {
                    let (is_abort, reason) = told(failure);
                    failures.add(is_abort, &reason);
                    let drops =
                        if is_abort { self.settings.drop_on_abort } else { self.settings.drop_on_error };
                    match (drops, self.settings.reroute_dropped) {
                        (false, _) => rewriter.pass(row),
                        (true, true) => changes.reject(row, reason),
                        (true, false) => rewriter.discard(),
                    }
                }
            }
        }
        failures.tell();
        rewriter.finish(changes);
        Ok(())
    }
}

impl Vrl {
    /// Runs the program over one record, of which nothing is left to the next one.
    fn run(&mut self, record: Value) -> Result<Value, Terminate> {
        let mut target = TargetValue {
            value: record,
            metadata: Value::Object(ObjectMap::new()),
            secrets: Default::default(),
        };
        let done = self.runtime.resolve(&mut target, &self.program, &self.timezone);
        self.runtime.clear();
        done.map(|_| target.value)
    }
}

/// Whether the program meant it, and why it ended.
fn told(failure: Terminate) -> (bool, String) {
    match failure {
        Terminate::Abort(ExpressionError::Abort { message: Some(message), .. }) => {
            (true, format!("aborted: {message}"))
        }
        Terminate::Abort(ExpressionError::Abort { message: None, .. }) => (true, "aborted".to_owned()),
        Terminate::Abort(error) | Terminate::Error(error) => (false, error.to_string()),
        Terminate::Interrupted => (false, "it was interrupted".to_owned()),
    }
}

/// The records of a batch on which the program did not come to its end.
#[derive(Default)]
struct Failures {
    errors: u64,
    aborts: u64,
    /// The first error.
    reason: Option<String>,
}

impl Failures {
    fn add(&mut self, is_abort: bool, reason: &str) {
        if is_abort {
            self.aborts += 1;
        } else {
            self.errors += 1;
            self.reason.get_or_insert_with(|| reason.to_owned());
        }
    }

    fn tell(self) {
        for (counter, count) in [("errors", self.errors), ("aborts", self.aborts)] {
            if count > 0 {
                host::count(counter, count);
            }
        }
        if let Some(reason) = self.reason {
            host::warn(&format!(
                "the program failed on {} records of a batch, first with: {reason}",
                self.errors
            ));
        }
    }
}

flitch_sdk::export!(Vrl);

#[cfg(test)]
mod tests;
