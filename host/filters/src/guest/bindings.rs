//! The host's side of `wit/filter.wit`. What goes in is borrowed, so that the Arrow buffers are copied once, into the
//! guest's memory; what comes out is owned, and becomes Arrow buffers as it is.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
});

/// What a plugin exports that keeps state: `wit/state.wit`.
pub mod stateful {
    wasmtime::component::bindgen!({ path: "../../wit", world: "stateful" });
}

pub use exports::flitch::filter::filter::{Changes, Fields, Rejection};
pub use flitch::filter::columns::{
    Batch, BlobsParam, BlobsResult, ColumnParam, ColumnResult, ValuesParam, ValuesResult,
};
pub use flitch::filter::host::Level;
pub use stateful::{Stateful, StatefulPre};
