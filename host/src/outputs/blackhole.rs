//! An output that forgets: for tests and measurements.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Output, Written};
use crate::batch::Records;
use crate::batch::encode::Encoding;

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
    encode: Option<Encoding>,
}

/// Opens a blackhole.
pub fn open(settings: &BlackholeSettings, encoding: &Encoding) -> Blackhole {
    Blackhole { encode: settings.encode.then(|| encoding.clone()) }
}

impl Output for Blackhole {
    fn write<'a>(&'a self, records: &'a Arc<Records>) -> Answer<'a, Written> {
        let bytes = match &self.encode {
            Some(encoding) => records.ndjson_with(encoding).text.len(),
            None => records.memory(),
        };
        Box::pin(std::future::ready(Ok(Written { bytes: bytes as u64, ..Written::default() })))
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{self, Subject};
    use super::*;

    #[tokio::test]
    async fn it_keeps_the_contract_of_outputs() {
        contract::check(|| async {
            let output = open(&BlackholeSettings::default(), &Encoding::default());
            Subject { output: Arc::new(output), newline: true, read: None, by_field: None, cut: None }
        })
        .await;
    }

    #[tokio::test]
    async fn it_counts_what_it_would_have_written() {
        let records = contract::numbered(0, 10);
        let output = open(&BlackholeSettings { encode: true }, &Encoding::default());
        assert_eq!(output.write(&records).await.unwrap().bytes, records.ndjson().text.len() as u64);
    }
}
