//! Strangers who mean harm, each beside a client that behaves: see [`flitch_tests::attack`].

mod filters;
mod forward;
mod http;
