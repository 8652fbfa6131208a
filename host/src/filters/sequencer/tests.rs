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
        let mut out = Vec::new();
        for n in order {
            let place = places[n].take().unwrap();
            if n == gone { place.give_up(|i| out.push(i)) } else { place.finish(n, |i| out.push(i)) }
        }
        let expected: Vec<usize> = (0..20).filter(|n| *n != gone).collect();
        prop_assert_eq!(out, expected);
        prop_assert!(sequencer.streams.lock().is_empty());
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
    let (tell, told) = mpsc::channel();
    let places: Vec<_> = (0..1000).map(|n| (n, sequencer.place(stream))).collect();
    thread::scope(|scope| {
        let (work, works) = crossbeam_channel::unbounded();
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
