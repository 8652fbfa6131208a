//! The records of one text, a batch at a time.

use super::{Cursor, DecodeError};
use crate::batch::Cut;
use crate::batch::builder::Builder;

/// Reads the records of a text that holds objects, or arrays of objects, one after the other with white space between:
/// a single object over several lines, a JSON array, NDJSON.
pub struct Objects<'a> {
    cursor: Cursor<'a>,
    /// Whether a record of an array comes next.
    in_array: bool,
}

impl<'a> Objects<'a> {
    /// Stands at the first record of `text`, behind a byte order mark.
    pub fn new(text: &'a [u8]) -> Objects<'a> {
        let mut cursor = Cursor::new(text, false);
        cursor.skip_mark();
        Objects { cursor, in_array: false }
    }

    /// Adds records until the batch is full or the text at its end. Answers whether there is more to read.
    ///
    /// # Errors
    /// Where the text cannot be read on. What was added before that stays.
    pub fn fill(&mut self, builder: &mut Builder, cut: &Cut) -> Result<bool, DecodeError> {
        let mut record = |cursor: &mut Cursor<'a>| {
            builder.begin_record();
            let read = cursor.record(builder);
            match read {
                Ok(()) => builder.end_record(),
                Err(_) => builder.cancel_record(),
            }
            read.map(|()| builder.full(cut))
        };
        loop {
            match self.next(&mut record)? {
                None => return Ok(false),
                Some(true) => return Ok(self.in_array || !self.cursor.is_at_end()),
                Some(false) => {}
            }
        }
    }

    /// Looks whether all that is left could be read, and keeps nothing of it.
    ///
    /// # Errors
    /// Where it cannot be read on.
    pub fn check_rest(&self) -> Result<(), DecodeError> {
        let mut rest = Objects { cursor: self.cursor.clone(), in_array: self.in_array };
        while rest.next(Cursor::skip_record)?.is_some() {}
        Ok(())
    }

    /// Reads the next record by `read`, and what stands around it; none at the end.
    #[inline]
    fn next<T>(
        &mut self,
        read: impl FnOnce(&mut Cursor<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        while !self.in_array {
            if self.cursor.is_at_end() {
                return Ok(None);
            }
            if !self.cursor.take(b'[') {
                return read(&mut self.cursor).map(Some);
            }
            self.in_array = !self.cursor.take(b']');
        }
        let record = read(&mut self.cursor)?;
        self.in_array = !self.cursor.take(b']');
        if self.in_array {
            self.cursor.expect(b',', "expected `,` or `]`")?;
        }
        Ok(Some(record))
    }
}
