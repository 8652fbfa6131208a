use super::*;
use crate::app::Component;

fn desk() -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::open(folder.path(), "m", 1).unwrap();
    Desk::new(identity, 1, Description::default(), Instant::now())
}

fn parts(message: &AgentToServer) -> [bool; 5] {
    [
        message.agent_description.is_some(),
        message.health.is_some(),
        message.effective_config.is_some(),
        message.remote_config_status.is_some(),
        message.package_statuses.is_some(),
    ]
}

#[test]
fn the_first_message_tells_all_and_later_ones_what_has_changed() {
    let (desk, now) = (desk(), Instant::now());
    desk.status(RemoteConfigStatus { status: 1, ..RemoteConfigStatus::default() });
    let first = desk.next(now, false).unwrap();
    assert_eq!((parts(&first), first.sequence_num), ([true; 5], 0));
    assert_eq!(desk.next(now, false), None);
    let sign = desk.next(now, true).unwrap();
    assert_eq!((parts(&sign), sign.sequence_num), ([false; 5], 1));
    desk.effective(vec![Document { name: String::new(), text: "a: 1".to_owned() }]);
    assert_eq!(parts(&desk.next(now, false).unwrap()), [false, false, true, false, false]);
    desk.effective(vec![Document { name: String::new(), text: "a: 1".to_owned() }]);
    assert_eq!(desk.next(now, false), None, "it is the same");
    desk.begins();
    assert_eq!(parts(&desk.next(now, false).unwrap()), [true; 5], "a new connection");
}

#[test]
fn health_is_told_when_it_is_another_and_not_when_time_has_passed() {
    let (desk, now) = (desk(), Instant::now());
    let mut health = Health { since: 5, ..Health::default() };
    health.components.insert("outputs.events".to_owned(), Component::default());
    desk.health(&health, 10);
    desk.next(now, false).unwrap();
    desk.health(&health, 20);
    assert_eq!(desk.next(now, false), None);
    health.components.get_mut("outputs.events").unwrap().reason = Some("it is away".to_owned());
    desk.health(&health, 30);
    let told = desk.next(now, false).unwrap().health.unwrap();
    let part = &told.component_health_map["outputs.events"];
    assert_eq!(
        (part.healthy, part.last_error.as_str(), part.status_time_unix_nano),
        (false, "it is away", 30)
    );
    assert_eq!((told.healthy, told.status_time_unix_nano), (true, 10));
}

#[test]
fn a_server_that_asks_for_all_with_every_answer_has_it_at_a_bounded_rate() {
    let (desk, start) = (desk(), Instant::now());
    desk.next(start, false).unwrap();
    let mut full = 0;
    for second in 0..600 {
        let now = start + Duration::from_secs(second);
        desk.wants_all();
        assert!(desk.all_due(now).is_some());
        full += usize::from(desk.next(now, false).is_some());
    }
    assert!((15..=22).contains(&full), "{full}");
}

#[test]
fn a_number_that_the_server_gives_is_that_of_the_next_message() {
    let (desk, now) = (desk(), Instant::now());
    desk.next(now, false).unwrap();
    desk.renew(Uid([3; 16]), now);
    let told = desk.next(now, false).unwrap();
    assert_eq!((told.instance_uid.as_slice(), parts(&told)[0]), (&[3; 16][..], true));
    desk.renew(Uid([4; 16]), now + Duration::from_secs(1));
    assert_eq!(desk.next(now, false), None, "a server that gives one with each answer is not followed");
}

#[test]
fn packages_that_are_offered_again_and_again_are_refused_once() {
    let (desk, now) = (desk(), Instant::now());
    desk.next(now, false).unwrap();
    desk.packages(Vec::new(), &[1], "no");
    let told = desk.next(now, false).unwrap().package_statuses.unwrap();
    assert_eq!((told.server_provided_all_packages_hash, told.error_message.as_str()), (vec![1], "no"));
    desk.packages(Vec::new(), &[1], "no");
    assert_eq!(desk.next(now, false), None);
}

#[test]
fn a_reason_without_an_end_is_cut() {
    let (desk, now) = (desk(), Instant::now());
    desk.status(RemoteConfigStatus { error_message: "é".repeat(100_000), ..RemoteConfigStatus::default() });
    let told = desk.next(now, false).unwrap().remote_config_status.unwrap().error_message;
    assert!(told.len() < REASON + 8, "{}", told.len());
}
