use super::*;

const NONE: Duration = Duration::ZERO;

#[test]
fn pauses_grow_up_to_five_minutes_and_begin_again_after_a_connection_that_lasted() {
    let mut reconnect = Reconnect::default();
    let pauses: Vec<u64> = (0..12).map(|_| reconnect.pause(NONE, None, 1.0).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(reconnect.pause(LASTING, None, 1.0).as_secs(), 1);
}

#[test]
fn two_hundred_agents_that_lost_their_server_in_one_moment_come_back_spread_over_the_pause() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut come = vec![0; 16];
    for _ in 0..200 {
        let mut reconnect = Reconnect::default();
        let pauses: Vec<Duration> = (0..5).map(|_| reconnect.pause(NONE, None, random.f64())).collect();
        come[(pauses[4].as_millis() as usize / 1000).min(15)] += 1;
    }
    assert!(come.iter().all(|second| (2..40).contains(second)), "{come:?}");
}

#[test]
fn a_server_that_asks_for_a_pause_has_all_of_it() {
    let asked = Some(Duration::from_secs(30));
    for luck in [0.0, 0.5, 1.0] {
        let pause = Reconnect::default().pause(NONE, asked, luck);
        assert!((30..=45).contains(&pause.as_secs()), "{pause:?}");
    }
}

#[test]
fn full_reports_are_bounded_however_often_they_are_asked_for() {
    let start = Instant::now();
    let mut full = Allowance::new(2, Duration::from_secs(30), start);
    let second = |n: u64| start + Duration::from_secs(n);
    let sent = (0..300).filter(|n| full.take(second(*n))).count();
    assert!((10..=12).contains(&sent), "{sent}");
    assert!(full.due(second(300)) <= second(330));
}
