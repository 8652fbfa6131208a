//! Numbers: which type holds one exactly, and the one form in which each is written.

/// A JSON number by the type that holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number of int64.
    Int(i64),
    /// A float64 that is written back as an equal number.
    Float(f64),
    /// Neither: its text is what there is.
    Other,
}

/// Powers of ten that float64 holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Reads the number at the head of `text`, and how many bytes it takes; or where it is wrong.
#[inline]
pub fn number(text: &[u8]) -> Result<(Number, usize), usize> {
    let negative = text.first() == Some(&b'-');
    let mut at = usize::from(negative);
    let start = at;
    let mut whole: u64 = 0;
    while let Some(digit) = digit(text, at) {
        whole = whole.wrapping_mul(10).wrapping_add(digit);
        at += 1;
    }
    let digits = at - start;
    if digits == 0 {
        return Err(at);
    }
    if digits > 1 && text[start] == b'0' {
        return Err(start + 1);
    }
    if matches!(text.get(at), Some(b'.' | b'e' | b'E')) {
        return float(text, at, whole, digits);
    }
    // Any 18 digits fit; 19 may not.
    let number = match digits {
        1..=18 if whole == 0 && negative => Number::Float(-0.0),
        1..=18 if negative => Number::Int(-(whole as i64)),
        1..=18 => Number::Int(whole as i64),
        _ => std::str::from_utf8(&text[..at])
            .ok()
            .and_then(|t| t.parse().ok())
            .map_or(Number::Other, Number::Int),
    };
    Ok((number, at))
}

fn digit(text: &[u8], at: usize) -> Option<u64> {
    text.get(at).filter(|b| b.is_ascii_digit()).map(|b| u64::from(b - b'0'))
}

/// Reads on from the dot or the exponent at `at`.
fn float(text: &[u8], mut at: usize, whole: u64, digits: usize) -> Result<(Number, usize), usize> {
    let mut mantissa = whole;
    let mut count = digits;
    let mut exponent: i64 = 0;
    if text[at] == b'.' {
        at += 1;
        let start = at;
        while let Some(digit) = digit(text, at) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
            at += 1;
        }
        if at == start {
            return Err(at);
        }
        exponent = -((at - start) as i64);
        count += at - start;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1;
        let minus = text.get(at) == Some(&b'-');
        if matches!(text.get(at), Some(b'-' | b'+')) {
            at += 1;
        }
        let start = at;
        let mut written: i64 = 0;
        while let Some(digit) = digit(text, at) {
            written = written.saturating_mul(10).saturating_add(digit as i64);
            at += 1;
        }
        if at == start {
            return Err(at);
        }
        exponent = exponent.saturating_add(if minus { -written } else { written });
    }
    // With at most 15 digits the mantissa and, up to 10^22, the power of ten are exact, so that one operation rounds
    // once and rightly (W. Clinger, 1990); and float64 tells any two decimals of 15 digits apart, so that the fewest
    // digits that read back are these.
    if count <= 15 && (-22..=22).contains(&exponent) {
        let power = POWERS[exponent.unsigned_abs() as usize];
        let value = if exponent < 0 { mantissa as f64 / power } else { mantissa as f64 * power };
        return Ok((Number::Float(if text[0] == b'-' { -value } else { value }), at));
    }
    Ok((exact(&text[..at]), at))
}

#[cold]
fn exact(text: &[u8]) -> Number {
    let Some(value) = std::str::from_utf8(text).ok().and_then(|t| t.parse::<f64>().ok()) else {
        return Number::Other;
    };
    if !value.is_finite() {
        return Number::Other;
    }
    let mut buffer = ryu::Buffer::new();
    let written = buffer.format_finite(value).as_bytes();
    // Most programs write the fewest digits that read back, as it is done here.
    let is_same = written == text || Decimal::of(written) == Decimal::of(text);
    if is_same { Number::Float(value) } else { Number::Other }
}

/// Appends a float as a JSON number that reads back as the same float64; `null` where it is no number.
#[inline]
pub fn write_float(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends a whole number.
#[inline]
pub fn write_int(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A decimal number: `0.<digits> * 10^exponent`, with neither first nor last digit zero.
#[derive(Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// The value of a JSON number's text. Zeros are all the same but for their sign.
    pub fn of(text: &[u8]) -> Decimal {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let end = text.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(text.len());
        let (number, written) = text.split_at(end);
        let mut exponent: i64 = 0;
        if let [_, rest @ ..] = written {
            let (minus, rest) = match rest {
                [b'-', rest @ ..] => (true, rest),
                [b'+', rest @ ..] => (false, rest),
                _ => (false, rest),
            };
            for digit in rest {
                exponent = exponent.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
            }
            exponent = if minus { -exponent } else { exponent };
        }
        let dot = number.iter().position(|b| *b == b'.').unwrap_or(number.len());
        let mut digits: Vec<u8> = number.iter().copied().filter(|b| *b != b'.').collect();
        exponent = exponent.saturating_add(dot as i64);
        let zeros = digits.iter().take_while(|b| **b == b'0').count();
        digits.drain(..zeros);
        exponent = exponent.saturating_sub(zeros as i64);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            exponent = 0;
        }
        Decimal { negative, digits, exponent }
    }
}
