use std::net::TcpListener;
use std::sync::Arc;

use super::*;

#[tokio::test]
async fn a_source_that_is_left_holds_nothing_any_more_that_the_next_one_needs() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let task = flitch_core::tasks::joined(async move {
        let _held = held;
        std::future::pending().await
    });
    let stop = CancellationToken::new();
    let intake = Intake::new(Arc::default(), Vec::new(), stop.clone());
    let mut source = Source { intake, stop, task };
    tokio::task::yield_now().await;
    assert!(!source.ended("in", Instant::now()).await);
    TcpListener::bind(address).unwrap();
}
