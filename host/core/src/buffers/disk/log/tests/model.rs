//! Whatever is done to a log and its disk: what was promised to be stored comes out, in order, and of what was settled
//! no more comes again than could not be noted down.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Appends so many batches.
    Append(u8),
    /// Reads so many frames.
    Read(u8),
    /// Settles one of the frames that were read, and notes it down.
    Settle(u8),
    /// Lets a call fail after so many bytes and calls.
    Fail(u16),
    /// The process is killed after so many more.
    Kill(u16),
    /// The machine crashes after so many more; the bytes say what survives.
    Crash(u16, Vec<u8>),
    /// It ends as it should.
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u8..4).prop_map(Step::Append),
        4 => (1u8..6).prop_map(Step::Read),
        4 => any::<u8>().prop_map(Step::Settle),
        2 => (0u16..3000).prop_map(Step::Fail),
        1 => (0u16..3000).prop_map(Step::Kill),
        1 => ((0u16..3000), vec(any::<u8>(), 1..40)).prop_map(|(fuel, survives)| Step::Crash(fuel, survives)),
        1 => Just(Step::Close),
    ]
}

/// What the log must still hold.
#[derive(Default)]
struct Model {
    next: i64,
    /// Promised and not settled.
    stored: BTreeSet<i64>,
    /// Appended without a promise: may come out.
    unsure: BTreeSet<i64>,
    /// Settled: may come out again after a crash, and after a note that failed.
    settled: BTreeSet<i64>,
    /// Settled in this run, and not noted down yet.
    unnoted: BTreeSet<i64>,
    /// Settled and noted down, so that nothing but a crash of the machine brings it back.
    noted: BTreeSet<i64>,
    /// Read and not settled, in this run.
    leased: Vec<(u64, i64)>,
    last: Option<i64>,
}

impl Model {
    fn append(&mut self, log: &mut Log, count: u8) {
        let numbers: Vec<i64> = (self.next..).take(usize::from(count)).collect();
        self.next += i64::from(count);
        match append(log, &numbers) {
            Ok(_) => self.stored.extend(numbers),
            Err(_) => self.unsure.extend(numbers),
        }
    }

    fn read(&mut self, log: &mut Log, count: usize) {
        for _ in 0..count {
            match log.read() {
                Ok(Read::Frame(head, records, _)) => {
                    let number = number(&records);
                    assert!(self.last.is_none_or(|last| last < number), "{number} after {:?}", self.last);
                    assert!(!self.noted.contains(&number), "{number} was settled");
                    let known = [&self.stored, &self.unsure, &self.settled];
                    assert!(known.iter().any(|set| set.contains(&number)), "{number}");
                    self.last = Some(number);
                    self.leased.push((head.sequence, number));
                }
                Ok(Read::Parked(parked)) => panic!("{parked:?}"),
                Ok(Read::End) => return,
                Err(_) => {}
            }
        }
    }

    fn settle(&mut self, log: &mut Log, which: u8) {
        if self.leased.is_empty() {
            return;
        }
        let (sequence, number) = self.leased.remove(usize::from(which) % self.leased.len());
        log.settle(sequence, sequence + 1);
        self.stored.remove(&number);
        self.unsure.remove(&number);
        self.settled.insert(number);
        self.unnoted.insert(number);
        if log.sweep().is_ok() {
            self.noted.append(&mut self.unnoted);
        }
    }

    /// Everything is there in the next run.
    fn check(&mut self, fs: &Faulty) -> Log {
        (self.leased, self.last) = (Vec::new(), None);
        self.unnoted.clear();
        let mut log = open(fs);
        let found: BTreeSet<i64> = {
            let before = self.leased.len();
            self.read(&mut log, usize::MAX);
            self.leased[before..].iter().map(|(_, number)| *number).collect()
        };
        let missing: Vec<&i64> = self.stored.difference(&found).collect();
        assert!(missing.is_empty(), "{missing:?} are missing of {found:?}");
        drop(log);
        (self.leased, self.last) = (Vec::new(), None);
        open(fs)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_stored_comes_out_after_any_crash_in_order_and_no_more_again_than_was_not_noted(
        steps in vec(step(), 1..60),
    ) {
        let (fs, mut model) = (Faulty::default(), Model::default());
        let mut log = open(&fs);
        for step in steps {
            match step {
                Step::Append(count) => model.append(&mut log, count),
                Step::Read(count) => model.read(&mut log, usize::from(count)),
                Step::Settle(which) => model.settle(&mut log, which),
                Step::Fail(fuel) => fs.fail_after(u64::from(fuel), false),
                Step::Kill(fuel) => {
                    fs.fail_after(u64::from(fuel), true);
                    model.append(&mut log, 3);
                    model.settle(&mut log, 0);
                    drop(log);
                    fs.kill();
                    log = model.check(&fs);
                }
                Step::Crash(fuel, survives) => {
                    fs.fail_after(u64::from(fuel), true);
                    model.append(&mut log, 3);
                    model.settle(&mut log, 0);
                    drop(log);
                    let mut survives = survives.into_iter().cycle();
                    fs.crash(|| survives.next().unwrap());
                    // Notes are not synced one by one.
                    model.noted.clear();
                    log = model.check(&fs);
                }
                Step::Close => {
                    if log.close().is_ok() {
                        model.noted.append(&mut model.unnoted);
                    }
                    drop(log);
                    fs.kill();
                    log = model.check(&fs);
                }
            }
        }
        drop(log);
        fs.kill();
        model.check(&fs);
    }
}
