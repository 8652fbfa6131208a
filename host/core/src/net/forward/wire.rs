//! MessagePack, read in place: a cursor that gives tokens, and a scanner that finds where a value ends.
//!
//! It is written by hand, and of `rmp` takes the markers alone: `rmp`'s reader copies or goes through `io::Read`, cannot
//! say where a value ends that has not come to its end yet, and bounds neither the depth nor the length that a head
//! claims. Here no byte is looked at twice, and what a stranger claims is checked before anything is allocated for it.
//!
//! Source: the MessagePack specification, <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use rmp::Marker;

use crate::batch::builder::same_name;

/// What is wrong with bytes that should be MessagePack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end before the value does.
    #[error("it ends in the middle of a value")]
    Short,
    /// Byte 0xc1.
    #[error("it has the byte 0xc1, which MessagePack never uses")]
    Reserved,
    /// More arrays and maps inside each other than the limit.
    #[error("its arrays and maps lie more than {0} deep")]
    Deep(usize),
    /// A length that leads past the limit, in bytes.
    #[error("it says that it is longer than {0} bytes")]
    Long(usize),
}

/// One token. Lengths of arrays and maps are in elements and pairs; their content follows as tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    /// nil
    Nil,
    /// true or false
    Boolean(bool),
    /// Any whole number that int64 holds.
    Int(i64),
    /// A whole number past int64.
    Unsigned(u64),
    /// float 32 or float 64
    Float(f64),
    /// str, which should be UTF-8 and need not be.
    Text(&'a [u8]),
    /// bin
    Bytes(&'a [u8]),
    /// array
    Array(u32),
    /// map
    Map(u32),
    /// ext: its type and its bytes.
    Ext(i8, &'a [u8]),
}

impl Token<'_> {
    /// What it is, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Token::Nil => "nil",
            Token::Boolean(_) => "a boolean",
            Token::Int(_) | Token::Unsigned(_) => "a whole number",
            Token::Float(_) => "a float",
            Token::Text(_) => "a string",
            Token::Bytes(_) => "bytes",
            Token::Array(_) => "an array",
            Token::Map(_) => "a map",
            Token::Ext(..) => "an extension value",
        }
    }
}

/// A place in bytes that hold MessagePack values one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at `at`.
    pub fn new(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { bytes, at }
    }

    /// Bytes before the cursor.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Passes over one value.
    pub fn skip(&mut self, limits: Limits) -> Result<(), Fault> {
        self.at = skip(self.bytes, self.at, limits)?;
        Ok(())
    }

    /// Passes over one value, and answers its bytes.
    pub fn value(&mut self, limits: Limits) -> Result<&'a [u8], Fault> {
        let start = self.at;
        self.skip(limits)?;
        Ok(&self.bytes[start..self.at])
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let taken = self.bytes.get(self.at..).and_then(|b| b.get(..length)).ok_or(Fault::Short)?;
        self.at += length;
        Ok(taken)
    }

    #[inline]
    fn number<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.bytes.get(self.at..).and_then(|b| b.first_chunk::<N>()).ok_or(Fault::Short)?;
        self.at += N;
        Ok(*bytes)
    }

    #[inline]
    fn length8(&mut self) -> Result<usize, Fault> {
        Ok(usize::from(self.number::<1>()?[0]))
    }

    #[inline]
    fn length16(&mut self) -> Result<usize, Fault> {
        Ok(usize::from(u16::from_be_bytes(self.number()?)))
    }

    #[inline]
    fn length32(&mut self) -> Result<usize, Fault> {
        Ok(u32::from_be_bytes(self.number()?) as usize)
    }

    fn ext(&mut self, length: usize) -> Result<Token<'a>, Fault> {
        let kind = i8::from_be_bytes(self.number()?);
        Ok(Token::Ext(kind, self.take(length)?))
    }

    /// The next value if it is a str of up to 64 KiB that is complete. Else none, and the cursor stays.
    ///
    /// Nearly every name and most values are that, and the general way of [`Cursor::token`] costs three times as
    /// much.
    #[inline(always)]
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let (head, length) = match *rest {
            [marker @ 0xa0..=0xbf, ..] => (1, usize::from(marker & 0x1f)),
            [0xd9, length, ..] => (2, usize::from(length)),
            [0xda, high, low, ..] => (3, usize::from(u16::from_be_bytes([high, low]))),
            _ => return None,
        };
        let text = rest.get(head..head + length)?;
        self.at += head + length;
        Some(text)
    }

    /// Seconds and nanoseconds of the next value if it is an EventTime of fixed length, which is what clients send.
    /// Else none, and the cursor stays.
    #[inline(always)]
    pub fn event_time(&mut self) -> Option<(u32, u32)> {
        let [0xd7, 0, s0, s1, s2, s3, n0, n1, n2, n3] = *self.bytes.get(self.at..)?.first_chunk::<10>()?
        else {
            return None;
        };
        self.at += 10;
        Some((u32::from_be_bytes([s0, s1, s2, s3]), u32::from_be_bytes([n0, n1, n2, n3])))
    }

    /// The same where it stands in an array with empty metadata, `[time, {}]`, as Fluent Bit sends it.
    #[inline(always)]
    pub fn event_time_alone(&mut self) -> Option<(u32, u32)> {
        let rest = self.bytes.get(self.at..)?.first_chunk::<12>()?;
        let [0x92, 0xd7, 0, s0, s1, s2, s3, n0, n1, n2, n3, 0x80] = *rest else { return None };
        self.at += 12;
        Some((u32::from_be_bytes([s0, s1, s2, s3]), u32::from_be_bytes([n0, n1, n2, n3])))
    }

    /// The pairs of the next value if it is a map of less than 16. Else none, and the cursor stays.
    #[inline(always)]
    pub fn small_map(&mut self) -> Option<u32> {
        let pairs = match self.bytes.get(self.at)? {
            marker @ 0x80..=0x8f => u32::from(marker & 0xf),
            _ => return None,
        };
        self.at += 1;
        Some(pairs)
    }

    /// The text behind `name`, if the next two values are that name and a text, as [`Cursor::text`] reads both. Else
    /// none, and the cursor stays.
    #[inline(always)]
    pub fn named_text(&mut self, name: &[u8]) -> Option<&'a [u8]> {
        let mut ahead = *self;
        if !same_name(ahead.text()?, name) {
            return None;
        }
        let text = ahead.text()?;
        *self = ahead;
        Some(text)
    }

    /// The next token. The cursor's place is not defined after a fault.
    #[inline]
    pub fn token(&mut self) -> Result<Token<'a>, Fault> {
        let marker = Marker::from_u8(self.number::<1>()?[0]);
        Ok(match marker {
            Marker::FixStr(length) => Token::Text(self.take(usize::from(length))?),
            Marker::Str8 => {
                let length = self.length8()?;
                Token::Text(self.take(length)?)
            }
            Marker::Str16 => {
                let length = self.length16()?;
                Token::Text(self.take(length)?)
            }
            Marker::Str32 => {
                let length = self.length32()?;
                Token::Text(self.take(length)?)
            }
            Marker::FixMap(length) => Token::Map(u32::from(length)),
            Marker::Map16 => Token::Map(self.length16()? as u32),
            Marker::Map32 => Token::Map(self.length32()? as u32),
            Marker::FixArray(length) => Token::Array(u32::from(length)),
            Marker::Array16 => Token::Array(self.length16()? as u32),
            Marker::Array32 => Token::Array(self.length32()? as u32),
            Marker::FixPos(number) => Token::Int(i64::from(number)),
            Marker::FixNeg(number) => Token::Int(i64::from(number)),
            Marker::U8 => Token::Int(i64::from(u8::from_be_bytes(self.number()?))),
            Marker::U16 => Token::Int(i64::from(u16::from_be_bytes(self.number()?))),
            Marker::U32 => Token::Int(i64::from(u32::from_be_bytes(self.number()?))),
            Marker::U64 => {
                let number = u64::from_be_bytes(self.number()?);
                i64::try_from(number).map_or(Token::Unsigned(number), Token::Int)
            }
            Marker::I8 => Token::Int(i64::from(i8::from_be_bytes(self.number()?))),
            Marker::I16 => Token::Int(i64::from(i16::from_be_bytes(self.number()?))),
            Marker::I32 => Token::Int(i64::from(i32::from_be_bytes(self.number()?))),
            Marker::I64 => Token::Int(i64::from_be_bytes(self.number()?)),
            Marker::F32 => Token::Float(f64::from(f32::from_be_bytes(self.number()?))),
            Marker::F64 => Token::Float(f64::from_be_bytes(self.number()?)),
            Marker::Null => Token::Nil,
            Marker::True => Token::Boolean(true),
            Marker::False => Token::Boolean(false),
            Marker::Bin8 => {
                let length = self.length8()?;
                Token::Bytes(self.take(length)?)
            }
            Marker::Bin16 => {
                let length = self.length16()?;
                Token::Bytes(self.take(length)?)
            }
            Marker::Bin32 => {
                let length = self.length32()?;
                Token::Bytes(self.take(length)?)
            }
            Marker::FixExt1 => self.ext(1)?,
            Marker::FixExt2 => self.ext(2)?,
            Marker::FixExt4 => self.ext(4)?,
            Marker::FixExt8 => self.ext(8)?,
            Marker::FixExt16 => self.ext(16)?,
            Marker::Ext8 => {
                let length = self.length8()?;
                self.ext(length)?
            }
            Marker::Ext16 => {
                let length = self.length16()?;
                self.ext(length)?
            }
            Marker::Ext32 => {
                let length = self.length32()?;
                self.ext(length)?
            }
            Marker::Reserved => return Err(Fault::Reserved),
        })
    }
}

/// Bounds on what one value may be, checked before anything is allocated for it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the whole value.
    pub bytes: usize,
    /// Arrays and maps inside each other.
    pub depth: usize,
}

/// How many parts of a value a [`Scanner`] notes: a message has four.
const PARTS: usize = 5;

/// Finds where one value ends, in bytes that arrive piece by piece; no byte is looked at twice.
#[derive(Debug, Default)]
pub struct Scanner {
    start: usize,
    at: usize,
    /// Values that are still to come in each array or map that is open.
    open: Vec<u64>,
    parts: [usize; PARTS],
    count: usize,
}

impl Scanner {
    /// A scanner for the value that starts at `at`.
    pub fn new(at: usize) -> Scanner {
        Scanner { start: at, at, ..Scanner::default() }
    }

    /// Makes ready for the value that starts at `at`.
    pub fn restart(&mut self, at: usize) {
        (self.start, self.at, self.count) = (at, at, 0);
        self.open.clear();
    }

    /// The bytes now begin `by` bytes later than before.
    pub fn shift(&mut self, by: usize) {
        self.start -= by;
        self.at -= by;
        for part in &mut self.parts[..self.count] {
            *part -= by;
        }
    }

    /// Where the first elements of the value start, if it is an array or a map.
    pub fn parts(&self) -> &[usize] {
        &self.parts[..self.count]
    }

    /// Goes on in `bytes`, which begin where they began before and may be longer now. Answers where the value ends,
    /// or none while its end is not there yet.
    pub fn advance(&mut self, bytes: &[u8], limits: Limits) -> Result<Option<usize>, Fault> {
        loop {
            let (length, children) = match head(&bytes[self.at.min(bytes.len())..]) {
                Ok(head) => head,
                Err(Fault::Short) => return Ok(None),
                Err(fault) => return Err(fault),
            };
            let end = self.at.saturating_add(length);
            // Each value that is still to come takes a byte at least.
            let least = (end - self.start) as u64 + children + self.open.last().map_or(0, |n| n - 1);
            if least > limits.bytes as u64 {
                return Err(Fault::Long(limits.bytes));
            }
            if end > bytes.len() {
                return Ok(None);
            }
            if self.open.len() == 1 && self.count < PARTS {
                self.parts[self.count] = self.at;
                self.count += 1;
            }
            self.at = end;
            if children > 0 {
                if self.open.len() >= limits.depth {
                    return Err(Fault::Deep(limits.depth));
                }
                self.open.push(children);
                continue;
            }
            loop {
                let Some(left) = self.open.last_mut() else { return Ok(Some(end)) };
                *left -= 1;
                if *left > 0 {
                    break;
                }
                self.open.pop();
            }
        }
    }
}

/// Length of a value's head with its own bytes, and how many values lie inside it.
#[inline]
fn head(bytes: &[u8]) -> Result<(usize, u64), Fault> {
    let be = |from: usize, length: usize| -> Result<usize, Fault> {
        let bytes = bytes.get(from..from + length).ok_or(Fault::Short)?;
        Ok(bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
    };
    let marker = Marker::from_u8(*bytes.first().ok_or(Fault::Short)?);
    Ok(match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => (1, 0),
        Marker::U8 | Marker::I8 => (2, 0),
        Marker::U16 | Marker::I16 | Marker::FixExt1 => (3, 0),
        Marker::FixExt2 => (4, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (5, 0),
        Marker::FixExt4 => (6, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (9, 0),
        Marker::FixExt8 => (10, 0),
        Marker::FixExt16 => (18, 0),
        Marker::FixStr(length) => (1 + usize::from(length), 0),
        Marker::Str8 | Marker::Bin8 => (2 + be(1, 1)?, 0),
        Marker::Str16 | Marker::Bin16 => (3 + be(1, 2)?, 0),
        Marker::Str32 | Marker::Bin32 => (5 + be(1, 4)?, 0),
        Marker::Ext8 => (3 + be(1, 1)?, 0),
        Marker::Ext16 => (4 + be(1, 2)?, 0),
        Marker::Ext32 => (6 + be(1, 4)?, 0),
        Marker::FixArray(length) => (1, u64::from(length)),
        Marker::Array16 => (3, be(1, 2)? as u64),
        Marker::Array32 => (5, be(1, 4)? as u64),
        Marker::FixMap(length) => (1, 2 * u64::from(length)),
        Marker::Map16 => (3, 2 * be(1, 2)? as u64),
        Marker::Map32 => (5, 2 * be(1, 4)? as u64),
        Marker::Reserved => return Err(Fault::Reserved),
    })
}

/// Where the value that starts at `at` ends.
pub fn skip(bytes: &[u8], at: usize, limits: Limits) -> Result<usize, Fault> {
    Scanner::new(at).advance(bytes, limits)?.ok_or(Fault::Short)
}

#[cfg(test)]
mod tests;
