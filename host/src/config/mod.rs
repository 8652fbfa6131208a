//! The configuration file.

pub mod units;
