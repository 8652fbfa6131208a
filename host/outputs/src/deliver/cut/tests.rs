use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::contract::numbered;
use crate::staging::Object;
use crate::staging::tests::plan;
use crate::{Answer, Fate, Output, RetrySettings, WriteError, Written, deliver};
use flitch_core::batch::{Batch, StreamId};
use flitch_core::buffers::{Buffer, Progress};
use flitch_core::dead_letter::DeadLetters;
use flitch_core::receipt::{Accounts, Ledger, issue};

/// A destination that refuses what has these bytes in it, ten seconds after it was asked.
struct Picky {
    plan: Plan,
    refuses: &'static str,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    most_files: AtomicUsize,
    begun: Mutex<Vec<Instant>>,
    done: Mutex<Vec<(String, u64)>>,
}

impl Picky {
    fn new(home: &TempDir, refuses: &'static str, key: &str) -> Arc<Picky> {
        Arc::new(Picky {
            plan: Plan { keeps: true, ..plan(home, key) },
            refuses,
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            most_files: AtomicUsize::new(0),
            begun: Mutex::default(),
            done: Mutex::default(),
        })
    }

    async fn take(&self, object: &Object) -> Result<Fate, WriteError> {
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_under_way.fetch_max(now, Ordering::Relaxed);
        let folder = object.path.parent().unwrap();
        self.most_files.fetch_max(std::fs::read_dir(folder).unwrap().count(), Ordering::Relaxed);
        self.begun.lock().push(Instant::now());
        tokio::time::sleep(Duration::from_secs(10)).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let text = std::fs::read_to_string(&object.path).unwrap();
        self.done.lock().push((object.name.clone(), object.rows));
        match text.contains(self.refuses) {
            true => Ok(Fate::Poisoned("not this".to_owned())),
            false => Ok(Fate::Safe),
        }
    }
}

impl Output for Picky {
    fn write<'a>(&'a self, _: &'a crate::Parcel) -> Answer<'a, Written> {
        unreachable!("it builds objects")
    }

    fn builds(&self) -> Option<Plan> {
        Some(self.plan.clone())
    }

    fn send<'a>(&'a self, object: &'a Object) -> Answer<'a, Fate> {
        Box::pin(self.take(object))
    }

    fn concurrency(&self) -> usize {
        64
    }

    fn probe(&self) -> Answer<'_, ()> {
        unreachable!("nobody probes it")
    }
}

/// Delivers records with the numbers below `count`.
async fn delivered(home: &TempDir, output: Arc<Picky>, count: i64) -> Accounts {
    let (buffer, ledger) = (Buffer::with_room(64 << 20), Arc::<Ledger>::default());
    for from in (0..count).step_by(100) {
        let records = numbered(from, 100);
        let receipt = issue(&ledger, records.rows(), 0, |_| {});
        buffer.push(Batch { records, receipt, stream: StreamId::UNORDERED }).await.unwrap();
    }
    buffer.close();
    let letters = DeadLetters::open(&home.path().join("letters")).unwrap();
    deliver(
        "out".into(),
        output,
        buffer,
        RetrySettings::default(),
        letters,
        flitch_core::telemetry::health::Ailment::unheard(),
        CancellationToken::new(),
    )
    .await;
    ledger.read()
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_takes_nothing_is_shown_so_many_parts_at_once_and_in_a_second() {
    let home = tempfile::tempdir().unwrap();
    let output = Picky::new(&home, "line", "a-");
    let accounts = delivered(&home, output.clone(), 2000).await;
    assert_eq!((accounts.dead_lettered, accounts.in_flight()), (2000, 0));
    let alone = output.done.lock().iter().filter(|(_, rows)| *rows == 1).count();
    assert_eq!(alone, 2000, "each was refused by itself");
    assert_eq!(output.most_under_way.load(Ordering::Relaxed), PARTS);
    // Of those that are under way each has been cut three times at the most.
    let most = output.most_files.load(Ordering::Relaxed);
    assert!(most <= PARTS * 3 * 16, "{most}");
    let begun = output.begun.lock().clone();
    let shortest = begun.windows(201).map(|begun| begun[200] - begun[0]).min();
    assert!(shortest.unwrap() >= PACE * 199, "{shortest:?}");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_cut_holds_up_no_other() {
    let home = tempfile::tempdir().unwrap();
    // A record that is refused in each of some objects, and none in the others.
    let output = Picky::new(&home, "<line 1", "{n}-");
    let accounts = delivered(&home, output.clone(), 100).await;
    assert_eq!((accounts.delivered, accounts.dead_lettered), (89, 11));
    let one = Picky::new(&home, "<line 7,", "a-");
    let accounts = delivered(&home, one.clone(), 1000).await;
    assert_eq!((accounts.delivered, accounts.dead_lettered), (999, 1));
    // 1,000 rows, 16 parts of them, of one 16, of one 4.
    assert_eq!(one.done.lock().len(), 1 + 16 + 16 + 4);
}

#[tokio::test(start_paused = true)]
async fn it_is_told_that_an_object_is_built_until_it_has_arrived() {
    let home = tempfile::tempdir().unwrap();
    let (buffer, ledger) = (Buffer::with_room(64 << 20), Arc::<Ledger>::default());
    let records = numbered(0, 100);
    let receipt = issue(&ledger, records.rows(), 0, |_| {});
    buffer.push(Batch { records, receipt, stream: StreamId::UNORDERED }).await.unwrap();
    let delivery = deliver(
        "out".into(),
        Picky::new(&home, "nothing", "k"),
        buffer.clone(),
        RetrySettings::default(),
        DeadLetters::open(&home.path().join("letters")).unwrap(),
        flitch_core::telemetry::health::Ailment::unheard(),
        CancellationToken::new(),
    );
    let watching = async {
        // The oldest record is a minute old before its object is closed, and ten seconds are spent on the way.
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(
            buffer.progress(),
            Progress { gathers: true, writes: false, turns: 1 },
            "`begin` is a turn"
        );
        tokio::time::sleep(Duration::from_secs(35)).await;
        assert_eq!(ledger.read().in_flight(), 100, "it is under way");
        assert!(buffer.progress().gathers);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!((ledger.read().in_flight(), buffer.progress().gathers), (0, false));
        buffer.close();
    };
    tokio::join!(delivery, watching);
}
