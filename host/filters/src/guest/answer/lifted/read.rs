//! Reads the columns of an answer off a guest's memory, by the canonical ABI of the component model.
//!
//! The engine would do it too, with a copy of each list and each name by itself, and for a batch of one row that is a third
//! of all that it costs. So this relies on parts of the engine that it documents for nobody but what its own derive
//! macros write, and on the version of it that `Cargo.toml` pins.

use arrow_buffer::MutableBuffer;
use wasmtime::component::__internal::wasmtime_environ::component::StringEncoding;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext};
use wasmtime::component::{ComponentType, Lift};

use super::{Blobs, Column, Columns, Ends, List, Name, SHARED, Values};
use crate::guest::bindings::ColumnResult;

/// How the contract's `column` lies in a guest's memory, by the canonical ABI: addresses, lengths and ends have four bytes
/// each, and so has what says which case it is, with what is left free behind it.
const COLUMN: usize = 40;
const PRESENT: usize = 8;
const VALUES: usize = 20;

/// Reads numbers off one column.
struct Raw<'a>(&'a [u8]);

/// Where short lists are copied to.
type To<'a> = &'a mut MutableBuffer;

impl Raw<'_> {
    fn number(&self, at: usize) -> u32 {
        let bytes: Option<&[u8; 4]> = self.0.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes))
    }

    fn case(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(u8::MAX)
    }

    /// The list whose address and length stand at `at`.
    fn list<'a, T>(&self, at: usize, cx: &mut LiftContext<'a>) -> wasmtime::Result<(&'a [u8], usize)> {
        bytes_of::<T>(cx, self.number(at), self.number(at + 4))
    }

    fn numbers<T>(&self, at: usize, cx: &mut LiftContext<'_>, to: To<'_>) -> wasmtime::Result<List<T>> {
        let (bytes, len) = self.list::<T>(at, cx)?;
        Ok(List::copy(&[], bytes, len, to))
    }

    fn name(&self, cx: &mut LiftContext<'_>, to: To<'_>) -> wasmtime::Result<Name> {
        if cx.options().string_encoding == StringEncoding::Utf8 {
            return self.numbers(0, cx, to).map(Name);
        }
        let name = String::linear_lift_from_memory(cx, InterfaceType::String, &self.0[..PRESENT])?;
        Ok(Name(List::copy(&[], name.as_bytes(), name.len(), to)))
    }

    fn blobs(&self, cx: &mut LiftContext<'_>, to: To<'_>) -> wasmtime::Result<Blobs> {
        let data = self.numbers(VALUES + 4, cx, to)?;
        let (bytes, len) = self.list::<u32>(VALUES + 12, cx)?;
        Ok(Blobs { data, ends: Ends(List::copy(&0u32.to_ne_bytes(), bytes, len + 1, to)) })
    }

    fn column(&self, cx: &mut LiftContext<'_>, to: To<'_>) -> wasmtime::Result<Column> {
        let name = self.name(cx, to)?;
        let present = match self.case(PRESENT) {
            0 => None,
            1 => Some(self.numbers(PRESENT + 4, cx, to)?),
            _ => wasmtime::bail!("invalid option discriminant"),
        };
        let values = match self.case(VALUES) {
            0 => Values::Text(self.blobs(cx, to)?),
            1 => Values::Bytes(self.blobs(cx, to)?),
            2 => Values::Int64(self.numbers(VALUES + 4, cx, to)?),
            3 => Values::Float64(self.numbers(VALUES + 4, cx, to)?),
            4 => Values::Boolean(self.numbers(VALUES + 4, cx, to)?),
            5 => Values::Timestamp(self.numbers(VALUES + 4, cx, to)?),
            6 => Values::Json(self.blobs(cx, to)?),
            _ => wasmtime::bail!("unexpected discriminant of a column's values"),
        };
        Ok(Column { name, present, values })
    }
}

/// The bytes of a list of `T` in the guest's memory, and how many it has.
fn bytes_of<'a, T>(cx: &mut LiftContext<'a>, at: u32, len: u32) -> wasmtime::Result<(&'a [u8], usize)> {
    cx.consume_fuel_array(len as usize, size_of::<T>())?;
    bytes_at(cx, (at as usize, align_of::<T>()), (len as usize, size_of::<T>()))
}

fn bytes_at<'a>(
    cx: &LiftContext<'a>,
    (at, align): (usize, usize),
    (len, size): (usize, usize),
) -> wasmtime::Result<(&'a [u8], usize)> {
    let bytes = || cx.memory().get(at..)?.get(..len.checked_mul(size)?);
    let Some(bytes) = bytes() else {
        wasmtime::bail!("list pointer/length out of bounds of memory");
    };
    if at % align != 0 {
        wasmtime::bail!("list pointer is not aligned");
    }
    Ok((bytes, len))
}

impl Columns {
    fn lift(cx: &mut LiftContext<'_>, at: u32, len: u32) -> wasmtime::Result<Columns> {
        // What it takes here, which is more.
        cx.consume_fuel_array(len as usize, size_of::<Column>())?;
        let (bytes, len) = bytes_at(cx, (at as usize, align_of::<u32>()), (len as usize, COLUMN))?;
        let mut columns = Vec::with_capacity(len);
        SHARED.with_borrow_mut(|shared| {
            for column in bytes.chunks_exact(COLUMN) {
                columns.push(Raw(column).column(cx, shared)?);
            }
            Ok(Columns(columns))
        })
    }
}

// SAFETY: it says of itself what the engine says of a list of the contract's columns, and is checked as that.
unsafe impl ComponentType for Columns {
    type Lower = <[ColumnResult] as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <[ColumnResult] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        const { assert!(<ColumnResult as ComponentType>::SIZE32 == COLUMN) };
        <[ColumnResult] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: all that is read is within the guest's memory, and any bytes are numbers. They are little-endian there, as they are in
// Arrow's buffers on the hosts that there are.
unsafe impl Lift for Columns {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        _: InterfaceType,
        [at, len]: &Self::Lower,
    ) -> wasmtime::Result<Self> {
        Columns::lift(cx, at.get_u32(), len.get_u32())
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        _: InterfaceType,
        bytes: &[u8],
    ) -> wasmtime::Result<Self> {
        let list = Raw(bytes);
        Columns::lift(cx, list.number(0), list.number(4))
    }
}
