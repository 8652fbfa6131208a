use std::sync::Arc;

use serde_json::json;

use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::batch::{Batch, StreamId};
use flitch_core::blocking::block_on;
use flitch_core::buffers::Buffer;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::inlet::Pass;
use flitch_core::receipt::{self, Ledger};
use flitch_core::router::{Route, Router};
use flitch_core::telemetry::Tally;
use flitch_filters::{Engine, FilterContext, FilterSettings, Program, Tables, Wasi, Workers, swap};

use super::allocator;

/// Swaps, unless `FLITCH_SWAPS` says how many: ten thousand take minutes where nothing is optimised.
const SWAPS: usize = 1000;
/// Swaps before it is looked at what the process holds.
const FIRST: usize = 100;

/// What the process holds.
#[derive(Debug)]
struct Holds {
    bytes: usize,
    mappings: usize,
    threads: usize,
    descriptors: usize,
}

impl Holds {
    fn now() -> Holds {
        let entries = |folder: &str| std::fs::read_dir(folder).unwrap().count();
        Holds {
            bytes: allocator::now(),
            mappings: std::fs::read_to_string("/proc/self/maps").unwrap().lines().count(),
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
        }
    }

    /// Whether no more is held than `before`, but for what a few threads that end or what waits for a batch may hold.
    fn is_like(&self, before: &Holds) -> bool {
        self.bytes <= before.bytes + (1 << 20)
            && self.mappings <= before.mappings + 40
            && self.threads <= before.threads + 4
            && self.descriptors <= before.descriptors + 4
    }
}

#[test]
fn thousands_of_swaps_leave_memory_threads_and_descriptors_where_they_were() {
    let _alone = allocator::alone();
    let swaps = std::env::var("FLITCH_SWAPS").ok().and_then(|text| text.parse().ok()).unwrap_or(SWAPS);
    let folder = tempfile::tempdir().unwrap();
    let cx = FilterContext {
        stock: flitch::STOCK,
        registries: Arc::default(),
        engine: Engine::new(Some(&folder.path().join("compiled")), &Arc::default()).unwrap(),
        tables: Arc::new(Tables::default()),
        dead_letters: Some(DeadLetters::open(&folder.path().join("dead")).unwrap()),
        folder: folder.path().to_owned(),
        silent: false,
    };
    let mut settings = FilterSettings::of(flitch_tests::guests::c_filter().to_str().unwrap());
    settings.wasi = Wasi::None;
    let first = Arc::new(Program::load(&[("mine", &settings)], &cx).unwrap());
    let buffer = Buffer::with_room(16 << 20);
    let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
    let workers =
        Workers::start("test", first, 2, router, &flitch_filters::States::in_memory(), &Arc::default())
            .unwrap();
    let (ledger, stream, pass) = (Arc::<Ledger>::default(), StreamId::next(), Pass::default());
    let mut before = None;
    for number in 0..swaps {
        settings.limits.answer = 8 + number as u32;
        // Some cannot be used, and some are put back by hand.
        settings.settings = if number % 10 == 3 { json!({"refuse": "why"}) } else { json!({}) };
        let running = workers.program();
        let next = swap::aside(|| {
            let beside = swap::Beside { running: &[&running], which: swap::Which::Changed, workers: 2 };
            swap::next(beside, &[("mine", &settings)], &cx)
        });
        drop(running);
        match next {
            Ok(next) => workers.swap(Arc::new(next.program)),
            Err(refused) => assert!(format!("{:#}", refused.error).contains("why"), "{refused:?}"),
        }
        if number % 10 == 7 {
            assert!(workers.generations().roll_back("mine", "somebody asked for it"));
            assert_eq!(workers.generations().look().len(), 1);
        }
        for _ in 0..4 {
            let mut builder = Builder::new();
            builder.begin_record();
            builder.key(b"message").text(b"some text");
            builder.end_record();
            let records = Arc::new(builder.finish(InvalidUtf8::Replace, &Constants::new()).records);
            let receipt = receipt::issue(&ledger, 1, 0, |_| {});
            block_on(workers.inlet().push(Batch { records, receipt, stream }, &pass)).unwrap();
        }
        for _ in 0..4 {
            block_on(buffer.lease()).unwrap().receipt.delivered();
        }
        if number == FIRST {
            before = Some(Holds::now());
        }
    }
    let before = before.unwrap();
    // Threads that were told to end do so in their own time.
    flitch_tests::wait::eventually("the end of threads", std::time::Duration::from_secs(60), || {
        Holds::now().is_like(&before)
    });
    eprintln!("{swaps} swaps: {before:?}, then {:?}", Holds::now());
    workers.finish();
}
