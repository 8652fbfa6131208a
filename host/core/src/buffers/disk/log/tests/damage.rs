//! Files that are not what was written.

use super::*;

/// A disk with a log of two segments, in which these numbers were appended.
fn written() -> (Faulty, Vec<i64>) {
    let fs = Faulty::default();
    let mut log = open(&fs);
    append(&mut log, &[1, 2]).unwrap();
    append(&mut log, &[3]).unwrap();
    append(&mut log, &[4, 5]).unwrap();
    assert_eq!(segments(&fs), 2);
    (fs, vec![1, 2, 3, 4, 5])
}

/// Opens a log on a damaged disk, and answers the numbers in it, how much was parked, and how much more is missing.
fn opened(fs: &Faulty) -> (Vec<i64>, usize, u64) {
    let (mut log, opened) = Log::open(Arc::new(fs.clone()), folder()).unwrap();
    let (found, parked) = read_all(&mut log);
    let missing = log.take_missing();
    // It goes on, and gets rid of all it has.
    let placed = append(&mut log, &[9]).unwrap();
    assert_eq!(read_all(&mut log).0, [(placed[0].sequence, 9)]);
    log.settle(1, placed[0].sequence + 1);
    log.close().unwrap();
    assert_eq!(segments(fs), 0, "{found:?}");
    let numbers = found.iter().map(|(_, number)| *number).collect();
    (numbers, parked.len() + usize::from(opened.parked.is_some()), missing)
}

#[test]
fn a_flipped_bit_anywhere_costs_its_frame_alone_which_is_put_aside() {
    let (fs, all) = written();
    let files = fs.files().into_iter().filter(|(path, _)| path.extension().is_some());
    for (path, bytes) in files {
        for place in 0..bytes.len() {
            let fs = fs.copy();
            fs.edit(&path, |bytes| bytes[place] ^= 1 << (place % 8));
            let (found, parked, missing) = opened(&fs);
            let at = format!("{}:{place}: {found:?}", path.display());
            assert!(found.is_sorted() && found.iter().all(|number| all.contains(number)), "{at}");
            match all.len() - found.len() {
                0 => assert!(place < HEADER && parked == 0, "{at}"),
                1 => {
                    assert_eq!((parked, missing), (1, 0), "{at}");
                    assert_eq!(
                        fs.files().keys().filter(|path| path.to_str().unwrap().ends_with(PARKED)).count(),
                        1
                    );
                }
                _ => panic!("{at}"),
            }
        }
    }
}

#[test]
fn frames_that_somebody_took_away_are_counted() {
    let (fs, all) = written();
    let firsts: Vec<_> = fs.files().into_keys().filter(|path| path.extension().is_some()).collect();
    let second = segment::first(firsts[1].file_name().unwrap().to_str().unwrap()).unwrap();
    fs.edit(&firsts[0], |bytes| bytes.truncate(HEADER));
    let mut log = open(&fs);
    let found = read_all(&mut log).0;
    assert_eq!(found.len() as u64, all.len() as u64 + 1 - second);
    assert_eq!(log.take_missing(), second - 1);
    assert_eq!(log.take_missing(), 0);
}

#[test]
fn a_tail_that_is_torn_at_any_byte_is_cut_off_and_nothing_is_said_to_be_broken() {
    let (fs, all) = written();
    let (path, bytes) = fs.files().into_iter().rfind(|(path, _)| path.extension().is_some()).unwrap();
    let file = fs.open(&path).unwrap();
    let Found::Frame(head) = segment::look(&*file, HEADER as u64, bytes.len() as u64).unwrap() else {
        panic!("a frame")
    };
    let last = HEADER + head.bytes() as usize;
    for length in last..bytes.len() {
        let fs = fs.copy();
        fs.edit(&path, |bytes| bytes.truncate(length));
        assert_eq!(opened(&fs), (all[..4].to_vec(), 0, 0), "{length}");
        // A file may have grown before its bytes were written.
        let fs = self::written().0;
        fs.edit(&path, |bytes| bytes[length..].fill(0));
        let (found, ..) = opened(&fs);
        assert!(found == all[..4] || found == all && length + 8 > bytes.len(), "{length}: {found:?}");
    }
    for length in 0..HEADER {
        let fs = fs.copy();
        fs.edit(&path, |bytes| bytes.truncate(length));
        assert_eq!(opened(&fs), (all[..3].to_vec(), 0, 0), "{length}");
    }
}

#[test]
fn of_a_frame_whose_checksum_does_not_fit_the_records_are_answered_if_they_can_be_read() {
    let fs = Faulty::default();
    append(&mut open(&fs), &[1, 0x5ca1ab1e, 3]).unwrap();
    fs.edit(&folder().join(segment::name(1)), |bytes| {
        let place = bytes.windows(4).position(|w| w == 0x5ca1_ab1e_i32.to_le_bytes()).unwrap();
        bytes[place..place + 4].copy_from_slice(&77i32.to_le_bytes());
    });
    let mut log = open(&fs);
    let parked = read_all(&mut log).1;
    log.sweep().unwrap();
    drop(log);
    let (records, source) = parked[0].records.as_ref().unwrap();
    assert_eq!((number(records), &**source, parked[0].why.as_str()), (77, "in", "its checksum does not fit"));
    let raw = &fs.files()[&folder().join(format!("{:020}{PARKED}", 2))];
    assert_eq!(raw.len() as u64, parked[0].bytes);
    // Once is enough.
    assert!(read_all(&mut open(&fs)).1.is_empty());
}

#[test]
fn a_segment_that_is_gone_or_empty_in_the_middle_costs_itself_alone() {
    let build = || {
        let fs = Faulty::default();
        let mut log = open(&fs);
        (1..=9).for_each(|turn| _ = append(&mut log, &[turn]).unwrap());
        assert!(segments(&fs) > 2);
        fs
    };
    let fs = build();
    let second = fs.files().into_keys().filter(|path| path.extension().is_some()).nth(1).unwrap();
    let lost: BTreeSet<i64> = {
        let first = segment::first(second.file_name().unwrap().to_str().unwrap()).unwrap();
        let next = fs.files().into_keys().filter(|path| path.extension().is_some()).nth(2).unwrap();
        let next = segment::first(next.file_name().unwrap().to_str().unwrap()).unwrap();
        (first as i64..next as i64).collect()
    };
    let rest: Vec<i64> = (1..=9).filter(|number| !lost.contains(number)).collect();
    fs.remove(&second).unwrap();
    assert_eq!(opened(&fs), (rest.clone(), 0, 3));
    let fs = build();
    fs.edit(&second, |bytes| bytes.clear());
    assert_eq!(opened(&fs), (rest, 0, 3));
}
