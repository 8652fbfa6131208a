//! Write filters for flitch.
//!
//! A filter is a WebAssembly component. It sees batches of records as columns, and answers what
//! is to change. This crate makes that ten lines: a [`RecordFilter`] sees one record at a time,
//! a [`ColumnFilter`] whole columns, and [`export!`] makes either a component.
//!
//! ```
//! use flitch_sdk::{Record, RecordFilter, Result};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     field: String,
//! }
//!
//! struct Shout(Settings);
//!
//! impl RecordFilter for Shout {
//!     type Settings = Settings;
//!
//!     fn new(settings: Settings) -> Result<Self> {
//!         Ok(Self(settings))
//!     }
//!
//!     fn apply(&mut self, record: &mut Record<'_>) -> Result<()> {
//!         let loud = record.need_text(&self.0.field)?.to_uppercase();
//!         record.set(&self.0.field, &loud);
//!         Ok(())
//!     }
//! }
//!
//! flitch_sdk::export!(Shout);
//! # fn main() {}
//! ```
//!
//! The crate's README is the tutorial.

/// The tutorial's examples are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Tutorial;

#[cfg(any(test, all(target_family = "wasm", feature = "allocator")))]
mod allocator;
mod batch;
#[doc(hidden)]
pub mod bindings;
pub mod bitmap;
mod builders;
mod changes;
mod columns;
mod copy;
mod dynamic;
mod error;
mod filter;
pub mod host;
pub mod json;
pub mod parse;
pub mod path;
mod record;
pub mod rewrite;
#[doc(hidden)]
pub mod runtime;
pub mod scan;
mod settings;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod time;
#[cfg(feature = "zones")]
pub mod zone;

#[cfg(all(target_family = "wasm", feature = "allocator"))]
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator::new();

pub use bindings::exports::flitch::filter::filter::{Changes, Fields, Rejection, Removal};
pub use bindings::flitch::filter::columns::{Batch, Blobs, Column, Values};
pub use builders::{
    BlobBuilder, BlobKind, BooleanBuilder, BytesBuilder, BytesKind, Float64Builder, Float64Kind,
    Int64Builder, Int64Kind, JsonBuilder, JsonKind, NumberBuilder, NumberKind, TextBuilder, TextKind,
    TimestampBuilder, TimestampKind,
};
pub use columns::{BooleanColumn, BytesColumn, NumberColumn, TextColumn, Value, View};
pub use dynamic::{AnyColumn, ColumnSet};
pub use error::{Error, Result};
pub use filter::{ByColumn, ByRecord, ColumnFilter, Configure, Engine, RecordFilter, Stateful};
pub use record::Record;

/// Makes a [`RecordFilter`] or a [`ColumnFilter`] the filter of this component.
///
/// Stands once in a crate, whose `crate-type` is `["cdylib"]`: beside an `rlib` cargo leaves link-time optimisation out, and does
/// not say so. `export!(Mine, state)` has the host keep what a filter that is [`Stateful`] remembers.
#[macro_export]
macro_rules! export {
    ($filter:ty, state) => {
        $crate::export!($filter);

        const _: fn() = || $crate::runtime::is_stateful::<$filter>();

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;
            impl $crate::bindings::stateful::exports::flitch::filter::state::Guest for Export {
                fn save() -> ::std::vec::Vec<u8> {
                    $crate::runtime::save::<$filter>()
                }

                fn restore(saved: ::std::vec::Vec<u8>) -> ::std::result::Result<(), ::std::string::String> {
                    ::std::result::Result::map_err(
                        $crate::runtime::restore::<$filter>(&saved),
                        ::std::convert::Into::into,
                    )
                }
            }
            $crate::bindings::stateful::__export_state!(
                Export with_types_in $crate::bindings::stateful
            );
        };
    };
    ($filter:ty) => {
        const _: fn() = || $crate::runtime::is_a_filter::<$filter, _>();

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;
            impl $crate::bindings::exports::flitch::filter::filter::Guest for Export {
                fn configure(
                    settings: ::std::string::String,
                ) -> ::std::result::Result<$crate::Fields, ::std::string::String> {
                    ::std::result::Result::map_err(
                        $crate::runtime::configure::<$filter, _>(&settings),
                        ::std::convert::Into::into,
                    )
                }

                fn apply(
                    batch: $crate::Batch,
                ) -> ::std::result::Result<$crate::Changes, ::std::string::String> {
                    ::std::result::Result::map_err($crate::runtime::apply(&batch), ::std::convert::Into::into)
                }
            }
    $crate::bindings::__export_component!(Export with_types_in $crate::bindings);
        };
    };
}
