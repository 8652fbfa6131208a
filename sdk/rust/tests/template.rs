//! The template is a crate of its own; here it is compiled, and its tests run, with the SDK's.

#[path = "../template/src/lib.rs"]
#[allow(missing_docs)]
mod template;
