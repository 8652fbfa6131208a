//! An answer as it is copied out of a guest's memory, once: into the buffers that its columns become.
//!
//! What a batch of a few rows costs is the number of its pieces. So all short lists of an answer are copied into one buffer,
//! which its columns share; a longer one has a buffer of its own, so that no column keeps much of others in memory. Ends become Arrow's
//! offsets as they are copied.

use std::cell::RefCell;
use std::marker::PhantomData;

use arrow_buffer::{Buffer, MutableBuffer};
use wasmtime::component::{ComponentType, Lift};

use crate::guest::bindings::exports::flitch::filter::filter::Removal;
use crate::guest::bindings::{self, BlobsResult, ColumnResult, Rejection, ValuesResult};
use flitch_core::batch::Kind;

mod read;

/// Longer lists have a buffer of their own: than numbers of 64 rows.
const SHORT: usize = 512;
/// Most bytes that lists of an answer share: a column that outlives the others keeps no more than that beside its own.
const SHARED_MOST: usize = 16 << 10;
/// How each list in the shared buffer is aligned, for what it may hold.
const ALIGN: usize = 8;

thread_local! {
    /// The short lists of the answer that is read.
    static SHARED: RefCell<MutableBuffer> = RefCell::new(MutableBuffer::new(0));
}

/// The contract's `changes`.
#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub struct Changes {
    /// The rows that go on.
    pub take: Option<Vec<u32>>,
    /// Columns to write.
    pub set: Columns,
    /// Fields to remove.
    pub remove: Vec<Removal>,
    /// Rows that the filter could not handle.
    pub rejected: Vec<Rejection>,
}

/// The columns of an answer.
#[derive(Clone, Debug)]
pub struct Columns(pub Vec<Column>);

/// The contract's `column`.
#[derive(Clone, Debug)]
pub struct Column {
    /// The field's path.
    pub name: Name,
    /// Which rows have the field.
    pub present: Option<List<u8>>,
    /// The values.
    pub values: Values,
}

/// The contract's `string`, of which nobody knows yet whether it is UTF-8.
#[derive(Clone, Debug)]
pub struct Name(List<u8>);

/// The contract's `values`.
#[derive(Clone, Debug)]
pub enum Values {
    /// UTF-8 text.
    Text(Blobs),
    /// Arbitrary bytes.
    Bytes(Blobs),
    /// Whole numbers.
    Int64(List<i64>),
    /// Floats.
    Float64(List<f64>),
    /// A bitmap.
    Boolean(List<u8>),
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    Timestamp(List<i64>),
    /// JSON texts.
    Json(Blobs),
}

/// The contract's `blobs`.
#[derive(Clone, Debug)]
pub struct Blobs {
    /// The values, one after the other.
    pub data: List<u8>,
    /// Where each of them ends.
    pub ends: Ends,
}

/// A list of numbers.
#[derive(Clone, Debug)]
pub struct List<T> {
    place: Place,
    len: usize,
    kind: PhantomData<T>,
}

/// The ends of blobs as Arrow's offsets: a zero before them.
#[derive(Clone, Debug)]
pub struct Ends(List<u32>);

#[derive(Clone, Debug)]
enum Place {
    Own(Buffer),
    /// From this byte on in the buffer that is shared.
    Shared(usize),
}

/// What short lists of an answer share.
#[derive(Debug, Default)]
pub struct Shared(Option<Buffer>);

impl Shared {
    /// Forgets what an answer that could not be read has left.
    pub fn begin() {
        SHARED.with_borrow_mut(MutableBuffer::clear);
    }

    /// What was read since the beginning.
    pub fn end() -> Shared {
        let shared = SHARED.replace(MutableBuffer::new(0));
        Shared((!shared.is_empty()).then(|| shared.into()))
    }
}

/// What a guest answered. Nobody has looked at it yet.
#[derive(Debug)]
pub struct Said {
    /// What becomes of the batch.
    pub changes: Changes,
    /// Where the short lists in there are.
    pub shared: Shared,
}

impl From<bindings::Changes> for Said {
    fn from(bindings::Changes { take, set, remove, rejected }: bindings::Changes) -> Said {
        let set = Columns(set.into_iter().map(Column::from).collect());
        Said { changes: Changes { take, set, remove, rejected }, shared: Shared::default() }
    }
}

impl Column {
    /// Bytes of its lists.
    pub fn bytes(&self) -> usize {
        let blobs = |blobs: &Blobs| blobs.data.len() + blobs.ends.len() * size_of::<u32>();
        let values = match &self.values {
            Values::Text(values) | Values::Bytes(values) | Values::Json(values) => blobs(values),
            Values::Int64(values) | Values::Timestamp(values) => values.len() * size_of::<i64>(),
            Values::Float64(values) => values.len() * size_of::<f64>(),
            Values::Boolean(bits) => bits.len(),
        };
        values + self.present.as_ref().map_or(0, List::len)
    }
}

impl Values {
    /// What they are.
    pub fn kind(&self) -> Kind {
        match self {
            Values::Text(_) => Kind::Text,
            Values::Bytes(_) => Kind::Bytes,
            Values::Int64(_) => Kind::Int64,
            Values::Float64(_) => Kind::Float64,
            Values::Boolean(_) => Kind::Boolean,
            Values::Timestamp(_) => Kind::Timestamp,
            Values::Json(_) => Kind::Json,
        }
    }
}

impl<T> List<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes of the numbers.
    fn bytes<'a>(&'a self, shared: &'a Shared) -> &'a [u8] {
        match &self.place {
            Place::Own(buffer) => buffer,
            Place::Shared(at) => {
                let all: &[u8] = shared.0.as_deref().unwrap_or_default();
                &all[*at..*at + self.len * size_of::<T>()]
            }
        }
    }

    /// The numbers, as Arrow has them.
    pub fn buffer(self, shared: &Shared) -> Buffer {
        match self.place {
            Place::Own(buffer) => buffer,
            Place::Shared(at) => {
                let shared =
                    shared.0.as_ref().map(|all| all.slice_with_length(at, self.len * size_of::<T>()));
                shared.unwrap_or_default()
            }
        }
    }

    /// Copies `before`, and then `bytes`, of which `len` are the list's numbers: to `shared` where they are few.
    fn copy(before: &[u8], bytes: &[u8], len: usize, shared: &mut MutableBuffer) -> List<T> {
        let size = before.len() + bytes.len();
        let place = if size > SHORT || shared.len() + size > SHARED_MOST {
            let mut own = MutableBuffer::with_capacity(size);
            own.extend_from_slice(before);
            own.extend_from_slice(bytes);
            Place::Own(own.into())
        } else {
            if shared.capacity() == 0 {
                shared.reserve(2 * SHORT);
            }
            let at = shared.len();
            shared.extend_from_slice(before);
            shared.extend_from_slice(bytes);
            // A copy of a known size, of which too much is taken back, and not one of a few bytes, which is a call.
            shared.extend_from_slice(&[0; ALIGN]);
            shared.truncate((at + size).next_multiple_of(ALIGN));
            Place::Shared(at)
        };
        List { place, len, kind: PhantomData }
    }
}

impl Ends {
    /// How many values end.
    pub fn len(&self) -> usize {
        self.0.len - 1
    }

    /// One number more than there are values.
    pub fn buffer(self, shared: &Shared) -> Buffer {
        self.0.buffer(shared)
    }
}

impl Name {
    /// The path.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text<'a>(&'a self, shared: &'a Shared) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes(shared)).map_err(|error| format!("the name of a column: {error}"))
    }

    /// The same, whatever it is.
    pub fn bytes<'a>(&'a self, shared: &'a Shared) -> &'a [u8] {
        self.0.bytes(shared)
    }
}

impl<T: arrow_buffer::ArrowNativeType> From<Vec<T>> for List<T> {
    fn from(numbers: Vec<T>) -> List<T> {
        let len = numbers.len();
        List { place: Place::Own(Buffer::from_vec(numbers)), len, kind: PhantomData }
    }
}

impl From<Vec<u32>> for Ends {
    fn from(mut ends: Vec<u32>) -> Ends {
        ends.insert(0, 0);
        Ends(ends.into())
    }
}

impl From<BlobsResult> for Blobs {
    fn from(blobs: BlobsResult) -> Blobs {
        Blobs { data: blobs.data.into(), ends: blobs.ends.into() }
    }
}

impl From<ColumnResult> for Column {
    fn from(ColumnResult { name, present, values }: ColumnResult) -> Column {
        let values = match values {
            ValuesResult::Text(blobs) => Values::Text(blobs.into()),
            ValuesResult::Bytes(blobs) => Values::Bytes(blobs.into()),
            ValuesResult::Json(blobs) => Values::Json(blobs.into()),
            ValuesResult::Int64(numbers) => Values::Int64(numbers.into()),
            ValuesResult::Float64(numbers) => Values::Float64(numbers.into()),
            ValuesResult::Timestamp(numbers) => Values::Timestamp(numbers.into()),
            ValuesResult::Boolean(bits) => Values::Boolean(bits.into()),
        };
        Column { name: Name(name.into_bytes().into()), present: present.map(List::from), values }
    }
}

#[cfg(test)]
mod tests;
