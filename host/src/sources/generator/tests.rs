use super::*;
use crate::sources::testing::context;

fn settings(format: GeneratorFormat, count: u64) -> GeneratorSettings {
    GeneratorSettings { format, tag: None, seed: 1, count: Some(count), rate: None }
}

#[tokio::test]
async fn it_makes_as_many_records_as_asked_and_ends_when_they_are_settled() {
    for format in [GeneratorFormat::Nginx, GeneratorFormat::Docker, GeneratorFormat::WebEvents] {
        let (cx, buffer, _folder) = context("made");
        let (stop, ledger) = (cx.stop.clone(), cx.intake.ledger().clone());
        let running = crate::tasks::joined(start(settings(format, 2500), cx).await.unwrap());
        let mut rows = 0;
        while rows < 2500 {
            let batch = buffer.pop().await.unwrap();
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
    let running = crate::tasks::joined(start(settings(GeneratorFormat::Nginx, 10), cx).await.unwrap());
    let lost = buffer.pop().await.unwrap();
    let first = lost.records.ndjson().text.clone();
    drop(lost);
    let again = buffer.pop().await.unwrap();
    assert_eq!(again.records.ndjson().text, first);
    again.receipt.delivered();
    stop.cancel();
    running.await.unwrap().unwrap();
}
