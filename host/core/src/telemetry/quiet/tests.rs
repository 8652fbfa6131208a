use super::*;

#[tokio::test(start_paused = true)]
async fn a_thing_is_said_at_once_and_again_when_its_time_has_passed() {
    let quiet = Quiet::every(Duration::from_secs(30));
    assert!(quiet.may_say());
    tokio::time::advance(Duration::from_secs(29)).await;
    assert!(!quiet.may_say());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(quiet.may_say(), "what was not said does not put it off");
    assert!(!quiet.may_say());
}
