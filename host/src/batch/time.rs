//! Times as text: RFC 3339 to nanoseconds and back.

const DAY: i64 = 86_400;
const NANOS: i64 = 1_000_000_000;

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
    pub fn write(&mut self, ns: i64, out: &mut Vec<u8>) {
        let (seconds, fraction) = (ns.div_euclid(NANOS), ns.rem_euclid(NANOS) as u32);
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

/// One time as RFC 3339 text in UTC.
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
///
/// Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn date(day: i64) -> [u8; 11] {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    let year = (year_of_era + era * 400 + i64::from(month <= 2)) as u32;
    let mut text = *b"0000-00-00T";
    two(&mut text[..2], year / 100);
    two(&mut text[2..4], year % 100);
    two(&mut text[5..7], month);
    two(&mut text[8..10], day);
    text
}

/// Days since 1970-01-01 of a date; `days_from_civil` of the same source.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Reads an RFC 3339 time: ns since 1970-01-01T00:00:00Z. None where the text is not one, or names a time that int64
/// nanoseconds do not hold: more than nine digits of fraction that count, a leap second, a far year.
pub fn parse(text: &[u8]) -> Option<i64> {
    if text.len() < 20
        || text[4] != b'-'
        || text[7] != b'-'
        || !matches!(text[10], b'T' | b't' | b' ')
        || text[13] != b':'
        || text[16] != b':'
    {
        return None;
    }
    let year = number(&text[..4])?;
    let (month, day) = (number(&text[5..7])?, number(&text[8..10])?);
    let (hour, minute, second) = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = &text[19..];
    let mut nanos = 0;
    if let [b'.', after @ ..] = rest {
        let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || after[..digits].iter().skip(9).any(|b| *b != b'0') {
            return None;
        }
        nanos = number(&after[..digits.min(9)])? * 10_i64.pow(9 - digits.min(9) as u32);
        rest = &after[digits..];
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = day_number(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    i64::try_from(i128::from(seconds) * i128::from(NANOS) + i128::from(nanos)).ok()
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}
