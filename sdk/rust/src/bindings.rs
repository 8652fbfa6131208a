//! What `wit-bindgen` makes of the contract in `wit/filter.wit`.
//!
//! The types are re-exported at the root of the crate, with methods of their own; a filter has
//! no use for this module.
#![allow(missing_docs, clippy::all)]

wit_bindgen::generate!({
    path: "wit",
    world: "plugin",
    pub_export_macro: true,
    export_macro_name: "__export_component",
    default_bindings_module: "flitch_sdk::bindings",
});

/// What a filter that keeps state exports besides: `wit/state.wit`.
pub mod stateful {
    wit_bindgen::generate!({
        path: "wit",
        world: "stateful",
        pub_export_macro: true,
        export_macro_name: "__export_state",
        default_bindings_module: "flitch_sdk::bindings::stateful",
    });
}
