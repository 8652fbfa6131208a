use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use flitch_core::batch::Cut;
use flitch_core::buffers::Buffer;
use flitch_core::clock::Clock;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::inlet::Intake;
use flitch_core::receipt::Ledger;
use flitch_core::router::{Route, Router};
use flitch_core::tasks;
use flitch_core::telemetry::Tally;
use flitch_filters::{Program, States, Workers};
use flitch_sources::{Running, SourceContext};
use flitch_tests::ports;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// A source whose records are delivered as they come.
pub struct Rig {
    pub address: SocketAddr,
    _runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// Starts a source on an address of its own.
    pub fn start<F>(start: impl FnOnce(SocketAddr, SourceContext) -> F) -> Rig
    where
        F: Future<Output = anyhow::Result<Running>>,
    {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let buffer = Buffer::with_room(16 << 20);
        let router = Arc::new(Router::new(vec![Route::to(buffer.clone())], Tally::noop()));
        let workers = Workers::start(
            "test",
            Arc::new(Program::default()),
            0,
            router,
            &States::in_memory(),
            &Arc::default(),
        )
        .unwrap();
        let stop = CancellationToken::new();
        let cx = SourceContext {
            name: "in".into(),
            intake: Intake::new(Arc::new(Ledger::default()), vec![workers.inlet().clone()], stop.clone()),
            joiner: None,
            cut: Cut::default(),
            state_dir: folder.path().join("state"),
            dead_letters: DeadLetters::open(&folder.path().join("dead")).unwrap(),
            health: Arc::default(),
            clock: Clock::system(),
            stop,
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let running = runtime.block_on(start(address, cx)).unwrap();
        let inside = runtime.enter();
        tasks::client(async move { running.await.unwrap() });
        tasks::client(async move {
            while let Some(batch) = buffer.lease().await {
                // What an output does: the records as text, once for a batch.
                drop(batch.records.ndjson());
                batch.receipt.delivered();
            }
        });
        drop(inside);
        Rig { address, _runtime: runtime, _folder: folder }
    }
}
