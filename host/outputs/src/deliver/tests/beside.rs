//! What waits by itself while an output takes others.

use super::*;

/// Does not take rows that divide by 7 until `end`, and takes all others.
fn choosy(end: Duration) -> Scripted {
    let begin = Instant::now();
    let mut output = Scripted::new(move |rows| {
        let is_odd = |row: &i64| row % 7 == 0 && begin.elapsed() < end;
        let again: Vec<u32> =
            (0..).zip(rows).filter(|(_, row)| is_odd(row)).map(|(place, _)| place).collect();
        Ok(Written {
            bytes: 1,
            again: (!again.is_empty()).then(|| (again, busy(None))),
            ..Written::default()
        })
    });
    output.tells_apart = true;
    output
}

/// When each row was first written, and how often.
fn first_writes(output: &Scripted) -> HashMap<i64, (Duration, usize)> {
    let mut found = HashMap::new();
    for (at, rows) in output.writes.lock().iter() {
        for row in rows {
            found.entry(*row).or_insert((*at, 0)).1 += 1;
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_for_the_moment_is_tried_by_itself_and_holds_up_no_other() {
    let bench = Bench::new(choosy(Duration::from_secs(100)));
    // One of a batch, and one that is a batch by itself.
    bench.push(1..10).await;
    bench.push(14..15).await;
    for n in 100..120 {
        bench.push(n * 7 + 1..n * 7 + 3).await;
    }
    bench.finish().await;
    let found = first_writes(&bench.output);
    for (row, (at, times)) in &found {
        assert!(*at <= Duration::from_millis(1), "row {row} waited for {at:?}");
        // With pauses that grow.
        assert!(if row % 7 == 0 { (5..20).contains(times) } else { *times == 1 }, "row {row}: {times} times");
    }
    assert_eq!(bench.ledger.read().delivered, 9 + 1 + 40);
    assert!(bench.output.begin.elapsed() >= Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn many_parcels_that_wait_by_themselves_hold_up_no_other_and_what_is_too_much_takes_its_place() {
    let bench = Bench::new(choosy(Duration::from_secs(100)));
    for n in 0..200 {
        bench.push(n * 7..n * 7 + 2).await;
    }
    bench.finish().await;
    let found = first_writes(&bench.output);
    let at_once = found.values().filter(|(at, _)| *at <= Duration::from_millis(1)).count();
    // 64 beside, and the one that the output allows.
    assert_eq!(at_once, 2 * 65);
    assert_eq!(bench.ledger.read().delivered, 400);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_down_is_asked_by_one_write_though_others_wait_by_themselves() {
    let begin = Instant::now();
    let mut output = Scripted::new(move |rows| match begin.elapsed().as_secs() {
        0..60 if rows.contains(&7) => {
            let place = rows.iter().position(|row| *row == 7).unwrap() as u32;
            Ok(Written { bytes: 1, again: Some((vec![place], busy(None))), ..Written::default() })
        }
        60..120 => Err(unreachable()),
        _ => Ok(Written::default()),
    });
    output.tells_apart = true;
    let bench = Bench::new(output);
    bench.push(0..10).await;
    bench.push(10..20).await;
    bench.finish().await;
    assert_eq!(bench.ledger.read().delivered, 20);
}

#[tokio::test(start_paused = true)]
async fn it_is_given_up_after_as_many_attempts_as_are_set() {
    let mut bench = Bench::new(choosy(Duration::from_secs(100_000)));
    bench.policy.attempts = Some(3);
    bench.push(5..9).await;
    bench.finish().await;
    let accounts = bench.ledger.read();
    assert_eq!((accounts.delivered, accounts.dead_lettered), (3, 1));
    assert_eq!(first_writes(&bench.output)[&7].1, 3);
}
