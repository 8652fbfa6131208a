use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use flitch_core::units::Span;

const LONG: Duration = Duration::from_secs(7);

#[tokio::test(start_paused = true)]
async fn a_destination_that_asks_for_no_pause_is_asked_again_after_pauses_that_grow() {
    let settings = RetrySettings::default();
    let breaker = Breaker::new("test", settings.clone(), Ailment::unheard());
    let pause = |asks: Duration, failures| {
        let error = WriteError::Busy { after: Some(asks), reason: "busy".to_owned() };
        breaker.pause(&error, failures)
    };
    for failures in [1, 2, 50] {
        let own = settings.pause(failures);
        let taken = pause(Duration::ZERO, failures);
        assert!((own / 2..=own).contains(&taken), "{taken:?} after {failures}");
        assert_eq!(pause(LONG, failures), LONG);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_end_ends_in_a_year_and_breaks_nothing() {
    let endless =
        RetrySettings { initial: Span(Duration::MAX), max: Span(Duration::MAX), ..RetrySettings::default() };
    let after = Some(Duration::from_secs(u64::MAX));
    for error in [
        WriteError::Busy { after, reason: "endless".to_owned() },
        WriteError::Busy { after: None, reason: "by the settings".to_owned() },
        WriteError::Denied { reason: "by the settings".to_owned() },
        WriteError::Unreachable { reason: "by the settings".to_owned() },
    ] {
        let breaker = Breaker::new("test", endless.clone(), Ailment::unheard());
        let begin = Instant::now();
        let own = breaker.failure(&error, begin);
        let until = own.or_else(|| breaker.state.lock().resume).unwrap();
        assert!(until > begin && until <= begin + LONGEST, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_writes_that_wait_each_probes_in_its_turn_so_that_one_that_fails_on_keeps_out_no_other() {
    let breaker = Breaker::new("test", RetrySettings::default(), Ailment::unheard());
    let refused = WriteError::Denied { reason: "it is".to_owned() };
    breaker.failure(&refused, Instant::now());
    let tried = AtomicUsize::new(0);
    let fails_on = async {
        loop {
            let turn = breaker.turn().await;
            tried.fetch_add(1, Ordering::Relaxed);
            breaker.failure(&refused, Instant::now());
            drop(turn);
        }
    };
    let arrives = async {
        let _turn = breaker.turn().await;
        breaker.success();
        tried.load(Ordering::Relaxed)
    };
    let waits = breaker.turn();
    let before = tokio::select! {
        biased;
        () = fails_on => None,
        (before, _) = async { tokio::join!(arrives, waits) } => Some(before),
        () = tokio::time::sleep(LONG * 1000) => None,
    };
    assert_eq!(before, Some(1));
}
