use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::telemetry::health::Health;

#[test]
fn what_a_thread_does_is_begun_again_after_a_panic_and_the_board_shows_it() {
    let health = Arc::<Health>::default();
    let part = Part::new(&health, "clock", "wasm");
    let (mut runs, mut pauses) = (0, Vec::new());
    let rest = |pause: Duration| {
        assert_eq!(health.down(), ["clock wasm: it panicked; the log says where"]);
        pauses.push(pause.as_secs());
        true
    };
    keep(&part, rest, || {
        runs += 1;
        assert!(runs > 3, "not yet");
    });
    assert_eq!((runs, pauses), (4, vec![1, 2, 4]));
    assert!(health.down().is_empty());
    assert_eq!(health.failures()["clock wasm"].count, 3);
}

#[test]
fn a_thread_that_nobody_needs_any_more_is_given_up_while_it_pauses() {
    let health = Arc::<Health>::default();
    let (need, needed) = crossbeam_channel::bounded(0);
    let thread = kept_thread(Part::new(&health, "compress", "out"), needed, || panic!("for ever")).unwrap();
    drop(need);
    thread.join().unwrap();
    assert_eq!(health.failures()["compress out"].count, 1);
    assert!(health.down().is_empty(), "what is gone for good is missed by nobody");
}

#[tokio::test(start_paused = true)]
async fn work_that_panics_is_done_after_a_pause_and_the_board_shows_it() {
    let health = Arc::<Health>::default();
    let runs = Arc::new(AtomicU32::new(0));
    let (part, counted) = (Arc::new(Part::new(&health, "sync", "out")), runs.clone());
    kept_work(part.clone(), Duration::from_secs(5), move || {
        assert!(counted.fetch_add(1, Ordering::Relaxed) > 1, "not yet");
    });
    let down = |expected| {
        let health = health.clone();
        async move {
            while health.down().is_empty() == expected {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    down(true).await;
    assert_eq!(health.down(), ["sync out: it panicked; the log says where"]);
    down(false).await;
    assert_eq!((runs.load(Ordering::Relaxed), health.failures()["sync out"].count), (3, 2));
}

#[test]
fn threads_that_are_to_be_had_are_let_go_again() {
    are_to_be_had(3).unwrap();
    are_to_be_had(0).unwrap();
}

#[test]
fn what_is_done_on_a_thread_of_its_own_answers_and_a_panic_of_it_is_told() {
    assert_eq!(apart(|| 7).unwrap().unwrap(), 7);
    assert!(apart(|| panic!("of its own")).unwrap().is_err());
}

#[tokio::test]
async fn work_that_blocks_is_done_beside_or_here_and_a_panic_of_it_is_told() {
    let panics = || -> u32 { panic!("of its own") };
    assert_eq!((blocking(|| 7).await.unwrap(), aside(|| 7).await.unwrap()), (7, 7));
    assert!(has_thread().is_ok());
    let no_thread = NoThread(io::ErrorKind::WouldBlock.into());
    assert_eq!(here(&no_thread, || 7).unwrap(), 7);
    for undone in [blocking(panics).await, aside(panics).await, here(&no_thread, panics)] {
        assert_eq!(undone.unwrap_err().to_string(), "it panicked; the log says where");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn work_that_takes_long_is_done_in_its_place() {
    assert_eq!(joined(async { in_place(|| 7) }).await.unwrap(), 7);
}

/// What must not end.
struct Endless(Arc<AtomicU32>);

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_has_no_thread_that_answers_is_not_used_and_does_not_end() {
    let ends = Arc::<AtomicU32>::default();
    let make = || Ok(Endless(ends.clone()));
    let failed = with_thread(make, |_| -> anyhow::Result<()> { anyhow::bail!("nobody is there") });
    assert_eq!(failed.err().unwrap().to_string(), "nobody is there");
    assert_eq!(ends.load(Ordering::Relaxed), 0);
    drop(with_thread(make, |_| Ok(())).ok().unwrap());
    assert_eq!(ends.load(Ordering::Relaxed), 1);
}
