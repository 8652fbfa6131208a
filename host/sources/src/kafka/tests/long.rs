//! Messages of very many lines.

use super::*;
use flitch_core::inlet::Intake;
use flitch_core::testing::pipeline;

/// Only what is gathered at a time is handed on: a source that stops leaves the rest of the message where it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_no_more_lines_of_a_message_than_the_pipelines_hold() {
    const LINES: usize = 20_000;
    topic("endless", 1);
    write("endless", 0, &[&b"\n".repeat(LINES)]);
    let settings = settings(&["endless"], "endless");
    let (mut cx, _, _folder) = context("in");
    let (inlet, buffer) = pipeline(4096);
    cx.cut = Cut { rows: 10, ..Cut::default() };
    cx.intake = Intake::new(Arc::new(Ledger::default()), vec![inlet], cx.stop.clone());
    let stop = cx.stop.clone();
    let mut task = tasks::joined(SourceKind::start(&settings, cx).await.unwrap());
    let first = timeout(LONG, buffer.lease()).await.expect("a batch in time").unwrap();
    stop.cancel();
    let mut rows = first.records.rows();
    first.receipt.delivered();
    loop {
        tokio::select! {
            batch = buffer.lease() => {
                let batch = batch.unwrap();
                rows += batch.records.rows();
                batch.receipt.delivered();
            }
            end = timeout(LONG, &mut task) => {
                end.expect("it ends").unwrap().unwrap();
                break;
            }
        }
    }
    assert!(rows < LINES, "all of it");
    // None of it is safe before all of it is.
    assert!(committed("endless", "endless", 0).is_none_or(|offset| offset == 0));
    let source = Running::start(&settings).await;
    assert_eq!(source.texts(LINES).await.len(), LINES);
    source.end().await;
    assert_eq!(committed("endless", "endless", 0), Some(1));
}
