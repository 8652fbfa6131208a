use std::hint::black_box;
use std::sync::mpsc;

use super::*;

#[test]
fn what_others_do_meanwhile_is_not_counted_and_work_is() {
    let (go, told) = mpsc::sync_channel::<()>(1);
    std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            let timer = Timer::start();
            while timer.elapsed() < Duration::from_millis(5) {
                black_box(0);
            }
            drop(go);
            timer.elapsed()
        });
        let timer = Timer::start();
        assert!(told.recv().is_err());
        let (own, other) = (timer.elapsed(), other.join().unwrap());
        assert!(own < other, "{own:?} of waiting, {other:?} of work");
    });
}

#[test]
fn of_small_batches_one_of_eight_stands_for_all_and_larger_ones_for_themselves() {
    let mut sample = Sample::default();
    let small: Vec<u32> = (0..16).map(|_| sample.stands_for(1)).collect();
    assert_eq!(small, [[0; 7].as_slice(), &[8], &[0; 7], &[8]].concat());
    assert_eq!(sample.stands_for(127), 0);
    assert_eq!([128, 1024].map(|rows| sample.stands_for(rows)), [1, 1]);
}
