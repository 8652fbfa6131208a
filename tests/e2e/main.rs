//! End-to-end tests: the daemon as a process, between real servers.

mod harness;
