//! The servers and guests that the other tests stand on, tested by themselves.

mod docker;
mod folder;
mod guests;
mod kafka;
mod nginx;
