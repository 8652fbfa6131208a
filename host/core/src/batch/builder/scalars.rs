//! The values that are neither objects nor arrays.

use super::Builder;
use crate::batch::time;
use crate::batch::value::Value;

impl Builder {
    /// Text as it came. UTF-8 is checked when the batch is finished, a column at a time.
    #[inline]
    pub fn text(&mut self, text: &[u8]) {
        if self.current == self.time && self.json_depth == 0 {
            match time::parse(text) {
                Some(ns) => return self.put(Value::Timestamp(ns)),
                None => self.misname(),
            }
        }
        self.put(Value::Text(text));
    }

    /// Puts a value that is neither a text nor a time.
    #[inline(always)]
    fn put_other(&mut self, value: Value<'_>) {
        if self.json_depth == 0 && (self.current == self.time || self.current == self.tag) {
            self.misname();
        }
        self.put(value);
    }

    /// Bytes that are not meant as text.
    #[inline]
    pub fn bytes_value(&mut self, bytes: &[u8]) {
        self.put_other(Value::Bytes(bytes));
    }

    /// A whole number.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.put_other(Value::Int(value));
    }

    /// A whole number that is not negative; past int64 it is json.
    #[inline]
    pub fn unsigned(&mut self, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.put_other(Value::Int(value)),
            Err(_) => self.put_other(Value::Json(itoa::Buffer::new().format(value).as_bytes())),
        }
    }

    /// A floating-point number.
    #[inline]
    pub fn float(&mut self, value: f64) {
        self.put_other(Value::Float(value));
    }

    /// True or false.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        self.put_other(Value::Boolean(value));
    }

    /// A null that was written as such, which is not the same as absent: json `null`.
    #[inline]
    pub fn null(&mut self) {
        self.put_other(Value::Json(b"null"));
    }

    /// One JSON text, taken as it stands; the caller answers for its form.
    #[inline]
    pub fn json(&mut self, text: &str) {
        self.put_other(Value::Json(text.as_bytes()));
    }

    /// JSON text whose UTF-8 is not checked yet.
    #[inline]
    pub fn json_bytes(&mut self, text: &[u8]) {
        self.put_other(Value::Json(text));
    }

    /// A time, in ns since 1970-01-01T00:00:00Z.
    #[inline]
    pub fn timestamp(&mut self, ns: i64) {
        if self.current == self.tag && self.json_depth == 0 {
            self.misname();
        }
        self.put(Value::Timestamp(ns));
    }
}
