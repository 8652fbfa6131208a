//! The stock filters as components, and the SDKs as what `flitch plugin new` writes. Only the binary has them in it: no other crate
//! of the host is built again when a plugin or the SDK changes.

include!(concat!(env!("OUT_DIR"), "/stock_plugins.rs"));
include!(concat!(env!("OUT_DIR"), "/sdks.rs"));
