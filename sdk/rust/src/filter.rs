//! The two traits of a filter, and what runs them.

use crate::{Batch, Changes, Fields, Record, Result, settings};
use serde::de::DeserializeOwned;
use std::any::Any;

/// A filter that sees one record at a time. The comfortable way.
///
/// `apply` reads and changes the record through [`Record`]; an error rejects the record, all
/// others go on.
pub trait RecordFilter: Sized + 'static {
    /// The filter's settings, as they stand under `settings` in the host's configuration. Put
    /// `#[serde(deny_unknown_fields)]` on them: a misspelt key is an error then.
    type Settings: DeserializeOwned;

    /// Makes the filter. Called once, before any record.
    ///
    /// # Errors
    /// An error refuses the configuration; its text is shown to the operator.
    fn new(settings: Self::Settings) -> Result<Self>;

    /// Which fields the filter wants to see. All of them, unless it says otherwise; the fewer,
    /// the faster. Other fields can still be set and removed.
    fn fields(&self) -> Fields {
        Fields::All
    }

    /// Handles one record.
    ///
    /// # Errors
    /// An error rejects the record: what the host's `on_error` says becomes of it.
    fn apply(&mut self, record: &mut Record<'_>) -> Result<()>;
}

/// A filter that sees whole columns. The fast way: a batch costs a handful of copies however
/// many records it holds.
pub trait ColumnFilter: Sized + 'static {
    /// The filter's settings, as they stand under `settings` in the host's configuration. Put
    /// `#[serde(deny_unknown_fields)]` on them: a misspelt key is an error then.
    type Settings: DeserializeOwned;

    /// Makes the filter. Called once, before any batch.
    ///
    /// # Errors
    /// An error refuses the configuration; its text is shown to the operator.
    fn new(settings: Self::Settings) -> Result<Self>;

    /// Which fields the filter wants to see.
    fn fields(&self) -> Fields;

    /// Handles one batch. Records that it cannot handle are rejected one by one with
    /// [`Changes::reject`].
    ///
    /// # Errors
    /// An error rejects the batch as a whole.
    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()>;
}

/// A filter that remembers something between batches, and wants it kept: when another version of it takes over, and when
/// flitch is started again. [`export!`](crate::export) has to hear of it: `export!(Mine, state)`.
///
/// Each worker of a pipeline has an instance of its own, whose state is saved by itself.
pub trait Stateful {
    /// What it remembers now, in a format of its own. Put the format's number in front.
    fn save(&self) -> Vec<u8>;

    /// Adds what [`save`](Self::save) once answered, of this version or another, or with other settings. Called before
    /// the first batch, and several times where a pipeline has fewer workers than it had.
    ///
    /// # Errors
    /// It cannot be used. Then the filter begins empty, and the text is shown to the operator.
    fn restore(&mut self, saved: &[u8]) -> Result<()>;
}

/// A configured filter of either kind.
pub trait Engine {
    /// The filter itself.
    fn filter(&mut self) -> &mut dyn Any;
    /// Which fields it wants.
    fn fields(&self) -> Fields;
    /// Handles one batch.
    ///
    /// # Errors
    /// An error rejects the batch as a whole.
    fn apply(&mut self, batch: &Batch) -> Result<Changes>;
}

/// Marks a [`RecordFilter`].
#[derive(Debug)]
pub enum ByRecord {}
/// Marks a [`ColumnFilter`].
#[derive(Debug)]
pub enum ByColumn {}

/// A filter of the kind `K`, which the compiler finds by itself: so `export!` takes both.
pub trait Configure<K> {
    /// Reads the settings and makes the filter.
    ///
    /// # Errors
    /// What is wrong with the settings, with the key and its path.
    fn configure(settings: &str) -> Result<Box<dyn Engine>>;
}

impl<F: ColumnFilter> Configure<ByColumn> for F {
    fn configure(text: &str) -> Result<Box<dyn Engine>> {
        Ok(Box::new(Columns(F::new(settings::parse(text)?)?)))
    }
}

impl<F: RecordFilter> Configure<ByRecord> for F {
    fn configure(text: &str) -> Result<Box<dyn Engine>> {
        Ok(Box::new(Records(F::new(settings::parse(text)?)?)))
    }
}

struct Columns<F>(F);

impl<F: ColumnFilter> Engine for Columns<F> {
    fn filter(&mut self) -> &mut dyn Any {
        &mut self.0
    }

    fn fields(&self) -> Fields {
        self.0.fields()
    }

    fn apply(&mut self, batch: &Batch) -> Result<Changes> {
        let mut changes = Changes::none();
        self.0.apply(batch, &mut changes)?;
        changes.keep_first_reasons();
        Ok(changes)
    }
}

struct Records<F>(F);

impl<F: RecordFilter> Engine for Records<F> {
    fn filter(&mut self) -> &mut dyn Any {
        &mut self.0
    }

    fn fields(&self) -> Fields {
        self.0.fields()
    }

    fn apply(&mut self, batch: &Batch) -> Result<Changes> {
        let fields = self.0.fields();
        let mut record = Record::new(batch, &fields);
        for row in 0..batch.len() {
            record.run(row, |record| self.0.apply(record));
        }
        Ok(record.finish())
    }
}
