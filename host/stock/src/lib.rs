//! The stock filters as components. Only the binary has them in it: no other crate of the host is built again when a
//! plugin or the SDK changes.

include!(concat!(env!("OUT_DIR"), "/stock_plugins.rs"));
