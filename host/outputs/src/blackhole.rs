//! An output that forgets: for tests and measurements.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Output, OutputContext, OutputKind, Parcel, Written};
use flitch_core::batch::encode::Encoder;

/// Takes every record and forgets it: for tests and measurements.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BlackholeSettings {
    /// Whether records are encoded before they are forgotten. Without it the bytes counted are those in memory.
    pub encode: bool,
}

/// See [`BlackholeSettings`].
#[derive(Debug)]
pub struct Blackhole {
    encode: Option<Encoder>,
}

impl OutputKind for BlackholeSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        Ok(Arc::new(Blackhole { encode: self.encode.then(|| cx.encoder.clone()) }))
    }

    fn descriptors(&self) -> u64 {
        0
    }
}

impl Output for Blackhole {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        let records = parcel.batch();
        let written = match &self.encode {
            Some(encoder) => {
                let text = encoder.encode(records);
                Written { bytes: text.text.len() as u64, ..Written::of(&text) }
            }
            None => Written { bytes: records.memory() as u64, ..Written::default() },
        };
        Box::pin(std::future::ready(Ok(written)))
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{Specimen, Subject, WriteBatch, context, numbered};
    use super::*;

    impl Specimen for BlackholeSettings {
        async fn subject(_: usize, cx: &OutputContext) -> Subject {
            let output = BlackholeSettings::default().open(cx).unwrap();
            Subject { output, read: None, by_field: None, cut: None }
        }
    }

    #[tokio::test]
    async fn it_counts_what_it_would_have_written() {
        let records = numbered(0, 10);
        let output = BlackholeSettings { encode: true }.open(&context()).unwrap();
        assert_eq!(output.write_batch(&records).await.unwrap().bytes, records.ndjson().text.len() as u64);
    }
}
