//! An output that forgets: for tests and measurements.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Output, Written};
use crate::batch::Records;

/// Takes every record and forgets it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BlackholeSettings {
    /// Whether records are encoded before they are forgotten. Without it the bytes counted are those in memory.
    pub encode: bool,
}

/// See [`BlackholeSettings`].
#[derive(Debug)]
pub struct Blackhole {
    encode: bool,
}

/// Opens a blackhole.
pub fn open(settings: &BlackholeSettings) -> Blackhole {
    Blackhole { encode: settings.encode }
}

impl Output for Blackhole {
    fn write<'a>(&'a self, records: &'a Arc<Records>) -> Answer<'a, Written> {
        let bytes = if self.encode { records.ndjson().text.len() } else { records.memory() };
        Box::pin(std::future::ready(Ok(Written { bytes: bytes as u64, ..Written::default() })))
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
