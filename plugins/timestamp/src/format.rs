//! The formats of times.

use crate::clf::{self, Clf};
use crate::elsewhere;
use crate::epoch::Unit;
use flitch_sdk::time::parse_rfc3339;
use flitch_sdk::zone::{AHEAD, Zone};
use flitch_sdk::{Result, Value, bail, err};
use jiff::fmt::strtime::BrokenDownTime;
use serde::{Deserialize, Deserializer};
use std::fmt;

/// All of them, for those who look for one.
const FORMATS: &str = "rfc3339, clf, epoch_s, epoch_ms, epoch_us, epoch_ns, and strptime's with %";

/// How strptime says that an offset is written: `+0100`, `+01:00`, `+01`.
const OFFSETS: [&str; 3] = ["%z", "%:z", "%:::z"];

/// One format, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formats(pub Vec<String>);

impl<'de> Deserialize<'de> for Formats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a format or a list of formats")]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(format) => vec![format],
            OneOrMany::Many(formats) => formats,
        }))
    }
}

/// How a time is written.
#[derive(Debug, Clone)]
pub enum Format {
    /// RFC 3339; a time without an offset is one of the zone in the settings.
    Rfc3339,
    /// The Common Log Format.
    Clf(Clf),
    /// A number.
    Epoch(Unit),
    /// strptime's terms.
    Strptime {
        /// The format as it stands in the settings.
        written: String,
        /// The format, and the same with the other ways to write an offset.
        formats: Vec<String>,
        /// Whether it names no year.
        lacks_the_year: bool,
    },
}

impl Format {
    /// The format of this name.
    ///
    /// # Errors
    /// When there is none, or strptime does not know one of its directives.
    pub fn new(text: &str) -> Result<Self> {
        if let Some(unit) = Unit::ALL.into_iter().find(|unit| unit.name() == text) {
            return Ok(Self::Epoch(unit));
        }
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "clf" | clf::STRPTIME => Ok(Self::Clf(Clf::default())),
            text if text.contains('%') => Self::strptime(text),
            _ => {
                let meant = elsewhere::translated(text).filter(|meant| Self::new(meant).is_ok());
                match meant {
                    Some(meant) => {
                        bail!("there is no format {text:?}; did you mean {meant:?}? (There are {FORMATS})")
                    }
                    None => bail!("there is no format {text:?}; there are {FORMATS}"),
                }
            }
        }
    }

    /// Tries the format on a time of its own making, which shows wrong directives and what the
    /// format says.
    fn strptime(written: &str) -> Result<Self> {
        // Fluent Bit's fraction of a second.
        let format = &replace(written, "%L", "%f").unwrap_or_else(|| written.to_owned());
        if replace(format, "%Z", "").is_some() {
            bail!(
                "{written:?}: the name of a zone (%Z) is no offset: write %z, which takes UTC and GMT too, or the name itself and `time_zone`"
            );
        }
        let wrong = |error: jiff::Error| err!("{written:?}: {error}");
        let sample = jiff::civil::date(2026, 11, 20)
            .at(13, 55, 36, 0)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_err(wrong)?;
        let text = BrokenDownTime::from(&sample).to_string(format).map_err(wrong)?;
        let said = BrokenDownTime::parse(format, &text).map_err(wrong)?;
        let absolute = said.timestamp().is_some();
        let lacks_the_year = !absolute && said.year().is_none() && said.iso_week_year().is_none();
        let mut dated = said;
        if lacks_the_year {
            dated.set_year(Some(2026)).map_err(wrong)?;
        }
        if !absolute && dated.to_date().is_err() {
            bail!("{written:?} does not say the day");
        }
        let within_the_hour =
            dated.minute().is_some() || dated.second().is_some() || dated.subsec_nanosecond().is_some();
        if !absolute && dated.hour().is_none() && within_the_hour {
            bail!("{written:?} says minutes, seconds or a fraction, but not the hour (%H)");
        }
        // One o'clock in the afternoon comes back as the first hour of the day where the format does not tell the two apart.
        if !absolute && dated.hour().is_some_and(|hour| hour != sample.hour()) {
            bail!(
                "{written:?} has hours up to 12 (%I), and does not say which half of the day it is: add %p, or write %H"
            );
        }
        let mut formats = vec![format.clone()];
        for from in OFFSETS {
            let to = OFFSETS.into_iter().chain(["Z", "UTC", "GMT"]).filter(|to| *to != from);
            formats.extend(to.filter_map(|to| replace(format, from, to)));
        }
        Ok(Self::Strptime { written: written.to_owned(), formats, lacks_the_year })
    }

    /// Whether a year must come from the time when the record arrived.
    pub fn lacks_the_year(&self) -> bool {
        matches!(self, Self::Strptime { lacks_the_year: true, .. })
    }

    /// The instant in nanoseconds since 1970, or none when the text is of another format.
    #[inline]
    pub fn read(&mut self, text: &str, zone: &Zone, arrival: Option<i64>) -> Option<i64> {
        match self {
            Self::Clf(clf) => {
                clf.read(text.as_bytes()).or_else(|| instant(&otherwise(clf::OTHERS, text)?, zone))
            }
            Self::Rfc3339 => parse_rfc3339(text.as_bytes()).or_else(|| {
                // PostgreSQL writes the hours of an offset alone: `+01`.
                let in_hours = || parse_rfc3339(format!("{text}:00").as_bytes());
                let local =
                    || parse_rfc3339(format!("{text}Z").as_bytes()).and_then(|local| zone.shift(local));
                in_hours().or_else(local)
            }),
            Self::Epoch(unit) => unit.of_text(text.as_bytes()),
            Self::Strptime { formats, lacks_the_year, .. } => {
                let (format, others) = formats.split_first()?;
                let time = match BrokenDownTime::parse(format, text) {
                    Ok(time) => time,
                    Err(_) => otherwise(others.iter().map(String::as_str), text)?,
                };
                if *lacks_the_year { until(time, zone, arrival.unwrap_or(0)) } else { instant(&time, zone) }
            }
        }
    }

    /// The instant of a number, or none when it is none of the format. What begins with a year or with seconds since 1970 is read
    /// as it is written: no number lacks zeros before those.
    pub fn read_number(&mut self, value: Value<'_>, zone: &Zone) -> Option<i64> {
        match self {
            Self::Epoch(unit) => unit.of_number(value),
            Self::Strptime { written, .. } if ["%Y", "%s"].iter().any(|first| written.starts_with(first)) => {
                let text = match value {
                    Value::Int64(number) => number.to_string(),
                    Value::Float64(number) => number.to_string(),
                    // A number with more digits than a float holds.
                    Value::Json(text) => text.to_owned(),
                    _ => return None,
                };
                self.read(&text, zone, None)
            }
            _ => None,
        }
    }
}

/// A time whose offset is written in another way than its format says, as readers in other languages take it.
#[cold]
fn otherwise<'a>(formats: impl IntoIterator<Item = &'a str>, text: &str) -> Option<BrokenDownTime> {
    let read = |format: &'a str| Some((format, BrokenDownTime::parse(format, text).ok()?));
    let (format, mut time) = formats.into_iter().find_map(read)?;
    if !OFFSETS.iter().any(|offset| replace(format, offset, "").is_some()) {
        time.set_offset(Some(jiff::tz::Offset::UTC));
    }
    Some(time)
}

/// A format with another directive in the place of one; none where it has no such directive.
fn replace(format: &str, from: &str, to: &str) -> Option<String> {
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    let mut is_there = false;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix(from) {
            is_there = true;
            out.push_str(to);
            rest = behind;
        } else {
            // The sign behind it may be one more.
            let end = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    is_there.then_some(out)
}

fn instant(time: &BrokenDownTime, zone: &Zone) -> Option<i64> {
    if let Some(seconds) = time.timestamp() {
        // A fraction behind `%s`, which goes the way of its sign.
        let fraction = i128::from(time.subsec_nanosecond().unwrap_or(0));
        let seconds = seconds.as_nanosecond();
        return i64::try_from(if seconds < 0 { seconds - fraction } else { seconds + fraction }).ok();
    }
    if time.offset().is_some() {
        return i64::try_from(time.to_timestamp().ok()?.as_nanosecond()).ok();
    }
    if time.iana_time_zone().is_some() {
        return i64::try_from(time.to_zoned().ok()?.timestamp().as_nanosecond()).ok();
    }
    let clock = if time.hour().is_some() { time.to_time().ok()? } else { jiff::civil::Time::midnight() };
    zone.instant(time.to_date().ok()?.to_datetime(clock))
}

/// The last instant before the record arrived, or a few days later: a line of New Year's Eve may arrive after midnight, and one that
/// is in a file since spring in autumn.
fn until(mut time: BrokenDownTime, zone: &Zone, arrival: i64) -> Option<i64> {
    let year =
        jiff::Timestamp::from_nanosecond(arrival.into()).ok()?.to_zoned(jiff::tz::TimeZone::UTC).year();
    let of_year = |year: i16| {
        time.set_year(Some(year)).ok()?;
        instant(&time, zone)
    };
    // The 29th of February may have been in a leap year of eight years ago.
    (-1..=8)
        .map(|ago| year - ago)
        .filter_map(of_year)
        .find(|instant| *instant <= arrival.saturating_add(AHEAD))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rfc3339 => f.write_str("rfc3339"),
            Self::Clf(_) => f.write_str("clf"),
            Self::Epoch(unit) => f.write_str(unit.name()),
            Self::Strptime { written, .. } => write!(f, "{written:?}"),
        }
    }
}
