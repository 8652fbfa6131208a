use super::*;
use flitch_core::units::Span;

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
