use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;
use flitch_core::batch::{Batch, Records, StreamId};
use flitch_core::receipt::{self, Ledger};
use flitch_core::telemetry::Part;

#[test]
fn a_part_that_is_down_is_a_reason_not_to_be_ready() {
    let board = StatusBoard::default();
    assert_eq!(board.not_ready().unwrap(), "starting, or draining");
    board.set_ready(true);
    assert_eq!(board.not_ready(), None);
    let part = Part::new(board.health(), "source", "in");
    part.down("the port is in use", Duration::from_secs(1));
    assert_eq!(board.not_ready().unwrap(), "source in: the port is in use");
    let status = board.read();
    assert!(!status.ready && status.failures["source in"].down);
    part.up();
    assert_eq!(board.not_ready(), None);
    assert_eq!(board.read().failures["source in"].count, 1);
}

#[test]
fn what_is_shown_of_a_buffer_is_gone_with_it() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let board = StatusBoard::default();
        let buffer = Buffer::with_room(1_000);
        let ledger = Arc::new(Ledger::of("in"));
        let receipt = receipt::issue(&ledger, 2, 10, |_| {});
        let records = Arc::new(Records::of(2, vec![], vec![]).unwrap());
        buffer.try_push(Batch { records, receipt, stream: StreamId::next() }).unwrap().unwrap();
        let shown = |line: &str| {
            board.refresh_gauges();
            flitch_core::telemetry::show();
            let shown = handle.render();
            assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
        };
        board.state.lock().buffers.insert("shown".into(), buffer);
        shown("flitch_buffer_records{output=\"shown\"} 2");
        board.state.lock().buffers.clear();
        // The exporter leaves out what is no number.
        shown("flitch_buffer_records{output=\"shown\"} NaN");
    });
}
