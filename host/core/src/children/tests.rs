use std::process::Stdio;
use std::time::Duration;

use flitch_tests::wait::eventually;
use rustix::process::{getpid, set_child_subreaper};

use super::*;

const DEADLINE: Duration = Duration::from_secs(60);
/// The test that is run in one.
const NAME: &str =
    "children::tests::the_first_of_a_container_takes_leave_of_orphans_and_of_nobody_whose_end_is_waited_for";
/// Is set in a process that is given orphans, as the first of a container is.
const FIRST: &str = "FLITCH_TEST_IS_FIRST";

fn shell(text: &str) -> Begun {
    Begun::new(Command::new("sh").args(["-c", text]).stdout(Stdio::null())).unwrap()
}

/// In a process of its own: what the others here have begun is not to be taken leave of.
#[test]
fn the_first_of_a_container_takes_leave_of_orphans_and_of_nobody_whose_end_is_waited_for() {
    if std::env::var_os(FIRST).is_none() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let begun = Begun::new(command.args(["--exact", NAME]).env(FIRST, "1")).unwrap();
        let ended = eventually("it ends", DEADLINE, || begun.ended().unwrap());
        assert!(ended.success());
        return;
    }
    set_child_subreaper(Some(getpid())).unwrap();
    let parent = shell("sleep 0 & sleep 0 & exit 3");
    let mut orphans = 0;
    eventually("both orphans are gone", DEADLINE, || {
        orphans += take_leave();
        orphans == 2
    });
    let ended = eventually("it ends", DEADLINE, || parent.ended().unwrap());
    assert_eq!(ended.code(), Some(3));
    assert_eq!(parent.ended().unwrap(), Some(ended), "it is told more than once");
    drop(parent);
    let other = shell("exit 4");
    assert_eq!(eventually("it ends", DEADLINE, || other.ended().unwrap()).code(), Some(4));
    assert_eq!(take_leave(), 0);
}
