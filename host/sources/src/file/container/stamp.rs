//! Times of lines that follow one another, which mostly lie within one second.

use flitch_core::batch::time;

const SECOND: i64 = 1_000_000_000;
/// `2016-10-06T00:17:09`.
const TO_SECONDS: usize = 19;

/// Reads times and remembers the second of the last one.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamps {
    seconds: [u8; TO_SECONDS],
    zone: [u8; 6],
    zone_length: usize,
    /// The second's time, ns.
    time: i64,
}

impl Stamps {
    /// ns since 1970 of an RFC 3339 time; none for anything else.
    #[inline]
    pub fn parse(&mut self, text: &[u8]) -> Option<i64> {
        if let Some((seconds, [b'.', rest @ ..])) = text.split_first_chunk::<TO_SECONDS>()
            && *seconds == self.seconds
            && self.zone_length > 0
            && let Some((digits, zone)) = rest.split_at_checked(rest.len().wrapping_sub(self.zone_length))
            && *zone == self.zone[..self.zone_length]
            && let Some(fraction) = fraction(digits)
        {
            return self.time.checked_add(fraction);
        }
        self.parse_anew(text)
    }

    #[inline(never)]
    fn parse_anew(&mut self, text: &[u8]) -> Option<i64> {
        let time = time::parse(text)?;
        let zone = match text.last() {
            Some(b'Z' | b'z') => 1,
            _ => 6,
        };
        self.seconds.copy_from_slice(&text[..TO_SECONDS]);
        self.zone[..zone].copy_from_slice(&text[text.len() - zone..]);
        // The first second that int64 ns hold is not whole.
        let second = time.checked_sub(time.rem_euclid(SECOND));
        self.zone_length = second.map_or(0, |_| zone);
        self.time = second.unwrap_or(0);
        Some(time)
    }
}

/// The digits after the point as ns.
#[inline]
fn fraction(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    (digits.len()..9).for_each(|_| value *= 10);
    Some(value)
}

#[cfg(test)]
mod tests;
