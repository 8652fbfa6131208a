//! Instants as nanoseconds since 1970-01-01T00:00:00Z, and the two text forms that need no
//! time zone database: RFC 3339 and its use in JSON.

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

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

/// An instant in RFC 3339 form, such as `2026-11-20T13:55:36.25+01:00`, in nanoseconds since
/// 1970. The separator may be `T`, `t`, a space or `_`; digits past the ninth are cut.
/// None when it is no such text or lies outside 1677 to 2262.
pub fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let (separator, rest) = rest.split_first()?;
    let (clock, mut rest) = rest.split_first_chunk::<8>()?;
    if !matches!(separator, b'T' | b't' | b' ' | b'_') {
        return None;
    }
    let seconds = parse_date(date)? * 86_400 + parse_clock(clock)?;
    let mut nanos = 0;
    if let [b'.' | b',', fraction @ ..] = rest {
        let len = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return None;
        }
        let mut scale = SECOND / 10;
        for digit in &fraction[..len.min(9)] {
            nanos += i64::from(digit - b'0') * scale;
            scale /= 10;
        }
        rest = &fraction[len..];
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        rest => parse_offset(rest)?,
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

/// The instant as RFC 3339 in UTC, with as many digits of the second as it has, such as
/// `2026-11-20T13:55:36.25Z`.
pub fn format_rfc3339(nanos: i64) -> String {
    let (seconds, nanos) = (nanos.div_euclid(SECOND), nanos.rem_euclid(SECOND));
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos != 0 {
        let fraction = format!(".{nanos:09}");
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('Z');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_agree_over_four_hundred_years() {
        let mut expected = (1899, 12, 31);
        for days in days_from_civil(1900, 1, 1)..days_from_civil(2300, 1, 1) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!((year, month, day) > expected && day <= days_in_month(year, month));
            expected = (year, month, day);
        }
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2026, 11, 20), 20_777);
    }

    #[test]
    fn an_instant_is_read_in_every_form_that_loggers_write() {
        let expected = 1_605_515_507 * SECOND;
        for text in [
            "2020-11-16T08:31:47Z",
            "2020-11-16T08:31:47+00:00",
            "2020-11-16 08:31:47.000Z",
            "2020-11-16T09:31:47+01:00",
            "2020-11-16t03:01:47-0530",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), Some(expected), "{text}");
        }
        assert_eq!(parse_rfc3339(b"2020-11-16T08:31:47.123456789123Z"), Some(expected + 123_456_789));
        assert_eq!(parse_rfc3339(b"1969-12-31T23:59:59.5Z"), Some(-SECOND / 2));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "2020-11-16",
            "2020-11-16T08:31:47",
            "2020-02-30T00:00:00Z",
            "2020-13-01T00:00:00Z",
            "2020-11-16T24:00:00Z",
            "2020-11-16T08:31:47.Z",
            "2020-11-16T08:31:47+1:00",
            "2020-11-16T08:31:47Zz",
            "9999-11-16T08:31:47Z",
            "2020-11-16x08:31:47Z",
            "2020-11-16T08:31:47+01:000",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn an_instant_is_written_with_the_digits_it_has() {
        assert_eq!(format_rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(format_rfc3339(1_605_515_507 * SECOND + 250_000_000), "2020-11-16T08:31:47.25Z");
        for nanos in [i64::MIN, i64::MAX, 951_782_400 * SECOND, 1] {
            assert_eq!(parse_rfc3339(format_rfc3339(nanos).as_bytes()), Some(nanos));
        }
    }
}
