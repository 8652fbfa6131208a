//! The wire format: tags, varints, and what they announce.
//! <https://protobuf.dev/programming-guides/encoding/>

/// Most groups within one another that are looked through for their ends.
const MAX_GROUPS: usize = 100;

/// What stands behind a tag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Raw<'a> {
    /// A whole number of up to 64 bits.
    Varint(u64),
    /// Eight bytes, as a little-endian number.
    Fixed64(u64),
    /// Four bytes, likewise.
    Fixed32(u32),
    /// So many bytes as its length said.
    Bytes(&'a [u8]),
    /// What stands between the tags of a group.
    Group(&'a [u8]),
}

/// Reads fields off bytes.
#[derive(Debug, Clone, Copy)]
pub struct Wire<'a> {
    rest: &'a [u8],
}

impl<'a> Wire<'a> {
    /// At the first of these bytes.
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Whether all is read.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field: its number, and what it holds. None at the end.
    ///
    /// # Errors
    /// What is there is no field.
    #[inline]
    pub fn field(&mut self) -> Result<Option<(u32, Raw<'a>)>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, kind) = self.tag()?;
        match kind {
            4 => Err(format!("field {number}: a group ends that has not begun")),
            kind => Ok(Some((number, self.value(number, kind, 0)?))),
        }
    }

    /// The number of a field, and how it is written.
    fn tag(&mut self) -> Result<(u32, u8), String> {
        let tag = self.varint()?;
        match u32::try_from(tag) {
            Ok(tag) if tag >> 3 != 0 => Ok((tag >> 3, (tag & 7) as u8)),
            _ => Err(format!("{tag} is no tag of a field")),
        }
    }

    fn value(&mut self, number: u32, kind: u8, groups: usize) -> Result<Raw<'a>, String> {
        match kind {
            0 => self.varint().map(Raw::Varint),
            1 => self.fixed64().map(Raw::Fixed64).map_err(|wrong| format!("field {number}: {wrong}")),
            2 => self.delimited().map(Raw::Bytes).map_err(|wrong| format!("field {number}: {wrong}")),
            3 => self.group(number, groups).map(Raw::Group),
            5 => self.fixed32().map(Raw::Fixed32).map_err(|wrong| format!("field {number}: {wrong}")),
            kind => Err(format!("field {number}: there is no wire type {kind}")),
        }
    }

    /// What stands up to the end of a group whose beginning has been read.
    fn group(&mut self, number: u32, groups: usize) -> Result<&'a [u8], String> {
        if groups == MAX_GROUPS {
            return Err(format!("field {number}: more than {MAX_GROUPS} groups within one another"));
        }
        let begin = self.rest;
        loop {
            if self.rest.is_empty() {
                return Err(format!("field {number}: its group has no end"));
            }
            let before = self.rest.len();
            match self.tag()? {
                (end, 4) if end == number => return Ok(&begin[..begin.len() - before]),
                (end, 4) => return Err(format!("field {number}: its group ends as one of field {end}")),
                (inner, kind) => _ = self.value(inner, kind, groups + 1)?,
            }
        }
    }

    /// A whole number of up to 64 bits, seven in each byte, the lowest first.
    ///
    /// # Errors
    /// It has no end, or more bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for (place, byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                if place == 9 && *byte > 1 {
                    break;
                }
                self.rest = &self.rest[place + 1..];
                return Ok(number);
            }
        }
        Err(bad_varint(self.rest.len()))
    }

    /// Bytes behind their length.
    ///
    /// # Errors
    /// There are fewer.
    #[inline]
    pub fn delimited(&mut self) -> Result<&'a [u8], String> {
        let length = self.varint()?;
        match usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length)) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(format!("{length} bytes should follow, and there are {}", self.rest.len())),
        }
    }

    /// Eight bytes, as a little-endian number.
    ///
    /// # Errors
    /// There are fewer.
    pub fn fixed64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    /// Four bytes, likewise.
    ///
    /// # Errors
    /// There are fewer.
    pub fn fixed32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(format!("{N} bytes should follow, and there are {}", self.rest.len())),
        }
    }
}

#[cold]
fn bad_varint(left: usize) -> String {
    if left < 10 { "it ends within a number".to_owned() } else { "a number of more than 64 bits".to_owned() }
}

/// The signed number that is written as `zigzag`.
pub fn signed(zigzag: u64) -> i64 {
    (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
}

#[cfg(test)]
mod tests;
