use std::sync::Arc;

use super::*;

/// `batches` batches of `rows` rows each.
fn conduct(batches: usize, rows: usize, lost: usize, rejected: usize, per_row: Duration) -> Conduct {
    let conduct = Conduct::default();
    let reason: Arc<str> = "no".into();
    let judgement = Judgement {
        rejected: (0..(lost + rejected) as u32).map(|row| (row, reason.clone())).collect(),
        condemned: (0..lost as u32).collect(),
        ..Judgement::default()
    };
    (0..batches).for_each(|_| conduct.add(rows, &judgement, Some(per_row * rows as u32), 1));
    conduct
}

const TIME: Duration = Duration::from_micros(100);

fn worse(new: &Conduct, old: &Conduct) -> Option<String> {
    new.read().worse(&old.read(), &ProbationSettings::default())
}

#[test]
fn more_faults_than_before_and_the_bound_are_worse_and_a_few_are_nobodys_doing() {
    let old = conduct(100, 1000, 1, 0, TIME);
    assert_eq!(worse(&conduct(10, 1000, 2, 0, TIME), &old), None);
    let why = worse(&conduct(10, 1000, 3, 0, TIME), &old).unwrap();
    assert_eq!(why, "it could not survive 30 of 10000 records (0.3 %; 0.1 % before, up to 0.2 % allowed)");
    assert_eq!(worse(&conduct(1, 100, 3, 0, TIME), &old), None);
    assert!(worse(&conduct(1, 10, 4, 0, TIME), &Conduct::default()).is_some());
}

#[test]
fn more_rejections_are_worse_where_it_is_known_how_many_there_were() {
    let old = conduct(10, 1000, 0, 100, TIME);
    assert_eq!(worse(&conduct(2, 1000, 0, 140, TIME), &old), None);
    assert!(
        worse(&conduct(2, 1000, 0, 160, TIME), &old).unwrap().starts_with("it rejected 320 of 2000 records")
    );
    assert_eq!(worse(&conduct(1, 9, 0, 9, TIME), &old), None);
    assert!(worse(&conduct(1, 10, 0, 10, TIME), &old).is_some());
    assert_eq!(worse(&conduct(2, 1000, 0, 900, TIME), &conduct(1, 99, 0, 0, TIME)), None);
}

#[test]
fn time_is_compared_over_batches_of_one_size() {
    let old = conduct(100, 1000, 0, 0, TIME);
    assert_eq!(worse(&conduct(100, 1000, 0, 0, TIME * 2), &old), None);
    let why = worse(&conduct(100, 1000, 0, 0, TIME * 4), &old).unwrap();
    assert_eq!(why, "it took 4.0 times as long for a record, and 3 are allowed");
    assert_eq!(worse(&conduct(100_000, 1, 0, 0, TIME * 40), &old), None, "nobody knows of such batches");
    assert_eq!(
        worse(&conduct(1, 1000, 0, 0, TIME), &conduct(100, 1000, 0, 0, TIME / 100)),
        None,
        "too short a time"
    );
    let (fast, slower) = (Duration::from_nanos(100), Duration::from_micros(2));
    let told = worse(&conduct(1000, 1000, 0, 0, slower), &conduct(100, 1000, 0, 0, fast));
    assert_eq!(told, None, "nobody feels it");
}

#[test]
fn a_batch_that_was_measured_stands_for_others_that_were_not() {
    let (all, some) = (Conduct::default(), Conduct::default());
    let judgement = Judgement::default();
    for batch in 0..16 {
        all.add(1, &judgement, Some(TIME), 1);
        let is_measured = batch % 8 == 7;
        some.add(1, &judgement, is_measured.then_some(TIME), if is_measured { 8 } else { 0 });
    }
    assert_eq!(all.read(), some.read());
}
