use std::path::Path;

use super::*;
use crate::contract::{RECORDS, Specimen};
use crate::testing::context;

fn settings(format: GeneratorFormat, count: u64) -> GeneratorSettings {
    GeneratorSettings { format, tag: None, seed: 1, count: Some(count), rate: None }
}

#[tokio::test]
async fn it_makes_as_many_records_as_asked_and_ends_when_they_are_settled() {
    for format in [GeneratorFormat::Nginx, GeneratorFormat::Docker, GeneratorFormat::WebEvents] {
        let (cx, buffer, _folder) = context("made");
        let (stop, ledger) = (cx.stop.clone(), cx.intake.ledger().clone());
        let running = flitch_core::tasks::joined(settings(format, 2500).start(cx).await.unwrap());
        let mut rows = 0;
        while rows < 2500 {
            let batch = buffer.lease().await.unwrap();
            rows += batch.records.rows();
            batch.receipt.delivered();
        }
        stop.cancel();
        running.await.unwrap().unwrap();
        assert_eq!(ledger.read().delivered, 2500);
        assert_eq!(ledger.read().in_flight(), 0);
    }
}

#[tokio::test]
async fn what_is_not_settled_is_made_again_and_is_the_same() {
    let (cx, buffer, _folder) = context("made");
    let stop = cx.stop.clone();
    let running = flitch_core::tasks::joined(settings(GeneratorFormat::Nginx, 10).start(cx).await.unwrap());
    let lost = buffer.lease().await.unwrap();
    let first = lost.records.ndjson().text.clone();
    drop(lost);
    let again = buffer.lease().await.unwrap();
    assert_eq!(again.records.ndjson().text, first);
    again.receipt.delivered();
    stop.cancel();
    running.await.unwrap().unwrap();
}

impl Specimen for GeneratorSettings {
    const SENDS_AGAIN: bool = true;

    fn specimen(_: &Path) -> GeneratorSettings {
        settings(GeneratorFormat::Nginx, RECORDS as u64)
    }

    async fn feed(&self, _: &Path) -> Vec<String> {
        let line = |number: u64| {
            let mut line = Vec::new();
            samples::nginx(self.seed, number, &mut line);
            String::from_utf8(line).unwrap()
        };
        (0..RECORDS as u64).map(line).collect()
    }
}
