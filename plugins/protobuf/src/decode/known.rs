//! Messages that mean the same to everybody: times, durations, JSON values, wrappers.

use super::{Decoder, Slots, within};
use crate::schema::{Known, camel};
use crate::wire::Raw;
use flitch_model::time::civil_from_days;

/// Seconds of the times that may be written: the years 1 to 9999.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Seconds that a duration may have: 10,000 years.
const DURATIONS: std::ops::RangeInclusive<i64> = -315_576_000_000..=315_576_000_000;

const NANOS: i64 = 1_000_000_000;

impl Decoder<'_> {
    pub(super) fn known(
        &mut self,
        known: Known,
        slots: &Slots<'_>,
        number: usize,
        depth: usize,
    ) -> Result<(), String> {
        match known {
            Known::Timestamp => {
                let (seconds, nanos) = (self.number(slots, number, 1), self.number(slots, number, 2));
                if !TIMES.contains(&seconds) || !(0..NANOS).contains(&nanos) {
                    return Err(format!("{seconds} s and {nanos} ns are no time"));
                }
                let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
                let clock = seconds.rem_euclid(86_400);
                let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
                self.text(&format!(
                    "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{}Z",
                    fraction(nanos)
                ));
            }
            Known::Duration => {
                let (seconds, nanos) = (self.number(slots, number, 1), self.number(slots, number, 2));
                let is_one = DURATIONS.contains(&seconds)
                    && nanos.abs() < NANOS
                    && seconds.signum() * nanos.signum() >= 0;
                if !is_one {
                    return Err(format!("{seconds} s and {nanos} ns are no duration"));
                }
                let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
                self.text(&format!("{sign}{}{}s", seconds.abs(), fraction(nanos.abs())));
            }
            Known::FieldMask => {
                let mut paths = Vec::new();
                for raw in self.all(slots, number, 1) {
                    let Raw::Bytes(path) = raw else { continue };
                    let path = std::str::from_utf8(path).map_err(|_| "a path that is not UTF-8")?;
                    paths.push(path.split('.').map(camel).collect::<Vec<_>>().join("."));
                }
                self.text(&paths.join(","));
            }
            Known::Any => return self.any(slots, number, depth),
            // Of these the one field that is there is the value.
            Known::Struct | Known::ListValue => {
                let empty: &[u8] = if known == Known::Struct { b"{}" } else { b"[]" };
                if !self.first(slots, number, depth)? {
                    self.out.extend_from_slice(empty);
                }
            }
            Known::Value => {
                if !self.first(slots, number, depth)? {
                    self.out.extend_from_slice(b"null");
                }
            }
            Known::Wrapper => {
                let schema = self.schema;
                if !self.first(slots, number, depth)?
                    && let Some(field) = schema.messages[number].fields.first()
                {
                    self.default(field);
                }
            }
            Known::No => {}
        }
        Ok(())
    }

    /// Writes the one field that is there. Answers whether one is.
    fn first(&mut self, slots: &Slots<'_>, number: usize, depth: usize) -> Result<bool, String> {
        let schema = self.schema;
        for (field, slot) in schema.messages[number].fields.iter().zip(slots) {
            if let Some(last) = slot.last() {
                let is_message = matches!(last, Raw::Bytes(_) | Raw::Group(_));
                if is_message || field.cardinality == crate::schema::Cardinality::Repeated {
                    let before = self.out.len();
                    if self.field(field, slot, depth)? {
                        return Ok(true);
                    }
                    self.out.truncate(before);
                } else {
                    self.scalar(field, last)?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// A message of another type, by whose name it is decoded where the schema has it.
    fn any(&mut self, slots: &Slots<'_>, number: usize, depth: usize) -> Result<(), String> {
        let schema = self.schema;
        let bytes = |field| match self.last(slots, number, field) {
            Some(Raw::Bytes(bytes)) => bytes,
            _ => &[],
        };
        let (url, value) = (bytes(1), bytes(2));
        let url = std::str::from_utf8(url).map_err(|_| "a URL that is not UTF-8")?;
        if url.is_empty() && value.is_empty() {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        self.out.extend_from_slice(b"{\"@type\":");
        self.text(url);
        let name = url.rsplit_once('/').map_or(url, |(_, name)| name);
        match schema.message(name) {
            Some(inner) if schema.messages[inner].known == Known::No => {
                if depth + 1 >= super::MAX_DEPTH {
                    return Err(format!("more than {} messages within one another", super::MAX_DEPTH));
                }
                let slots = self.slots(&[Raw::Bytes(value)], inner).map_err(|wrong| within(name, &wrong))?;
                self.members(&slots, inner, depth + 1)?;
            }
            Some(inner) => {
                self.out.extend_from_slice(b",\"value\":");
                self.message(&[Raw::Bytes(value)], inner, depth + 1)?;
            }
            None => {
                self.out.extend_from_slice(b",\"value\":");
                self.bytes(value);
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn all<'v, 'a>(&self, slots: &'v Slots<'a>, number: usize, field: u32) -> &'v [Raw<'a>] {
        self.schema.messages[number].find(field).map_or(&[], |place| slots[place].all())
    }

    fn last<'a>(&self, slots: &Slots<'a>, number: usize, field: u32) -> Option<Raw<'a>> {
        self.all(slots, number, field).last().copied()
    }

    fn number(&self, slots: &Slots<'_>, number: usize, field: u32) -> i64 {
        match self.last(slots, number, field) {
            Some(Raw::Varint(value)) => value as i64,
            _ => 0,
        }
    }
}

/// The digits of a second behind its point: none, three, six or nine.
fn fraction(nanos: i64) -> String {
    match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1000 == 0 => format!(".{:06}", nanos / 1000),
        nanos => format!(".{nanos:09}"),
    }
}
