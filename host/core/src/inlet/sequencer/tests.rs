use std::sync::mpsc;
use std::thread;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_stream_comes_out_in_the_order_it_went_in(order in Just((0..20usize).collect::<Vec<_>>()).prop_shuffle(), gone in 0..20usize) {
        let sequencer = Sequencer::default();
        let stream = StreamId::next();
        let mut places: Vec<_> = (0..20).map(|_| Some(sequencer.place(stream))).collect();
        let out = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for n in order {
                let (place, out) = (places[n].take().unwrap(), &out);
                scope.spawn(move || {
                    let emit = |i| out.lock().push(i);
                    if n == gone { place.give_up(emit) } else { place.finish(n, emit) }
                });
            }
        });
        let expected: Vec<usize> = (0..20).filter(|n| *n != gone).collect();
        prop_assert_eq!(out.into_inner(), expected);
        prop_assert!(sequencer.streams.map.lock().is_empty());
    }
}

#[test]
fn one_stream_does_not_wait_for_another() {
    let sequencer = Sequencer::default();
    let (slow, quick) = (sequencer.place(StreamId::next()), sequencer.place(StreamId::next()));
    let mut out = Vec::new();
    quick.finish("quick", |i| out.push(i));
    slow.finish("slow", |i| out.push(i));
    assert_eq!(out, ["quick", "slow"]);
}

#[test]
fn many_threads_keep_the_order() {
    let sequencer = Sequencer::default();
    let stream = StreamId::next();
    let (tell, told) = mpsc::sync_channel(1000);
    let places: Vec<_> = (0..1000).map(|n| (n, sequencer.place(stream))).collect();
    thread::scope(|scope| {
        let (work, works) = crossbeam_channel::bounded(1000);
        places.into_iter().for_each(|p| work.send(p).unwrap());
        drop(work);
        for _ in 0..4 {
            let (works, tell) = (works.clone(), tell.clone());
            scope.spawn(move || works.iter().for_each(|(n, p)| p.finish(n, |i| tell.send(i).unwrap())));
        }
    });
    drop(tell);
    assert_eq!(told.iter().collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn finished_batches_do_not_pile_up_behind_one_that_takes_long() {
    let sequencer = Sequencer::default();
    let stream = StreamId::next();
    let slow = sequencer.place(stream);
    let behind: Vec<_> = (1..=WAITING + 3).map(|n| (n, sequencer.place(stream))).collect();
    let (tell, told) = mpsc::sync_channel(WAITING + 4);
    let finished = Mutex::new(0);
    thread::scope(|scope| {
        for (n, place) in behind {
            let (tell, finished) = (tell.clone(), &finished);
            scope.spawn(move || {
                place.finish(n, |i| tell.send(i).unwrap());
                *finished.lock() += 1;
            });
        }
        while *finished.lock() < WAITING {
            thread::yield_now();
        }
        assert_eq!(sequencer.streams.map.lock()[&stream].finished.len(), WAITING);
        slow.finish(0, |i| tell.send(i).unwrap());
    });
    drop(tell);
    assert_eq!(told.iter().collect::<Vec<_>>(), (0..=WAITING + 3).collect::<Vec<_>>());
}

#[test]
fn a_place_that_is_dropped_holds_nobody_up() {
    let sequencer = Sequencer::default();
    let stream = StreamId::next();
    let lost = sequencer.place(stream);
    let next = sequencer.place(stream);
    drop(lost);
    let mut out = Vec::new();
    next.finish("next", |i| out.push(i));
    assert_eq!(out, ["next"]);
    assert!(sequencer.streams.map.lock().is_empty());
}

#[test]
fn a_stream_whose_last_place_is_dropped_leaves_nothing_behind() {
    let sequencer = Sequencer::default();
    let stream = StreamId::next();
    let (first, last) = (sequencer.place(stream), sequencer.place(stream));
    let mut out = Vec::new();
    first.finish("first", |i| out.push(i));
    drop(last);
    assert_eq!(out, ["first"]);
    assert!(sequencer.streams.map.lock().is_empty());
}

#[test]
fn what_waits_for_a_place_that_was_dropped_last_is_let_go() {
    let sequencer = Sequencer::default();
    let stream = StreamId::next();
    let (lost, behind) = (sequencer.place(stream), sequencer.place(stream));
    let receipt = std::sync::Arc::new(());
    behind.finish(receipt.clone(), |_| panic!("it is not its turn"));
    drop(lost);
    assert_eq!(std::sync::Arc::strong_count(&receipt), 1, "the batch is dropped, so that it is sent again");
    assert!(sequencer.streams.map.lock().is_empty());
}

#[test]
fn a_panic_while_a_batch_is_handed_on_does_not_hold_up_its_stream() {
    let sequencer = Sequencer::default();
    let stream = StreamId::next();
    let (bad, good) = (sequencer.place(stream), sequencer.place(stream));
    let handed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        bad.finish("bad", |_| std::panic::resume_unwind(Box::new("the output is broken")));
    }));
    assert!(handed.is_err());
    let mut out = Vec::new();
    good.finish("good", |i| out.push(i));
    assert_eq!(out, ["good"]);
    assert!(sequencer.streams.map.lock().is_empty());
}

#[test]
fn a_batch_that_goes_on_in_pieces_keeps_its_place() {
    let sequencer = Sequencer::default();
    let stream = StreamId::next();
    let (first, lost, second, third) =
        (sequencer.place(stream), sequencer.place(stream), sequencer.place(stream), sequencer.place(stream));
    let (tell, told) = crossbeam_channel::bounded(64);
    let tell = |item: &'static str| tell.send(item).unwrap();
    third.finish("third", tell);
    drop(lost);
    std::thread::scope(|scope| {
        let pieces = scope.spawn(|| {
            second.hand_on("a piece of the second", tell);
            second.hand_on("another", tell);
            second.finish("the last", tell);
        });
        // It waits for what is before it, whichever comes sooner.
        first.hand_on("a piece of the first", tell);
        first.finish("the first", tell);
        pieces.join().unwrap();
    });
    let all = ["a piece of the first", "the first", "a piece of the second", "another", "the last", "third"];
    assert_eq!(told.try_iter().collect::<Vec<_>>(), all);
    assert!(sequencer.streams.map.lock().is_empty());
    let mut out = Vec::new();
    sequencer.place(StreamId::UNORDERED).hand_on("no order", |item| out.push(item));
    assert_eq!(out, ["no order"]);
}

#[test]
fn a_piece_waits_for_nobody_who_is_gone_and_a_panic_over_it_holds_nobody_up() {
    let sequencer = Sequencer::default();
    let stream = StreamId::next();
    let (lost, waits, bad, good) =
        (sequencer.place(stream), sequencer.place(stream), sequencer.place(stream), sequencer.place(stream));
    waits.finish("waits", |_| panic!("it is not its turn"));
    drop(lost);
    let mut out = Vec::new();
    let handed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        bad.hand_on("bad", |item| match item {
            "bad" => std::panic::resume_unwind(Box::new("the output is broken")),
            item => out.push(item),
        });
    }));
    assert!(handed.is_err());
    drop(bad);
    good.finish("good", |item| out.push(item));
    assert_eq!(out, ["waits", "good"]);
    assert!(sequencer.streams.map.lock().is_empty());
}
