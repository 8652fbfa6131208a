//! The Common Log Format, `20/Nov/2026:13:55:36 +0100`, as nginx and Apache write it.

use flitch_sdk::time::{SECOND, days_from_civil, days_in_month, digits, parse_clock, parse_offset};

/// The format in strptime's terms.
pub const STRPTIME: &str = "%d/%b/%Y:%H:%M:%S %z";

/// The format with other ways to write the offset.
pub const OTHERS: [&str; 4] =
    ["%d/%b/%Y:%H:%M:%S %:z", "%d/%b/%Y:%H:%M:%S Z", "%d/%b/%Y:%H:%M:%S UTC", "%d/%b/%Y:%H:%M:%S GMT"];

const MONTHS: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct", *b"Nov",
    *b"Dec",
];

/// Reads the format, and remembers the date and the zone: the lines of a log share them.
#[derive(Debug, Clone)]
pub struct Clf {
    date: [u8; 12],
    date_seconds: i64,
    zone: [u8; 6],
    zone_seconds: i64,
}

impl Default for Clf {
    fn default() -> Self {
        // What is remembered first is in no text: 0xff is no byte of UTF-8.
        Self { date: [0xff; 12], date_seconds: 0, zone: [0xff; 6], zone_seconds: 0 }
    }
}

impl Clf {
    /// The instant in nanoseconds since 1970.
    #[inline]
    pub fn read(&mut self, text: &[u8]) -> Option<i64> {
        let text: &[u8; 26] = text.try_into().ok()?;
        let (date, rest) = text.split_first_chunk::<12>()?;
        let (clock, zone) = rest.split_first_chunk::<8>()?;
        let zone: &[u8; 6] = zone.try_into().ok()?;
        if *date != self.date {
            self.date_seconds = days(date)? * 86_400;
            self.date = *date;
        }
        if *zone != self.zone {
            self.zone_seconds = zone_of(zone)?;
            self.zone = *zone;
        }
        (self.date_seconds + parse_clock(clock)? - self.zone_seconds).checked_mul(SECOND)
    }
}

/// `20/Nov/2026:` in days since 1970.
#[cold]
fn days(text: &[u8; 12]) -> Option<i64> {
    let [_, _, b'/', a, b, c, b'/', year @ .., b':'] = text else { return None };
    let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(&[*a, *b, *c]))? as u32 + 1;
    let (day, year) = (digits::<2>(text)?, i64::from(digits::<4>(year)?));
    (1..=days_in_month(year, month)).contains(&day).then(|| days_from_civil(year, month, day))
}

#[cold]
fn zone_of(text: &[u8; 6]) -> Option<i64> {
    text.strip_prefix(b" ").and_then(parse_offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_whatever_was_read_before() {
        assert_eq!(Clf::default().read(b"\0\0\0\0\0\0\0\0\0\0\0\x0008:31:47\0\0\0\0\0\0"), None);
        let mut clf = Clf::default();
        for (text, expected) in [
            ("16/Nov/2020:08:31:47 +0000", Some(1_605_515_507)),
            ("16/Nov/2020:08:31:48 +0000", Some(1_605_515_508)),
            ("16/Nov/2020:08:31:48 +0100", Some(1_605_511_908)),
            ("31/Nov/2020:08:31:48 +0100", None),
            ("16/Nov/2020:08:31:48 +0100", Some(1_605_511_908)),
            ("16/nov/2020:23:59:60 -0030", Some(1_605_573_000 - 1)),
            ("16/Nov/2020:24:00:00 +0000", None),
            ("16/Nov/2020:08:31:48  0000", None),
            ("16/Nov/2020:08:31:48", None),
            ("16/Now/2020:08:31:48 +0000", None),
            ("é/Nov/2020:08:31:48 +0000", None),
            ("", None),
        ] {
            assert_eq!(clf.read(text.as_bytes()), expected.map(|seconds: i64| seconds * SECOND), "{text}");
        }
    }
}
