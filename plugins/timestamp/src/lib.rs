//! Reads times in many formats; without another target, they become the events' own times.

mod clf;
mod elsewhere;
mod epoch;
mod format;

use flitch_sdk::parse::{Found, OnMismatch, OnMissing, Policy, Reader, check_name, describe, excerpt};
use flitch_sdk::zone::Zone;
use flitch_sdk::{
    Batch, Changes, ColumnFilter, Fields, NumberColumn, Result, TimestampBuilder, Value, View, bail, path,
};
pub use format::{Format, Formats};
use serde::Deserialize;

/// The settings of `timestamp`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the time.
    pub field: String,
    /// Its format, or several that are tried in order: `rfc3339`, `clf`, `epoch_s`, `epoch_ms`,
    /// `epoch_us`, `epoch_ns`, or a strptime format such as `%Y-%m-%d %H:%M:%S`.
    pub format: Formats,
    /// The zone of times that name none: `UTC`, an offset such as `+01:00`, or a name such as
    /// `Europe/Berlin`.
    pub time_zone: String,
    /// The field that gets the instant; `@timestamp` is the event's own time.
    pub target: String,
    /// Whether the field stays in a record whose time was read.
    pub keep_source: bool,
    /// What becomes of a record whose field is no time of any of the formats.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record without the field.
    pub on_missing: OnMissing,
    /// The field that says why the time of a record that goes on was not read.
    pub error_field: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            field: "time".to_owned(),
            format: Formats(vec!["rfc3339".to_owned()]),
            time_zone: "UTC".to_owned(),
            target: "@timestamp".to_owned(),
            keep_source: false,
            on_mismatch: OnMismatch::default(),
            on_missing: OnMissing::default(),
            error_field: None,
        }
    }
}

/// The filter.
#[derive(Debug)]
pub struct Timestamp {
    formats: Vec<Format>,
    zone: Zone,
    target: String,
    policy: Policy,
}

impl ColumnFilter for Timestamp {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let zone = Zone::named(&settings.time_zone).map_err(|error| error.at("settings.time_zone"))?;
        if settings.format.0.is_empty() {
            bail!("settings.format: the list is empty");
        }
        let formats = settings.format.0.iter().map(|text| Format::new(text));
        let formats = formats.collect::<Result<Vec<_>>>().map_err(|error| error.at("settings.format"))?;
        if settings.target.is_empty() {
            bail!("settings.target: it is empty");
        }
        if settings.target != "@timestamp" {
            check_name(&settings.target, false)?;
        }
        let policy = Policy {
            // A field that is written anyway needs no removing.
            keep_source: settings.keep_source || settings.field == settings.target,
            field: settings.field,
            on_mismatch: settings.on_mismatch,
            on_missing: settings.on_missing,
            error_field: settings.error_field,
        };
        policy.check([settings.target.as_str()])?;
        if policy.field != settings.target && path::overlap(&policy.field, &settings.target) {
            bail!("settings: of `{}` and `{}` one would replace the other", policy.field, settings.target);
        }
        Ok(Self { formats, zone, policy, target: settings.target })
    }

    fn fields(&self) -> Fields {
        let mut names = vec![self.policy.field.as_str()];
        if self.formats.iter().any(Format::lacks_the_year) {
            names.push("@timestamp");
        }
        Fields::only(names)
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let arrivals = match batch.column("@timestamp").map(flitch_sdk::Column::view) {
            Some(View::Timestamp(column)) => Some(column),
            _ => None,
        };
        let times = TimestampBuilder::with_capacity(batch.len());
        let mut texts = Times { formats: &mut self.formats, zone: &self.zone, arrivals, times };
        self.policy.run(batch, changes, &mut texts);
        changes.set(texts.times.finish(&self.target));
        Ok(())
    }
}

/// The times of one batch.
struct Times<'a> {
    formats: &'a mut [Format],
    zone: &'a Zone,
    /// When the records came, for formats without a year.
    arrivals: Option<NumberColumn<'a, i64>>,
    times: TimestampBuilder,
}

impl Reader for Times<'_> {
    #[inline]
    fn read(&mut self, row: usize, data: &str, from: usize, to: usize) -> Result<Found, String> {
        let text = &data[from..to];
        let arrival = self.arrivals.and_then(|arrivals| arrivals.get(row));
        for format in &mut *self.formats {
            if let Some(nanos) = format.read(text, self.zone, arrival) {
                self.times.push(nanos);
                return Ok(Found::Something);
            }
        }
        Err(self.no_time(text))
    }

    fn read_other(&mut self, value: Value<'_>) -> Result<Found, String> {
        let read = match value {
            Value::Timestamp(nanos) => Some(nanos),
            value => self.formats.iter_mut().find_map(|format| format.read_number(value, self.zone)),
        };
        match read {
            Some(nanos) => self.times.push(nanos),
            None => {
                return Err(format!("it is {}, and no time of the format {}", describe(value), self.names()));
            }
        }
        Ok(Found::Something)
    }

    fn skip(&mut self) {
        self.times.push_absent();
    }
}

impl Times<'_> {
    #[cold]
    fn no_time(&self, text: &str) -> String {
        format!("{} is no time of the format {}", excerpt(text), self.names())
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.formats.iter().map(ToString::to_string).collect();
        names.join(" or ")
    }
}

flitch_sdk::export!(Timestamp);

#[cfg(test)]
mod tests;
