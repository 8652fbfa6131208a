//! Time zones, with the rules of all the world: the feature `zones`.

use crate::time::{SECOND, civil_from_days, parse_offset};
use crate::{Result, err};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How far a time without a year may lie ahead of the arrival of its record.
pub const AHEAD: i64 = 7 * 86_400 * SECOND;

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

    /// Of a local time that names no year, the instant that it means in a record that arrived at `arrival`: the last one until then,
    /// or until a few days later, for clocks go wrong and zones are not told. `of_year` is the local time in a year, taken for UTC, or
    /// none where the year has no such day.
    pub fn until(&self, arrival: i64, of_year: impl Fn(i64) -> Option<i64>) -> Option<i64> {
        let (year, ..) = civil_from_days(arrival.div_euclid(86_400 * SECOND));
        let instant = |year: i64| of_year(year).and_then(|local| self.shift(local));
        // The 29th of February may have been in a leap year of eight years ago.
        let mut years = (-1..=8).map(|ago| year - ago).filter_map(instant);
        years.find(|instant| *instant <= arrival.saturating_add(AHEAD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{days_from_civil, days_in_month, parse_rfc3339};

    fn instant(text: &str) -> i64 {
        parse_rfc3339(text.as_bytes()).expect(text)
    }

    #[test]
    fn a_zone_is_named_by_an_offset_or_a_place() {
        for (name, utc) in [("UTC", "12:00:00Z"), ("+01:00", "11:00:00Z"), ("Europe/Berlin", "10:00:00Z")] {
            let zone = Zone::named(name).unwrap();
            assert_eq!(
                zone.shift(instant("2026-07-01T12:00:00Z")),
                Some(instant(&format!("2026-07-01T{utc}")))
            );
        }
        assert!(Zone::named("Europe/Nowhere").is_err());
    }

    #[test]
    fn a_time_without_a_year_is_the_last_one_before_its_record_arrived() {
        let zone = Zone::named("UTC").unwrap();
        let on = |month, day| {
            move |year| {
                let days = (day <= days_in_month(year, month)).then(|| days_from_civil(year, month, day));
                days?.checked_mul(86_400 * SECOND)
            }
        };
        for (arrival, month, day, wanted) in [
            ("2026-01-01T00:10:00Z", 12, 31, "2025-12-31T00:00:00Z"),
            ("2026-01-01T00:10:00Z", 1, 2, "2026-01-02T00:00:00Z"),
            ("2025-12-31T23:00:00Z", 1, 1, "2026-01-01T00:00:00Z"),
            ("2026-11-27T00:00:00Z", 1, 28, "2026-01-28T00:00:00Z"),
            ("2026-11-27T00:00:00Z", 12, 4, "2026-12-04T00:00:00Z"),
            ("2026-11-27T00:00:00Z", 12, 5, "2025-12-05T00:00:00Z"),
            ("2026-11-01T00:00:00Z", 2, 29, "2024-02-29T00:00:00Z"),
            ("2028-02-25T00:00:00Z", 2, 29, "2028-02-29T00:00:00Z"),
            ("2104-02-01T00:00:00Z", 2, 29, "2096-02-29T00:00:00Z"),
        ] {
            assert_eq!(zone.until(instant(arrival), on(month, day)), Some(instant(wanted)), "{arrival}");
        }
        for arrival in [i64::MIN, i64::MAX] {
            let _ = zone.until(arrival, on(1, 1));
        }
    }
}
