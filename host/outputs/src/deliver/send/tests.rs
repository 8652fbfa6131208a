use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::staging::tests::{keyed, plan};
use crate::{Ledgers, Output, RetrySettings, Written, deliver};
use flitch_core::batch::template::Template;
use flitch_core::batch::{Batch, StreamId};
use flitch_core::buffers::Buffer;
use flitch_core::dead_letter::DeadLetters;
use flitch_core::receipt::{Accounts, Ledger, issue};
use flitch_core::telemetry::Health;
use flitch_core::telemetry::health::Ailment;

type Say = dyn Fn(&str) -> Result<Fate, WriteError> + Send + Sync;

/// A destination that answers by the key of an object, one at a time.
struct Doors {
    plan: Plan,
    say: Box<Say>,
    asked: Mutex<Vec<String>>,
    /// What is in the objects that it has taken.
    taken: Mutex<Vec<String>>,
}

impl Output for Doors {
    fn write<'a>(&'a self, _: &'a crate::Parcel) -> Answer<'a, Written> {
        unreachable!("it builds objects")
    }

    fn builds(&self) -> Option<Plan> {
        Some(self.plan.clone())
    }

    fn send<'a>(&'a self, object: &'a Object) -> Answer<'a, Fate> {
        Box::pin(async {
            let key = object.key().trim_end_matches('/');
            self.asked.lock().push(key.to_owned());
            let said = (self.say)(key);
            if said.is_ok() {
                self.taken.lock().push(std::fs::read_to_string(&object.path).unwrap());
            }
            said
        })
    }

    fn probe(&self) -> Answer<'_, ()> {
        unreachable!("nobody probes it")
    }
}

struct Bench {
    home: TempDir,
    output: Arc<Doors>,
    buffer: Buffer,
    ledger: Arc<Ledger>,
    health: Arc<Health>,
    stop: CancellationToken,
}

impl Bench {
    /// Each record is an object, whose key is what is in it.
    fn new(
        more: impl Fn(Plan) -> Plan,
        say: impl Fn(&str) -> Result<Fate, WriteError> + Send + Sync + 'static,
    ) -> Bench {
        let home = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::of("in"));
        let accounts = ledger.clone();
        let ledgers = Ledgers(Arc::new(move |_: &str| accounts.clone()));
        let plan = more(Plan { bytes: 1, ledgers, ..plan(&home, "{k}/") });
        let output =
            Arc::new(Doors { plan, say: Box::new(say), asked: Mutex::default(), taken: Mutex::default() });
        let (buffer, health) = (Buffer::with_room(16 << 20), Arc::default());
        Bench { home, output, buffer, ledger, health, stop: CancellationToken::new() }
    }

    async fn push(&self, keys: &[&str]) {
        for key in keys {
            let receipt = issue(&self.ledger, 1, 0, |_| {});
            let records = keyed(&[Some((*key).to_owned())]);
            self.buffer.push(Batch { records, receipt, stream: StreamId::UNORDERED }).await.unwrap();
        }
    }

    fn start(&self) -> tokio::task::JoinHandle<()> {
        let letters = DeadLetters::open(&self.home.path().join("letters")).unwrap();
        flitch_core::tasks::joined(deliver(
            "out".into(),
            self.output.clone(),
            self.buffer.clone(),
            RetrySettings::default(),
            letters,
            Ailment::of(&self.health, "output", "out"),
            self.stop.clone(),
        ))
    }

    /// Waits until the accounts are so, for no longer than this.
    async fn until(&self, limit: Duration, so: impl Fn(&Accounts) -> bool) {
        let wait = async {
            while !so(&self.ledger.read()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(limit, wait).await;
        assert!(waited.is_ok(), "{:?}, asked for {:?}", self.ledger.read(), self.output.asked.lock());
    }

    fn ailment(&self) -> Option<String> {
        self.health.ailments().remove("output out")
    }

    fn asked(&self, key: &str) -> usize {
        self.output.asked.lock().iter().filter(|asked| asked.starts_with(key)).count()
    }
}

fn barred(is_final: bool) -> WriteError {
    WriteError::Barred { reason: "no right".to_owned(), is_final }
}

const KEPT: fn(Plan) -> Plan = |plan| Plan { keeps: true, ..plan };
const STORED: fn(Plan) -> Plan = |plan| Plan { keeps: true, stored: true, ..plan };

#[tokio::test(start_paused = true)]
async fn keys_that_are_refused_hold_up_no_other_and_are_taken_when_that_is_mended() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = mended.clone();
    let bench =
        Bench::new(KEPT, move |key| match key.starts_with("bad") && !is_mended.load(Ordering::Relaxed) {
            true => Err(barred(false)),
            false => Ok(Fate::Safe),
        });
    // More of them than writes are under way, of each several objects, and all before the others.
    let bad: Vec<String> = (0..40).map(|n| format!("bad{}", n % 8)).collect();
    bench.push(&bad.iter().map(String::as_str).collect::<Vec<_>>()).await;
    bench.push(&["good1", "good2", "good3"]).await;
    let running = bench.start();
    bench.until(Duration::from_secs(5), |accounts| accounts.delivered == 3).await;
    assert_eq!(bench.asked("bad"), 8, "of each key one");
    let said = bench.ailment().unwrap();
    assert!(said.contains("is refused (no right), and 7 other keys"), "{said}");
    tokio::time::sleep(Duration::from_secs(100)).await;
    let tries = bench.asked("bad");
    assert!((8 * 4..8 * 9).contains(&tries), "{tries}");
    bench.push(&["good1"]).await;
    bench.until(Duration::from_secs(5), |accounts| accounts.delivered == 4).await;
    assert_eq!(bench.ledger.read().dead_lettered, 0);
    mended.store(true, Ordering::Relaxed);
    // The first that is taken brings all others with it.
    bench.until(Duration::from_secs(35), |accounts| accounts.delivered == 44).await;
    assert_eq!(bench.ailment(), None);
    bench.buffer.close();
    running.await.unwrap();
    assert_eq!(bench.ledger.read().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_dead_once_others_are_taken_and_not_before() {
    for (others, dead) in [(&["good"][..], 3), (&["bad2", "bad3"][..], 0)] {
        let bench = Bench::new(KEPT, |key| match key.starts_with("bad") {
            true => Err(barred(true)),
            false => Ok(Fate::Safe),
        });
        bench.push(&["bad", "bad", "bad"]).await;
        bench.push(others).await;
        let running = bench.start();
        tokio::time::sleep(Duration::from_secs(600)).await;
        let accounts = bench.ledger.read();
        assert_eq!(accounts.dead_lettered, dead, "{accounts:?}");
        assert_eq!(bench.ailment().is_none(), dead > 0);
        bench.stop.cancel();
        running.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_over_which_the_destination_fails_each_time_holds_up_no_other() {
    let bench = Bench::new(KEPT, |key| match key.starts_with("bad") {
        true => Err(WriteError::Unreachable { reason: "too slow".to_owned() }),
        false => Ok(Fate::Safe),
    });
    bench.push(&["bad", "bad", "bad2", "good1", "good2"]).await;
    let running = bench.start();
    bench.until(Duration::from_secs(60), |accounts| accounts.delivered == 2).await;
    bench.push(&["good3"]).await;
    bench.until(Duration::from_secs(60), |accounts| accounts.delivered == 3).await;
    bench.stop.cancel();
    running.await.unwrap();
    assert_eq!(bench.ledger.read().returned, 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_key_alone_makes_dead_letters_of_its_records_stored_or_not() {
    for more in [KEPT, STORED] {
        let bench = Bench::new(more, |key| match key == "long" {
            true => Ok(Fate::Refused("the key is too long".to_owned())),
            false => Ok(Fate::Safe),
        });
        bench.push(&["long", "short", "long"]).await;
        bench.buffer.close();
        bench.start().await.unwrap();
        let accounts = bench.ledger.read();
        assert_eq!(
            (accounts.delivered, accounts.dead_lettered, accounts.in_flight()),
            (1, 2, 0),
            "{accounts:?}"
        );
        let left = std::fs::read_dir(&bench.output.plan.folder).unwrap().count();
        assert_eq!(left, 0, "nothing is left below the folder");
    }
    // Of what nobody can read records from nothing is lost, and nothing waits for it.
    let bench = Bench::new(
        |plan| plan,
        |key| match key == "long" {
            true => Ok(Fate::Refused("the key is too long".to_owned())),
            false => Ok(Fate::Safe),
        },
    );
    bench.push(&["long", "short", "long"]).await;
    let running = bench.start();
    tokio::time::sleep(Duration::from_secs(100)).await;
    let accounts = bench.ledger.read();
    assert_eq!((accounts.delivered, accounts.dead_lettered, accounts.in_flight()), (1, 0, 2), "{accounts:?}");
    assert!(bench.ailment().is_some() && bench.asked("long") < 9);
    bench.stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_object_over_whose_write_the_output_panics_is_written_again_stored_or_not() {
    for more in [KEPT, STORED] {
        let panics = AtomicUsize::new(2);
        let bench = Bench::new(more, move |key| {
            let left = panics.load(Ordering::Relaxed);
            if key == "a" && left > 0 {
                panics.store(left - 1, Ordering::Relaxed);
                panic!("a bug");
            }
            Ok(Fate::Safe)
        });
        bench.push(&["a", "b"]).await;
        bench.buffer.close();
        bench.start().await.unwrap();
        let accounts = bench.ledger.read();
        assert_eq!((accounts.delivered, accounts.in_flight(), accounts.returned), (2, 0, 0), "{accounts:?}");
        assert_eq!(bench.asked("a"), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn objects_of_one_key_arrive_in_their_order_whatever_fails() {
    let asked = AtomicUsize::new(0);
    let one_key = |plan| Plan { key: Template::parse("all/_").unwrap().for_paths(), ..plan };
    let bench = Bench::new(one_key, move |_| match asked.fetch_add(1, Ordering::Relaxed) % 5 {
        0 | 2 => Err(barred(false)),
        3 => Err(WriteError::Unreachable { reason: "no route".to_owned() }),
        _ => Ok(Fate::Safe),
    });
    let values: Vec<String> = (10..40).map(|n| n.to_string()).collect();
    bench.push(&values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    bench.buffer.close();
    bench.start().await.unwrap();
    assert_eq!(bench.ledger.read().delivered, 30);
    let taken = bench.output.taken.lock().clone();
    assert!(taken.is_sorted() && taken.len() == 30, "{taken:?}");
}
