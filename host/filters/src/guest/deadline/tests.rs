use super::*;

const TIME: Duration = Duration::from_secs(1);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A call, asked every 5 ms of the clock, that gets `share` of the processor in each of them. When it was over.
fn over_with(deadline: &Deadline, share: f64) -> Option<Duration> {
    (0..4_000).map(|n| ms(5 * n)).find(|at| deadline.is_over_at(deadline.began + *at, at.mul_f64(share)))
}

#[test]
fn a_call_that_has_the_processor_is_over_when_its_time_is() {
    let over = over_with(&Deadline::from(Instant::now(), TIME), 1.0).unwrap();
    assert!((TIME..TIME + ms(10)).contains(&over), "{over:?}");
}

#[test]
fn a_call_that_others_keep_from_the_processor_has_as_much_of_it() {
    for share in [0.9, 0.5, 0.25] {
        let over = over_with(&Deadline::from(Instant::now(), TIME), share).unwrap();
        let had = over.mul_f64(share);
        assert!((TIME * 7 / 8 - ms(1)..TIME + ms(10)).contains(&had), "{share}: {over:?}");
    }
}

#[test]
fn a_call_that_never_has_the_processor_comes_to_an_end() {
    let over = over_with(&Deadline::from(Instant::now(), TIME), 0.0).unwrap();
    assert!(over <= TIME * PATIENCE + ms(10), "{over:?}");
}

#[test]
fn a_process_that_was_stopped_for_an_hour_goes_on_where_it_was() {
    let deadline = Deadline::from(Instant::now(), TIME);
    let stopped = Duration::from_secs(3600);
    let at = |own: Duration| deadline.is_over_at(deadline.began + stopped + own, own);
    assert!(!at(ms(1)) && !at(ms(500)) && !at(ms(860)));
    assert!(at(ms(900)));
    assert!(at(ms(901)), "what is over stays over");
}

#[test]
fn a_guest_that_sleeps_uses_its_time() {
    let deadline = Deadline::from(Instant::now(), TIME);
    let at = |clock: Duration| deadline.began + clock;
    assert_eq!(deadline.sleep_at(ms(600), at(ms(0))), ms(600));
    assert!(!deadline.is_over_at(at(ms(600)), ms(0)));
    assert_eq!(deadline.sleep_at(ms(399), at(ms(601))), ms(399));
    assert!(!deadline.is_over_at(at(ms(999)), ms(1)), "never before its time by the clock");
    assert!(deadline.is_over_at(at(ms(1000)), ms(1)));
}

#[test]
fn a_guest_that_would_sleep_for_longer_than_it_may_wakes_when_it_is_over() {
    let deadline = Deadline::from(Instant::now(), TIME);
    let slept = deadline.sleep_at(Duration::MAX, deadline.began + ms(300));
    assert_eq!(slept, ms(700) + LITTLE);
    assert!(deadline.is_over_at(deadline.began + ms(300) + slept, ms(10)));
}

#[test]
fn no_time_is_over_at_once() {
    assert!(Deadline::of(Duration::ZERO).is_over());
    assert!(!Deadline::of(Duration::from_secs(3600)).is_over());
}
