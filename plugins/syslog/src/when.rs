//! The times that messages of the older forms begin with.

use crate::message::{Clock, When};
use crate::rfc3164::is_name;
use flitch_sdk::time::{
    SECOND, days_from_civil, days_in_month, digits, parse_clock, parse_offset, parse_rfc3339,
};
use flitch_sdk::zone::Zone;

const DAY: i64 = 86_400 * SECOND;
/// The years that a time may have.
const YEARS: std::ops::RangeInclusive<u32> = 1970..=2261;
const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// Letters that devices name their zones by.
const ZONES: [&str; 46] = [
    "ACDT", "ACST", "ADT", "AEDT", "AEST", "AKDT", "AKST", "ART", "AST", "AWST", "BRST", "BRT", "BST", "CDT",
    "CEST", "CET", "CLST", "CLT", "COT", "CST", "EAT", "EDT", "EEST", "EET", "EST", "HKT", "HST", "IST",
    "JST", "KST", "MDT", "MEST", "MET", "MSK", "MST", "NDT", "NST", "NZDT", "NZST", "PDT", "PST", "SAST",
    "SGT", "WAT", "WEST", "WET",
];

impl When {
    /// The instant: of a time without a year the last one before its record arrived.
    pub fn instant(self, zone: &Zone, arrival: i64) -> Option<i64> {
        match self {
            Self::Instant(nanos) => Some(nanos),
            Self::Local(nanos) => zone.shift(nanos),
            Self::Yearless(month, day, clock, whose) => {
                let fixed = match whose {
                    Clock::Local => None,
                    Clock::Offset(seconds) => Some(Zone::Fixed(seconds)),
                };
                let zone = fixed.as_ref().unwrap_or(zone);
                zone.until(arrival, |year| on(year, month, day).and_then(|nanos| nanos.checked_add(clock)))
            }
        }
    }
}

/// The time that a text begins with, and what stands behind it.
pub fn read(text: &str) -> Option<(When, &str)> {
    if text.as_bytes().first()?.is_ascii_digit()
        && let Some(read) = of_rfc3339(text)
    {
        return Some(read);
    }
    // Cisco's marks of a clock that is not set, or has lost its server.
    let marked = text.strip_prefix(['*', '.']).unwrap_or(text);
    let (year, rest) = match year(marked) {
        Some((year, rest)) => (Some(year), rest),
        None => (None, marked),
    };
    let (month, rest) = rest.as_bytes().split_first_chunk::<3>()?;
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? as u32 + 1;
    let (day, rest) = day(spaces(rest)?)?;
    let rest = spaces(rest)?;
    // All that was read is ASCII.
    let rest = std::str::from_utf8(rest).ok()?;
    let (year, rest) = match year {
        Some(year) => (Some(year), rest),
        None => self::year(rest).map_or((None, rest), |(year, rest)| (Some(year), rest)),
    };
    let (clock, rest) = clock(rest)?;
    let (whose, rest) = zone(rest);
    let (year, rest) = match year {
        Some(year) => (Some(year), rest),
        None => year_behind(rest).map_or((None, rest), |(year, rest)| (Some(year), rest)),
    };
    if day > days_in_month(year.unwrap_or(2000), month) {
        return None;
    }
    let when = match year {
        None => When::Yearless(month, day, clock, whose),
        Some(year) => of(on(year, month, day)?.checked_add(clock)?, whose)?,
    };
    // Behind the time stands a blank, a colon, or nothing.
    match rest.as_bytes() {
        [] | [b' ', ..] => Some((when, rest)),
        [b':', ..] => Some((when, &rest[1..])),
        _ => None,
    }
}

/// The time that a text of Meraki's begins with, seconds since 1970 behind a version, and what stands behind it:
/// `1 1563249630.774247467 MX84 urls …`.
pub fn since_1970(text: &str) -> Option<(When, &str)> {
    let (time, rest) = text.strip_prefix("1 ")?.split_once(' ')?;
    let (whole, fraction) = time.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = (9..=10).contains(&whole.len()) && fraction.len() <= 9;
    if !is_time || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let seconds = whole.parse::<i64>().ok()?.checked_mul(SECOND)?;
    let nanos = fraction.parse::<i64>().ok()? * 10_i64.pow(9 - fraction.len() as u32);
    Some((When::Instant(seconds.checked_add(nanos)?), rest))
}

/// A time in the form of RFC 3339, whose day and clock may also be two words, or a local one that lacks the offset.
fn of_rfc3339(text: &str) -> Option<(When, &str)> {
    const DAY: usize = "2026-11-20".len();
    let word = |from: usize| text[from..].find(' ').map_or(text.len(), |end| from + end);
    let end = match word(0) {
        DAY if text.len() > DAY => word(DAY + 1),
        end => end,
    };
    let (time, rest) = text.split_at(end);
    let has_colon = time.ends_with(':');
    let time = time.strip_suffix(':').unwrap_or(time);
    if let Some(nanos) = parse_rfc3339(time.as_bytes()) {
        return Some((When::Instant(nanos), rest));
    }
    let nanos = as_utc(time)?;
    let (whose, rest) = if has_colon { (Clock::Local, rest) } else { zone(rest) };
    Some((of(nanos, whose)?, rest.strip_prefix(':').unwrap_or(rest)))
}

/// A time in the form of RFC 3339 but for the offset, which it lacks.
pub fn local(text: &str) -> Option<When> {
    as_utc(text).map(When::Local)
}

fn as_utc(text: &str) -> Option<i64> {
    parse_rfc3339(format!("{text}Z").as_bytes())
}

/// What a clock shows, in nanoseconds as if it were UTC.
fn of(nanos: i64, whose: Clock) -> Option<When> {
    Some(match whose {
        Clock::Local => When::Local(nanos),
        Clock::Offset(seconds) => When::Instant(nanos.checked_sub(seconds * SECOND)?),
    })
}

/// `2026 ` at the head of a text.
fn year(text: &str) -> Option<(i64, &str)> {
    let year = digits::<4>(text.as_bytes())?;
    let rest = text.get(4..)?.strip_prefix(' ')?;
    YEARS.contains(&year).then_some((i64::from(year), rest.trim_start_matches(' ')))
}

/// ` 2026` behind a clock, where a word ends: in `2001:db8::1` it does not.
fn year_behind(text: &str) -> Option<(i64, &str)> {
    let text = text.strip_prefix(' ')?;
    let rest = text.get(4..)?;
    let behind = rest.strip_prefix(':').unwrap_or(rest);
    let ends = behind.is_empty() || behind.starts_with([' ', '%']);
    let year = digits::<4>(text.as_bytes()).filter(|year| ends && YEARS.contains(year))?;
    Some((i64::from(year), rest))
}

/// At least one blank.
fn spaces(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|byte| **byte == b' ').count();
    (count > 0).then(|| &text[count..])
}

/// A day of one or two digits.
fn day(text: &[u8]) -> Option<(u32, &[u8])> {
    let count = text.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let day = match count {
        1 => digits::<1>(text)?,
        2 => digits::<2>(text)?,
        _ => return None,
    };
    (1..=31).contains(&day).then_some((day, &text[count..]))
}

/// `22:14:15` with or without a fraction, in nanoseconds.
fn clock(text: &str) -> Option<(i64, &str)> {
    let seconds = parse_clock(text.as_bytes().first_chunk::<8>()?)?;
    let rest = &text[8..];
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some((seconds * SECOND, rest)) };
    let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 {
        return None;
    }
    let counted = &fraction.as_bytes()[..count.min(9)];
    let nanos = counted.iter().fold(0, |nanos, digit| nanos * 10 + i64::from(digit - b'0'));
    Some((seconds * SECOND + nanos * 10_i64.pow(9 - counted.len() as u32), &fraction[count..]))
}

/// A zone behind a time: an offset, or letters, of which only those of UTC have one meaning: ` +01:00`, ` UTC:`, ` GMT`.
fn zone(text: &str) -> (Clock, &str) {
    let word = text.strip_prefix(' ').unwrap_or(text).as_bytes();
    for length in ["+01:00".len(), "+0100".len()] {
        if let Some((offset, rest)) = word.split_at_checked(length)
            && let Some(seconds) = parse_offset(offset)
            && matches!(rest, [] | [b':' | b' ', ..])
        {
            return (Clock::Offset(seconds), &text[text.len() - rest.len()..]);
        }
    }
    let name = text.strip_prefix(' ').unwrap_or_default();
    for zone in ["UTC", "GMT", "Z"] {
        if let Some(rest) = name.strip_prefix(zone)
            && (rest.is_empty() || rest.starts_with([':', ' ']))
        {
            return (Clock::Offset(0), rest);
        }
    }
    // Another zone's letters, as Cisco writes them, end in a colon; the setting says what they mean. The name of a program does
    // so as well: letters that are no known zone are one where the name of Cisco's message follows.
    let letters = name.bytes().take(6).take_while(u8::is_ascii_uppercase).count();
    let (letters, rest) = name.split_at(letters);
    let is_known = || ZONES.contains(&letters) && (rest.starts_with(": ") || is_before_host(rest));
    match rest.starts_with(": %") && letters.len() > 1 || is_known() {
        true => (Clock::Local, rest),
        false => (Clock::Local, text),
    }
}

/// Whether a word stands behind a blank that may be a host, or a year. Before the name of a program, or a text, letters are the
/// host themselves.
fn is_before_host(text: &str) -> bool {
    let Some(text) = text.strip_prefix(' ') else { return false };
    let text = text.trim_start_matches(' ');
    let (word, behind) = text.split_once(' ').unwrap_or((text, ""));
    is_name(word) && !word.ends_with([':', ']']) && !behind.is_empty()
}

/// The beginning of a day, in nanoseconds as if it were UTC.
fn on(year: i64, month: u32, day: u32) -> Option<i64> {
    let valid = day <= days_in_month(year, month);
    valid.then(|| days_from_civil(year, month, day))?.checked_mul(DAY)
}

#[cfg(test)]
#[path = "tests/when.rs"]
mod tests;
