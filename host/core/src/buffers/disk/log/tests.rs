use std::collections::BTreeSet;

use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;

use super::super::faulty::Faulty;
use super::super::frame::{Draft, encode};
use super::super::fs::Real;
use super::super::segment::Found;
use super::*;
use crate::batch::{Kind, Records};

mod damage;
mod model;

/// A batch whose records all have this number.
pub fn records(number: i64, rows: usize) -> Records {
    let field = |name| Arc::new(Kind::Int64.field(name));
    let array = Arc::new(Int64Array::from(vec![number; rows]));
    let constant = (field("host"), Arc::new(Int64Array::from(vec![7])) as _);
    Records::of(rows, vec![(field("n"), array)], vec![constant]).unwrap()
}

pub fn number(records: &Records) -> i64 {
    records.column("n").unwrap().array().as_primitive::<Int64Type>().value(0)
}

pub fn folder() -> &'static Path {
    Path::new("/buffer")
}

pub fn open(fs: &Faulty) -> Log {
    let (mut log, _) = Log::open(Arc::new(fs.clone()), folder()).unwrap();
    log.set_segment_bytes(2000);
    log
}

/// Appends batches with these numbers.
pub fn append(log: &mut Log, numbers: &[i64]) -> io::Result<Vec<Placed>> {
    let batches: Vec<Records> = numbers.iter().map(|number| records(*number, 2)).collect();
    let frame = |records| encode(&Draft { records, source: "in", stream: 1, weight: 100 }).unwrap();
    let frames: Vec<Frame> = batches.iter().map(frame).collect();
    log.append(&frames.iter().collect::<Vec<_>>(), 5)
}

/// The sequences and numbers of all frames that are left to read, and how much was parked.
pub fn read_all(log: &mut Log) -> (Vec<(u64, i64)>, Vec<Parked>) {
    let (mut found, mut parked) = (Vec::new(), Vec::new());
    loop {
        match log.read().unwrap() {
            Read::Frame(head, records, source) => {
                assert_eq!((head.rows, &*source, head.time), (2, "in", 5));
                found.push((head.sequence, number(&records)));
            }
            Read::Parked(one) => parked.push(one),
            Read::End => {
                assert!(!log.has_unread());
                return (found, parked);
            }
        }
    }
}

fn numbers(log: &mut Log) -> Vec<i64> {
    let (found, parked) = read_all(log);
    assert!(parked.is_empty(), "{parked:?}");
    found.iter().map(|(_, number)| *number).collect()
}

fn segments(fs: &Faulty) -> usize {
    fs.files().keys().filter(|path| path.extension().is_some_and(|end| end == "segment")).count()
}

#[test]
fn frames_are_read_in_the_order_in_which_they_were_appended_in_this_run_and_in_the_next() {
    let fs = Faulty::default();
    let mut log = open(&fs);
    append(&mut log, &[1, 2]).unwrap();
    append(&mut log, &[3]).unwrap();
    assert_eq!(numbers(&mut log), [1, 2, 3]);
    append(&mut log, &[4, 5, 6]).unwrap();
    assert_eq!(numbers(&mut log), [4, 5, 6]);
    drop(log);
    assert_eq!(numbers(&mut open(&fs)), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_need_not_be_read_is_passed_over() {
    let mut log = open(&Faulty::default());
    let placed = append(&mut log, &[1, 2, 3]).unwrap();
    assert!(!log.pass(&placed[1]), "the first one is to be read before");
    assert!(log.pass(&placed[0]) && log.pass(&placed[1]));
    assert_eq!(numbers(&mut log), [3]);
    let placed = append(&mut log, &[4]).unwrap();
    assert!(log.pass(&placed[0]) && !log.has_unread());
}

#[test]
fn a_segment_is_removed_when_all_its_frames_are_settled_and_its_sequences_are_not_used_again() {
    let fs = Faulty::default();
    let mut log = open(&fs);
    (0..6).for_each(|turn| _ = append(&mut log, &[turn * 2, turn * 2 + 1]).unwrap());
    assert!(segments(&fs) > 2);
    let all = read_all(&mut log).0;
    // In any order, but for one.
    for (sequence, _) in all.iter().rev().filter(|(sequence, _)| *sequence != 5) {
        log.settle(*sequence, sequence + 1);
    }
    log.sweep().unwrap();
    assert_eq!(log.segments().0 as usize, segments(&fs));
    drop(log);
    let mut log = open(&fs);
    assert_eq!(read_all(&mut log).0, [(5, 4)]);
    log.settle(5, 6);
    log.close().unwrap();
    assert_eq!(segments(&fs), 0);
    drop(log);
    let placed = append(&mut open(&fs), &[20]).unwrap();
    assert_eq!(placed[0].sequence, 13);
}

#[test]
fn a_folder_has_one_log_at_a_time() {
    let fs = Faulty::default();
    let log = open(&fs);
    let error = Log::open(Arc::new(fs.clone()), folder()).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(log);
    open(&fs);
}

#[test]
fn an_older_flitch_leaves_alone_what_a_newer_one_wrote() {
    for name in [segment::name(1), super::super::acks::FILE.to_owned()] {
        let fs = Faulty::default();
        let mut log = open(&fs);
        append(&mut log, &[1, 2, 3, 4]).unwrap();
        log.settle(1, 2);
        log.sweep().unwrap();
        drop(log);
        let newer = segment::VERSION + 1;
        fs.edit(&folder().join(&name), |bytes| bytes[..HEADER].copy_from_slice(&Header::of(newer)));
        let before = fs.files();
        let error = Log::open(Arc::new(fs.clone()), folder()).err().unwrap().to_string();
        assert!(
            error.contains(&name) && error.contains(&format!("a newer flitch (format {newer}")),
            "{error}"
        );
        assert_eq!(fs.files(), before);
    }
}

#[test]
fn the_file_of_what_is_settled_does_not_grow_for_ever() {
    let fs = Faulty::default();
    let mut log = open(&fs);
    for turn in 0..5000 {
        append(&mut log, &[turn]).unwrap();
        let (sequence, _) = read_all(&mut log).0[0];
        log.settle(sequence, sequence + 1);
        log.sweep().unwrap();
    }
    let length = fs.files()[&folder().join(super::super::acks::FILE)].len();
    assert!(length < 60_000, "{length}");
    assert!(segments(&fs) <= 2);
    drop(log);
    assert_eq!(numbers(&mut open(&fs)), [0; 0]);
}

#[test]
fn a_write_that_fails_at_any_byte_promises_nothing_and_can_be_repeated() {
    let whole = {
        let fs = Faulty::default();
        let mut log = open(&fs);
        append(&mut log, &[1]).unwrap();
        let before = fs.changes();
        append(&mut log, &[2, 3]).unwrap();
        fs.changes() - before
    };
    for fuel in 0..whole {
        let fs = Faulty::default();
        let mut log = open(&fs);
        append(&mut log, &[1]).unwrap();
        fs.fail_after(fuel, false);
        append(&mut log, &[2, 3]).unwrap_err();
        append(&mut log, &[2, 3]).unwrap();
        assert_eq!(numbers(&mut log), [1, 2, 3], "{fuel}");
        drop(log);
        assert_eq!(numbers(&mut open(&fs)), [1, 2, 3], "{fuel}");
    }
}

#[test]
fn what_is_appended_after_somebody_has_removed_the_files_is_there_in_the_next_run() {
    let fs = Faulty::default();
    let mut log = open(&fs);
    append(&mut log, &[1, 2]).unwrap();
    log.settle(1, 2);
    log.sweep().unwrap();
    fs.sweep_away();
    append(&mut log, &[3]).unwrap_err();
    append(&mut log, &[3, 4]).unwrap();
    assert_eq!(numbers(&mut log), [2, 3, 4], "what is open can be read");
    log.settle(2, 4);
    log.sweep().unwrap();
    drop(log);
    assert_eq!(numbers(&mut open(&fs)), [4]);
}

#[test]
fn frames_whose_files_somebody_has_removed_are_missing_and_those_after_them_are_read() {
    let fs = Faulty::default();
    let mut log = open(&fs);
    (0..6).for_each(|turn| _ = append(&mut log, &[turn * 2, turn * 2 + 1]).unwrap());
    assert!(segments(&fs) > 2);
    fs.sweep_away();
    // The last one is full, and nothing is appended to it.
    append(&mut log, &[20]).unwrap();
    let again = log.read_again(2).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::InvalidData, "{again}");
    assert_eq!(numbers(&mut log), [20]);
    assert_eq!(log.take_missing(), 12);
    assert!(log.is_settled(12) && !log.is_settled(13));
    log.sweep().unwrap();
    assert_eq!((log.segments().0, segments(&fs)), (1, 1));
}

#[test]
fn a_folder_that_was_removed_is_made_again_with_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("above/out");
    let fs: Arc<dyn Fs> = Arc::new(Real);
    let (mut log, _) = Log::open(fs.clone(), &path).unwrap();
    append(&mut log, &[1]).unwrap();
    std::fs::remove_dir_all(folder.path().join("above")).unwrap();
    append(&mut log, &[2]).unwrap_err();
    append(&mut log, &[2]).unwrap();
    assert_eq!(numbers(&mut log), [1, 2]);
    let error = Log::open(fs.clone(), &path).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(log);
    assert_eq!(numbers(&mut Log::open(fs, &path).unwrap().0), [2]);
}

#[test]
fn it_works_on_the_disk_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("above/out");
    let fs: Arc<dyn Fs> = Arc::new(Real);
    let (mut log, _) = Log::open(fs.clone(), &path).unwrap();
    // More parts than one call takes.
    let all: Vec<i64> = (0..300).collect();
    append(&mut log, &all).unwrap();
    assert_eq!(numbers(&mut log), all);
    log.settle(1, 300);
    log.close().unwrap();
    assert!(Log::open(fs.clone(), &path).is_err());
    drop(log);
    let (mut log, opened) = Log::open(fs, &path).unwrap();
    assert_eq!((opened.waiting.frames, opened.waiting.records), (1, 2));
    assert_eq!(numbers(&mut log), [299]);
}
