use rustix::process::{Signal as Number, getpid, kill_process};

use super::*;

#[tokio::test]
async fn a_signal_that_asks_for_no_end_ends_nothing_before_and_after_somebody_answers() {
    let all = [Number::HUP, Number::USR1, Number::USR2];
    Signals::let_go();
    all.into_iter().for_each(|number| kill_process(getpid(), number).unwrap());
    let mut signals = Signals::new().unwrap();
    all.into_iter().for_each(|number| kill_process(getpid(), number).unwrap());
    signals.hangup.recv().await;
    signals.strange.told().await;
}
