//! Numbers of seconds, or parts of seconds, since 1970.

use flitch_sdk::Value;
use flitch_sdk::time::SECOND;

/// What is counted since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl Unit {
    /// The format's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "epoch_s",
            Self::Millis => "epoch_ms",
            Self::Micros => "epoch_us",
            Self::Nanos => "epoch_ns",
        }
    }

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Seconds, Self::Millis, Self::Micros, Self::Nanos];

    fn nanos(self) -> i64 {
        match self {
            Self::Seconds => SECOND,
            Self::Millis => 1_000_000,
            Self::Micros => 1_000,
            Self::Nanos => 1,
        }
    }

    /// The instant of a number. A float is taken to the microsecond, which is what it can hold.
    pub fn of_number(self, value: Value<'_>) -> Option<i64> {
        match value {
            Value::Int64(number) => number.checked_mul(self.nanos()),
            Value::Float64(number) => {
                let micros = (number * self.nanos() as f64 / 1_000.0).round();
                let in_range = micros.abs() < (i64::MAX / 1_000) as f64;
                in_range.then(|| micros as i64 * 1_000)
            }
            // A number with more digits than a float holds.
            Value::Json(text) => self.of_text(text.as_bytes()),
            _ => None,
        }
    }

    /// The instant of a decimal number such as `1605515507` or `1605515507.25`, exactly; digits
    /// below the nanosecond are cut.
    pub fn of_text(self, text: &[u8]) -> Option<i64> {
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
        let whole = number(&digits[..point])?.checked_mul(self.nanos())?;
        let mut nanos = whole;
        if let Some(fraction) = digits.get(point + 1..) {
            if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let mut scale = self.nanos();
            for digit in fraction {
                scale /= 10;
                nanos = nanos.checked_add(i64::from(digit - b'0') * scale)?;
            }
        }
        Some(if negative { -nanos } else { nanos })
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(i64::from(digit)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_exactly_in_every_unit() {
        assert_eq!(Unit::Seconds.of_text(b"1605515507.123456789123"), Some(1_605_515_507_123_456_789));
        assert_eq!(Unit::Millis.of_text(b"1605515507123"), Some(1_605_515_507_123_000_000));
        assert_eq!(Unit::Micros.of_text(b"-1.5"), Some(-1_500));
        assert_eq!(Unit::Nanos.of_text(b"7"), Some(7));
        assert_eq!(
            Unit::Seconds.of_number(Value::Float64(1_605_515_507.25)),
            Some(1_605_515_507_250_000_000)
        );
        assert_eq!(Unit::Seconds.of_number(Value::Int64(-1)), Some(-SECOND));
        assert_eq!(
            Unit::Seconds.of_number(Value::Json("1605515507.123456789")),
            Some(1_605_515_507_123_456_789)
        );
    }

    #[test]
    fn what_is_no_number_or_out_of_range_is_refused() {
        for text in ["", "-", ".5", "1.", "1.x", "1e3", "0x10", " 1", "9223372037", "99999999999999999999"] {
            assert_eq!(Unit::Seconds.of_text(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Unit::Seconds.of_number(Value::Int64(i64::MAX)), None);
        assert_eq!(Unit::Seconds.of_number(Value::Float64(f64::NAN)), None);
        assert_eq!(Unit::Seconds.of_number(Value::Float64(1e300)), None);
        assert_eq!(Unit::Seconds.of_number(Value::Boolean(true)), None);
        for text in ["null", "[1]", "{}", "18446744073709551616", "1e400"] {
            assert_eq!(Unit::Seconds.of_number(Value::Json(text)), None, "{text}");
        }
    }
}
