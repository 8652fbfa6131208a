use std::sync::Arc;

use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::encode::{Encoder, Encoding, Framing};
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Batch, StreamId, TAG, TIMESTAMP};
use flitch_core::buffers::Buffer;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::receipt::{Ledger, issue};
use flitch_outputs::{Answer, Output, Parcel, RetrySettings, Written, deliver};
use tokio_util::sync::CancellationToken;

use super::allocator::{alone, count};

const BATCHES: usize = 1000;

/// A batch of a hundred records.
fn batch(ledger: &Arc<Ledger>) -> Batch {
    const ROWS: usize = 100;
    let mut builder = Builder::new();
    for row in 0..ROWS {
        builder.begin_record();
        builder.key(b"n").int(row as i64);
        builder.key(b"message").text(b"GET / HTTP/1.1");
        builder.end_record();
    }
    let constants = Constants::new().timestamp(TIMESTAMP, 1_700_000_000_000_000_000).text(TAG, "web");
    let records = Arc::new(builder.finish(InvalidUtf8::Replace, &constants).records);
    Batch { records, receipt: issue(ledger, ROWS, ROWS, |_| {}), stream: StreamId::UNORDERED }
}

/// An output that takes everything, in this form if it is told one.
struct Nowhere(Option<Encoder>);

impl Output for Nowhere {
    fn write<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Written> {
        if let Some(encoder) = &self.0 {
            encoder.encode(parcel.batch());
        }
        Box::pin(std::future::ready(Ok(Written::default())))
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Allocations of each batch on its way from the buffer through the delivery loop to an output.
fn on_the_way(output: Nowhere) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (buffer, ledger) = (Buffer::with_room(1 << 30), Arc::new(Ledger::of("in")));
    for _ in 0..BATCHES {
        buffer.try_push(batch(&ledger)).unwrap().unwrap();
    }
    buffer.close();
    let letters = DeadLetters::open(folder.path()).unwrap();
    let (policy, stop) = (RetrySettings::default(), CancellationToken::new());
    let delivery = deliver(
        "out".into(),
        Arc::new(output),
        buffer,
        policy,
        letters,
        flitch_core::telemetry::health::Ailment::unheard(),
        stop,
    );
    let allocations = count(|| runtime.block_on(delivery));
    assert_eq!(ledger.read().delivered, ledger.read().received);
    allocations / BATCHES
}

#[test]
fn a_batch_by_itself_costs_three_allocations_on_its_way_to_an_output_and_its_text_what_json_costs() {
    let _alone = alone();
    // The future that carries it, its list of pieces, and the answer of the output.
    let alone = on_the_way(Nowhere(None));
    assert!(alone <= 3, "{alone}");
    let encoder = Encoder::new(Encoding::default(), Framing::Lines).unwrap();
    let records = batch(&Arc::new(Ledger::of("in"))).records;
    let text = count(|| drop(records.ndjson()));
    let with_text = on_the_way(Nowhere(Some(encoder)));
    assert!(with_text <= alone + text, "{with_text} with a text that costs {text}");
}
