use super::super::frame::{Draft, encode};
use super::super::log::tests::{number, records};
use super::*;

/// A folder in which these numbers wait.
fn written(numbers: &[i64]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(Arc::new(Real), folder.path()).unwrap();
    for number in numbers {
        let records = records(*number, 2);
        let frame = encode(&Draft { records: &records, source: "in", stream: 1, weight: 100 }).unwrap();
        log.append(&[&frame], 5).unwrap();
    }
    folder
}

#[test]
fn what_waits_is_told_and_nothing_is_changed() {
    let folder = written(&[1, 2, 3]);
    let told = summary(folder.path()).unwrap();
    assert_eq!((told.segments, told.frames, told.records, told.parked, told.in_use), (1, 3, 6, 0, false));
    assert_eq!(told.oldest.unwrap().as_nanosecond(), 5);
    let segment = &segments(folder.path()).unwrap()[0];
    assert_eq!((segment.first, segment.last, segment.frames, segment.waiting), (1, 3, 3, 3));
    let open = Drain::open(folder.path()).unwrap();
    assert!(summary(folder.path()).unwrap().in_use);
    drop(open);
}

#[test]
fn a_folder_is_verified_and_what_is_broken_has_a_place() {
    let folder = written(&[1, 0x5ca1_ab1e, 3]);
    let verified = verify(folder.path()).unwrap();
    assert_eq!((verified.frames, verified.records, verified.broken.len()), (3, 6, 0));
    let path = folder.path().join(segment::name(1));
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(4).position(|w| w == 0x5ca1_ab1e_i32.to_le_bytes()).unwrap();
    bytes[place] ^= 1;
    let end = bytes.len() - 8;
    std::fs::write(&path, &bytes[..end]).unwrap();
    let verified = verify(folder.path()).unwrap();
    assert_eq!((verified.frames, verified.broken.len(), verified.broken[0].sequence), (1, 1, Some(2)));
    assert!(verified.torn > 0 && verified.broken[0].at < place as u64);
}

#[test]
fn what_is_taken_out_and_settled_does_not_wait_any_more() {
    let folder = written(&[1, 2, 3]);
    let mut drain = Drain::open(folder.path()).unwrap();
    assert_eq!((drain.frames, drain.records), (3, 6));
    for expected in [1, 2] {
        let Some(Out::Frame { sequence, records, source }) = drain.take().unwrap() else { panic!("a frame") };
        assert_eq!((number(&records), &*source), (expected, "in"));
        drain.settle(sequence).unwrap();
    }
    drain.close().unwrap();
    let mut drain = Drain::open(folder.path()).unwrap();
    let Some(Out::Frame { sequence, records, .. }) = drain.take().unwrap() else { panic!("a frame") };
    assert_eq!(number(&records), 3);
    drain.settle(sequence).unwrap();
    assert!(drain.take().unwrap().is_none());
    drain.close().unwrap();
    assert_eq!(summary(folder.path()).unwrap().segments, 0);
}

#[test]
fn what_was_put_aside_is_broken_no_more() {
    // A byte of the first frame's head, and one of its payload.
    for place in [HEADER + 1, HEADER + HEAD + 1] {
        let folder = written(&[1, 2, 3]);
        let path = folder.path().join(segment::name(1));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[place] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(verify(folder.path()).unwrap().broken.len(), 1);
        for turn in 0..2 {
            let mut drain = Drain::open(folder.path()).unwrap();
            let mut parked = 0;
            while let Some(out) = drain.take().unwrap() {
                parked += usize::from(matches!(out, Out::Parked { .. }));
            }
            drain.close().unwrap();
            assert_eq!(parked, usize::from(turn == 0), "{place}");
        }
        let verified = verify(folder.path()).unwrap();
        assert_eq!((verified.frames, verified.broken.len()), (2, 0), "{place}");
        assert_eq!(summary(folder.path()).unwrap().parked, 1);
    }
}
