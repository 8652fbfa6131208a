//! Names that a text may give values to more than once.

use crate::Value;
use crate::json::quote;
use std::borrow::Cow;

/// What a name stands for: its value or, where it has several, the JSON text of an array of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeated<'a> {
    /// Its one value.
    One(Cow<'a, str>),
    /// The JSON text of all.
    Many(String),
}

impl Repeated<'_> {
    /// As the value of a field.
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::One(text) => Value::Text(text),
            Self::Many(json) => Value::Json(json),
        }
    }

    /// Adds one more value.
    pub fn add(&mut self, value: &str) {
        let mut json = match self {
            Self::One(first) => format!("[{}", quote(first)),
            Self::Many(json) => {
                json.pop();
                std::mem::take(json)
            }
        };
        json.push(',');
        json.push_str(&quote(value));
        json.push(']');
        *self = Self::Many(json);
    }
}
