//! Modules of the host whose threads meet in atomics, run in every order that the processor may choose.
//!
//! The modules are those of the host, file by file, on the atomics of loom: a crate of its own, because the host and
//! all that it needs would have to be built for loom otherwise.

#![cfg(test)]

mod queue;
mod settled;
