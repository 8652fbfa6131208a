use super::*;

const LENGTH: Duration = Duration::from_secs(30);

/// Looks once a second at what `at` says of each, until it is decided.
fn watched(before: &[Vitals], at: impl Fn(u64) -> Vitals) -> (u64, Verdict) {
    let start = Instant::now();
    let mut lately = Lately::default();
    before.iter().for_each(|vitals| lately.note(vitals.clone()));
    let mut probation = Probation::new(start, LENGTH, &lately);
    for second in 1..300 {
        let verdict = probation.look(start + LOOK * u32::try_from(second).unwrap(), &at(second));
        if verdict != Verdict::Open {
            return (second, verdict);
        }
    }
    panic!("it is never decided");
}

fn flowing(second: u64) -> Vitals {
    Vitals { done: 1000 * (second + 60), waiting: 10, memory: 50 << 20, ..Vitals::default() }
}

fn before() -> Vec<Vitals> {
    (0..60).map(|second| Vitals { done: 1000 * second, memory: 50 << 20, ..Vitals::default() }).collect()
}

fn worse(at: impl Fn(u64) -> Vitals) -> (u64, String) {
    match watched(&before(), at) {
        (second, Verdict::Worse(reason)) => (second, reason),
        other => panic!("{other:?}"),
    }
}

fn ailing(mut vitals: Vitals) -> Vitals {
    vitals.ailing.insert("output events".to_owned(), "connection refused".to_owned());
    vitals
}

#[test]
fn a_configuration_under_which_all_goes_on_stands_when_its_time_is_over() {
    assert_eq!(watched(&before(), flowing), (30, Verdict::Stood));
    assert_eq!(watched(&[], |_| Vitals::default()), (30, Verdict::Stood), "nothing ever flowed");
}

#[test]
fn a_part_that_cannot_do_its_work_makes_it_go_within_seconds() {
    let (second, reason) = worse(|second| ailing(flowing(second)));
    assert_eq!((second, reason.as_str()), (5, "output events: connection refused"));
}

#[test]
fn what_was_so_before_is_no_fault_of_the_configuration() {
    let before: Vec<Vitals> = before().into_iter().map(ailing).collect();
    assert_eq!(watched(&before, |second| ailing(flowing(second))), (30, Verdict::Stood));
}

#[test]
fn one_answer_that_throttles_reverts_nothing() {
    let once = |second| if (7..10).contains(&second) { ailing(flowing(second)) } else { flowing(second) };
    assert_eq!(watched(&before(), once), (30, Verdict::Stood));
}

#[test]
fn trouble_that_begins_at_the_end_is_looked_at_until_it_is_sure() {
    let late = |second| if second >= 28 { ailing(flowing(second)) } else { flowing(second) };
    assert_eq!(worse(late).0, 32);
    let over = |second| if (29..31).contains(&second) { ailing(flowing(second)) } else { flowing(second) };
    assert_eq!(watched(&before(), over), (31, Verdict::Stood));
}

#[test]
fn records_that_are_rejected_make_it_go() {
    let at = |second: u64| Vitals { done: 59_000 + 900 * second, rejected: 100 * second, ..flowing(second) };
    let (second, reason) = worse(at);
    assert_eq!((second, reason.as_str()), (1, "100 of 1000 records were rejected (10.0 %; 0.0 % before)"));
    let few = |second: u64| Vitals { rejected: second.min(20), ..flowing(second) };
    assert_eq!(watched(&before(), few).1, Verdict::Stood);
}

#[test]
fn records_that_wait_while_none_arrives_make_it_go() {
    let at = |second: u64| Vitals { done: 60_000, waiting: 1000 * second, ..flowing(second) };
    let (second, reason) = worse(at);
    assert!(second <= 12 && reason.contains("none arrives any more"), "{second}: {reason}");
    let idle = |_| Vitals { waiting: 0, done: 60_000, memory: 50 << 20, ..Vitals::default() };
    assert_eq!(watched(&before(), idle).1, Verdict::Stood, "nothing came, and nothing waits");
}

#[test]
fn records_that_an_object_gathers_are_no_fault_and_a_write_that_never_ends_beside_them_is() {
    let at = |second: u64, others: &[(&str, Progress)]| Vitals {
        done: 60_000,
        waiting: 1000 * second,
        outputs: others.iter().map(|(name, progress)| ((*name).to_owned(), *progress)).collect(),
        ..flowing(second)
    };
    let gathers = Progress { gathers: true, ..Progress::default() };
    let archive = |second: u64| at(second, &[("archive", gathers)]);
    assert_eq!(watched(&before(), archive), (30, Verdict::Stood));
    // Records that go to both arrive when the object does.
    let lively = |second| {
        at(
            second,
            &[
                ("archive", gathers),
                ("kafka", Progress { writes: true, turns: second, ..Progress::default() }),
            ],
        )
    };
    assert_eq!(watched(&before(), lively), (30, Verdict::Stood));
    let hangs = |second| {
        at(
            second,
            &[("archive", gathers), ("kafka", Progress { writes: true, turns: 1, ..Progress::default() })],
        )
    };
    let (second, reason) = worse(hangs);
    assert!(second <= 12 && reason.contains("none arrives any more"), "{second}: {reason}");
    let none = |second| at(second, &[("archive", Progress::default())]);
    assert!(worse(none).0 <= 12, "they hang before the outputs");
}

#[test]
fn a_buffer_that_stays_full_makes_it_go() {
    let at = |second| Vitals { full: ["events".to_owned()].into(), ..flowing(second) };
    assert_eq!(worse(at), (10, "the buffer of the output events stays full".to_owned()));
}

#[test]
fn memory_that_grows_makes_it_go() {
    let at = |second| Vitals { memory: (100 + 100 * second) << 20, ..flowing(second) };
    let (second, reason) = worse(at);
    assert!(second < 10 && reason.contains("MiB of memory, and 50 MiB"), "{second}: {reason}");
}
