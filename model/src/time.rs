//! Instants as nanoseconds since 1970-01-01T00:00:00Z, and the text forms that need no time zone database: RFC 3339 and
//! its parts.

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
pub const fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so
    // that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = (month as i64 + 9) % 12;
    let of_year = (153 * month + 2) / 5 + day as i64 - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date that lies `days` days after 1970-01-01: year, month, day.
pub const fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * month + 2) / 5 + 1) as u32;
    let month = if month < 10 { month + 3 } else { month - 9 } as u32;
    (year + era * 400 + (month <= 2) as i64, month, day)
}

/// How many days a month has.
pub const fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// A number of exactly `N` decimal digits at the start of `text`.
#[inline]
pub fn digits<const N: usize>(text: &[u8]) -> Option<u32> {
    let mut number = 0;
    for byte in text.get(..N)? {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u32::from(digit);
    }
    Some(number)
}

/// `hh:mm:ss` in seconds. A leap second (60) counts as the second before it.
pub fn parse_clock(text: &[u8; 8]) -> Option<i64> {
    if text[2] != b':' || text[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (digits::<2>(text)?, digits::<2>(&text[3..])?, digits::<2>(&text[6..])?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(i64::from(hour * 3600 + minute * 60 + second.min(59)))
}

/// An instant as RFC 3339 has it (`2026-11-20T13:55:36.25+01:00`), in nanoseconds since 1970, to whom the text alone
/// says that it is one: so no instant stands for two. None where the text is not one, or names one that int64
/// nanoseconds do not hold: more than nine digits of fraction that count, a leap second, a year before 1677 or after
/// 2262.
pub fn parse(text: &[u8]) -> Option<i64> {
    read::<false>(text)
}

/// An instant in the forms that loggers give RFC 3339, where somebody has said that the text is one. The separator may
/// be `T`, `t`, a space or `_`, the fraction may stand behind a comma, and the offset may lack its colon; digits past the
/// ninth are cut, and a leap second counts as the second before it. None where the text is no such one, or lies outside
/// the years 1677 to 2262.
pub fn parse_lenient(text: &[u8]) -> Option<i64> {
    read::<true>(text)
}

fn read<const LENIENT: bool>(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let (separator, rest) = rest.split_first()?;
    let (clock, mut rest) = rest.split_first_chunk::<8>()?;
    if !(matches!(separator, b'T' | b't' | b' ') || LENIENT && *separator == b'_') {
        return None;
    }
    let seconds = parse_date(date)? * DAY + parse_clock(clock)?;
    if !LENIENT && clock[6..] == *b"60" {
        return None;
    }
    let mut nanos = 0;
    if let [mark, fraction @ ..] = rest
        && (*mark == b'.' || LENIENT && *mark == b',')
    {
        let len = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 || !LENIENT && fraction[..len].iter().skip(9).any(|digit| *digit != b'0') {
            return None;
        }
        let counted = len.min(9);
        let number = fraction[..counted].iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
        nanos = number * 10_i64.pow(9 - counted as u32);
        rest = &fraction[len..];
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        [_, _, _, b':', _, _] => parse_offset(rest)?,
        rest if LENIENT => parse_offset(rest)?,
        _ => return None,
    };
    let mut seconds = seconds - offset;
    if seconds < 0 && nanos > 0 {
        // Both parts of one sign, for the product alone may lie outside the range.
        (seconds, nanos) = (seconds + 1, nanos - SECOND);
    }
    seconds.checked_mul(SECOND)?.checked_add(nanos)
}

/// `2026-11-20` in days since 1970.
fn parse_date(text: &[u8; 10]) -> Option<i64> {
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (year, month, day) = (digits::<4>(text)?, digits::<2>(&text[5..])?, digits::<2>(&text[8..])?);
    let year = i64::from(year);
    let valid = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    valid.then(|| days_from_civil(year, month, day))
}

/// `+01:00` or `+0100` in seconds.
pub fn parse_offset(text: &[u8]) -> Option<i64> {
    let (sign, rest) = text.split_first()?;
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let minutes = match rest {
        [_, _, b':', minutes @ ..] => minutes,
        [_, _, minutes @ ..] => minutes,
        _ => return None,
    };
    let (hour, minute) = (digits::<2>(rest)?, digits::<2>(minutes)?);
    (minutes.len() == 2 && hour <= 23 && minute <= 59).then(|| sign * i64::from(hour * 3600 + minute * 60))
}

/// Writes times of one column; remembers the day, which rarely changes from row to row.
#[derive(Debug)]
pub struct Writer {
    day: i64,
    date: [u8; 11],
}

impl Default for Writer {
    fn default() -> Self {
        Writer { day: 0, date: *b"1970-01-01T" }
    }
}

impl Writer {
    /// Appends `ns` since 1970-01-01T00:00:00Z as `2026-01-31T23:59:59.123Z`, the fraction without its last zeros.
    #[inline]
    pub fn write(&mut self, ns: i64, out: &mut Vec<u8>) {
        let (seconds, fraction) = (ns.div_euclid(SECOND), ns.rem_euclid(SECOND) as u32);
        let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY) as u32);
        if day != self.day {
            self.day = day;
            self.date = date(day);
        }
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        text[..11].copy_from_slice(&self.date);
        two(&mut text[11..13], second / 3600);
        two(&mut text[14..16], second / 60 % 60);
        two(&mut text[17..19], second % 60);
        if fraction == 0 {
            text[19] = b'Z';
            out.extend_from_slice(&text[..20]);
            return;
        }
        let mut rest = fraction;
        for place in (20..29).rev() {
            text[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let mut end = 29;
        while text[end - 1] == b'0' {
            end -= 1;
        }
        text[end] = b'Z';
        out.extend_from_slice(&text[..=end]);
    }
}

/// The instant as RFC 3339 in UTC, with as many digits of the second as it has, such as `2026-11-20T13:55:36.25Z`.
pub fn to_text(ns: i64) -> String {
    let mut out = Vec::with_capacity(30);
    Writer::default().write(ns, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn two(out: &mut [u8], number: u32) {
    out[0] = b'0' + (number / 10) as u8;
    out[1] = b'0' + (number % 10) as u8;
}

/// The date of a day since 1970-01-01, which for int64 ns lies in the years 1677 to 2262.
#[inline(never)]
fn date(day: i64) -> [u8; 11] {
    let (year, month, day) = civil_from_days(day);
    let mut text = *b"0000-00-00T";
    two(&mut text[..2], year as u32 / 100);
    two(&mut text[2..4], year as u32 % 100);
    two(&mut text[5..7], month);
    two(&mut text[8..10], day);
    text
}

#[cfg(test)]
mod tests;
