//! What is the same for all records of a batch: tag, host, path, time of arrival.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow_schema::FieldRef;

use super::Kind;
use super::value::Value;

/// Values that hold for each record of a batch. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Constants {
    columns: Vec<(FieldRef, ArrayRef)>,
}

/// One of the values.
#[derive(Debug)]
pub(super) struct Constant(ArrayRef);

impl Constants {
    /// None yet.
    pub fn new() -> Constants {
        Constants::default()
    }

    /// Adds a text at this path. A value that has the same path is replaced.
    pub fn text(self, path: &str, value: &str) -> Constants {
        self.with(Kind::Text, path, Arc::new(StringArray::from(vec![value])))
    }

    /// Adds a whole number.
    pub fn int(self, path: &str, value: i64) -> Constants {
        self.with(Kind::Int64, path, Arc::new(Int64Array::from(vec![value])))
    }

    /// Adds a boolean.
    pub fn boolean(self, path: &str, value: bool) -> Constants {
        self.with(Kind::Boolean, path, Arc::new(BooleanArray::from(vec![value])))
    }

    /// Adds a time, in ns since 1970-01-01T00:00:00Z.
    pub fn timestamp(self, path: &str, ns: i64) -> Constants {
        let array = TimestampNanosecondArray::from(vec![ns]).with_timezone("UTC");
        self.with(Kind::Timestamp, path, Arc::new(array))
    }

    fn with(mut self, kind: Kind, path: &str, array: ArrayRef) -> Constants {
        match self.columns.iter_mut().find(|(field, _)| field.name() == path) {
            Some((field, old)) => {
                if Kind::of(field) != Some(kind) {
                    *field = Arc::new(kind.field(path));
                }
                *old = array;
            }
            None => self.columns.push((Arc::new(kind.field(path)), array)),
        }
        self
    }

    /// Where the values stand.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(field, _)| field.name().as_str())
    }

    /// Takes the value at exactly this path out.
    pub(super) fn take(&mut self, path: &str) -> Option<Constant> {
        let place = self.columns.iter().position(|(field, _)| field.name() == path)?;
        Some(Constant(self.columns.remove(place).1))
    }

    /// The values as a batch of one row.
    pub fn into_batch(self) -> RecordBatch {
        super::record_batch(1, self.columns).expect("each constant has its own name and one value")
    }
}

impl Constant {
    pub fn value(&self) -> Option<Value<'_>> {
        let any = self.0.as_any();
        if let Some(a) = any.downcast_ref::<StringArray>() {
            return Some(Value::Text(a.value(0).as_bytes()));
        }
        if let Some(a) = any.downcast_ref::<TimestampNanosecondArray>() {
            return Some(Value::Timestamp(a.value(0)));
        }
        if let Some(a) = any.downcast_ref::<Int64Array>() {
            return Some(Value::Int(a.value(0)));
        }
        any.downcast_ref::<BooleanArray>().map(|a| Value::Boolean(a.value(0)))
    }
}
