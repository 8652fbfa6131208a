//! The zone of times that name none.

use flitch_sdk::time::{SECOND, parse_offset};
use flitch_sdk::{Result, err};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A time zone.
#[derive(Debug, Clone)]
pub enum Zone {
    /// A fixed offset from UTC in seconds.
    Fixed(i64),
    /// One with rules, from the time zone database that is part of the filter.
    Ruled(TimeZone),
}

impl Zone {
    /// The zone of this name: `UTC`, `Z`, `+01:00` or `Europe/Berlin`.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self> {
        if matches!(name, "UTC" | "utc" | "Z") {
            return Ok(Self::Fixed(0));
        }
        if let Some(offset) = parse_offset(name.as_bytes()) {
            return Ok(Self::Fixed(offset));
        }
        TimeZone::get(name).map(Self::Ruled).map_err(|_| {
            err!("there is no time zone {name:?}; write UTC, +01:00 or a name such as Europe/Berlin")
        })
    }

    /// The instant of a local time. Of a time that clocks show twice, the first; one that they
    /// skip counts as if they had not.
    pub fn instant(&self, local: DateTime) -> Option<i64> {
        let zone = match self {
            Self::Fixed(0) => TimeZone::UTC,
            Self::Fixed(seconds) => TimeZone::fixed(jiff::tz::Offset::from_seconds(*seconds as i32).ok()?),
            Self::Ruled(zone) => zone.clone(),
        };
        let instant = zone.to_ambiguous_timestamp(local).compatible().ok()?;
        i64::try_from(instant.as_nanosecond()).ok()
    }

    /// The instant of a local time that was taken for UTC, in nanoseconds.
    pub fn shift(&self, as_utc: i64) -> Option<i64> {
        match self {
            Self::Fixed(seconds) => as_utc.checked_sub(seconds * SECOND),
            Self::Ruled(_) => {
                let local = jiff::Timestamp::from_nanosecond(as_utc.into()).ok()?;
                self.instant(TimeZone::UTC.to_datetime(local))
            }
        }
    }
}
