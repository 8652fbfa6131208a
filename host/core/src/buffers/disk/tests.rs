use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;

use super::super::contract::{self, Subject};
use super::faulty::Faulty;
use super::frame::HEAD;
use super::fs::{Fs, Real};
use super::log::tests::{number, records};
use super::segment::HEADER;
use super::shelf::{BufferContext, Shelf, Wanted};
use super::{QUEUE, segment};
use crate::backoff::Backoff;
use crate::batch::{Batch, StreamId};
use crate::buffers::{Ack, Buffer, BufferKind, BufferSettings, WhenFull};
use crate::clock::Clock;
use crate::dead_letter::DeadLetters;
use crate::dead_letter::read::{Filter, letters};
use crate::receipt::{Ledger, Verdict, issue};
use crate::telemetry::Tally;
use crate::units::Bytes;

struct OnDisk;

impl Subject for OnDisk {
    const KEEPS: bool = true;

    fn open(settings: &BufferSettings, best_effort: bool, dropped: Tally) -> Buffer {
        let machine = Machine::default();
        let wanted = machine.wanted(settings);
        let disk = machine.shelf.open("out", &wanted, &machine.context()).unwrap();
        Buffer::on_disk_of(disk, settings, best_effort, dropped)
    }
}

#[tokio::test]
async fn it_keeps_the_contract_of_buffers() {
    contract::keep::<OnDisk>().await;
}

/// Longer than anything takes that is not to wait for ever.
const LONG: Duration = Duration::from_secs(60);

/// A process with one source, on a disk that outlives it.
#[derive(Default)]
struct Machine {
    fs: Faulty,
    shelf: Shelf,
    ledger: Arc<Ledger>,
    letters: Option<DeadLetters>,
    health: Arc<crate::telemetry::Health>,
    verdicts: Arc<Mutex<Vec<Verdict>>>,
}

impl Machine {
    /// The next process on the same disk.
    fn restarted(&self) -> Machine {
        self.fs.kill();
        Machine { fs: self.fs.clone(), ..Machine::default() }
    }

    fn context(&self) -> BufferContext {
        let ledger = self.ledger.clone();
        BufferContext {
            folder: PathBuf::new(),
            shelf: self.shelf.clone(),
            ledgers: Arc::new(move |_| ledger.clone()),
            dead_letters: self.letters.clone(),
            health: self.health.clone(),
            clock: Clock::fake(7),
        }
    }

    fn wanted(&self, settings: &BufferSettings) -> Wanted {
        Wanted {
            fs: Arc::new(self.fs.clone()),
            folder: folder().to_owned(),
            max_bytes: settings.most_bytes(),
            ack: settings.ack.unwrap_or_default(),
            pauses: Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(2) },
        }
    }

    fn open_with(&self, settings: &BufferSettings) -> anyhow::Result<Buffer> {
        let wanted = self.wanted(settings);
        let disk = self.shelf.open("out", &wanted, &self.context())?;
        Ok(Buffer::on_disk_of(disk, settings, false, Tally::noop()))
    }

    fn open(&self) -> Buffer {
        self.open_with(&on_disk()).unwrap()
    }

    fn batch(&self, number: i64) -> Batch {
        let records = Arc::new(records(number, 2));
        let verdicts = self.verdicts.clone();
        let receipt = issue(&self.ledger, 2, 2, move |verdict| verdicts.lock().push(verdict));
        Batch { records, receipt, stream: StreamId::UNORDERED }
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.lock().clone()
    }
}

fn on_disk() -> BufferSettings {
    BufferSettings { kind: BufferKind::Disk, ..BufferSettings::default() }
}

async fn push(buffer: &Buffer, batch: Batch) {
    timeout(LONG, buffer.push(batch)).await.expect("room, in time").unwrap();
}

fn folder() -> &'static Path {
    Path::new("/buffer")
}

async fn lease(buffer: &Buffer) -> Option<Batch> {
    timeout(LONG, buffer.lease()).await.expect("a batch or the end, in time")
}

/// The number of the next batch, which is delivered.
async fn next(buffer: &Buffer) -> Option<i64> {
    let batch = lease(buffer).await?;
    let number = number(&batch.records);
    batch.receipt.delivered();
    Some(number)
}

/// Waits until it is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, wait).await.expect("it is so in time");
}

async fn end(buffer: Buffer) {
    buffer.leave();
    timeout(LONG, buffer.ended()).await.expect("it ends");
}

#[tokio::test]
async fn what_was_not_delivered_comes_after_a_restart_and_the_accounts_of_both_processes_agree() {
    let first = Machine::default();
    let buffer = first.open();
    for number in 0..4 {
        push(&buffer, first.batch(number)).await;
    }
    assert_eq!(next(&buffer).await, Some(0));
    let leased = lease(&buffer).await.unwrap();
    until(|| first.verdicts().len() == 4).await;
    drop(leased);
    end(buffer).await;
    let accounts = first.ledger.read();
    assert_eq!((accounts.received, accounts.stored, accounts.delivered), (8, 8, 2));
    assert_eq!((accounts.restored, accounts.returned, accounts.in_flight()), (4, 2, 0));

    let second = first.restarted();
    let buffer = second.open();
    assert_eq!((buffer.stats().records, buffer.on_disk().unwrap().segments), (6, 1));
    for number in 1..4 {
        assert_eq!(next(&buffer).await, Some(number));
    }
    end(buffer).await;
    let accounts = second.ledger.read();
    assert_eq!((accounts.restored, accounts.delivered, accounts.in_flight()), (6, 6, 0));
    assert!(second.restarted().open().try_lease().is_none());
}

#[tokio::test]
async fn with_ack_delivered_a_source_waits_for_the_output() {
    let machine = Machine::default();
    let settings = BufferSettings { ack: Some(Ack::Delivered), ..on_disk() };
    let buffer = machine.open_with(&settings).unwrap();
    for number in 0..3 {
        push(&buffer, machine.batch(number)).await;
    }
    let batch = lease(&buffer).await.unwrap();
    assert!(machine.verdicts().is_empty());
    batch.receipt.delivered();
    assert_eq!(machine.verdicts(), [Verdict::Safe]);
    drop(lease(&buffer).await);
    assert_eq!(next(&buffer).await, Some(1), "from the buffer, and not from the source");
    assert_eq!(machine.verdicts(), [Verdict::Safe; 2]);
    end(buffer).await;
    assert_eq!(machine.verdicts(), [Verdict::Safe, Verdict::Safe, Verdict::Again]);
    assert_eq!(machine.ledger.read().in_flight(), 0);
}

#[tokio::test]
async fn a_full_disk_makes_the_source_wait_until_there_is_room_and_is_seen() {
    let machine = Machine::default();
    let buffer = machine.open();
    push(&buffer, machine.batch(0)).await;
    until(|| machine.verdicts().len() == 1).await;
    machine.fs.set_room(Some(0));
    push(&buffer, machine.batch(1)).await;
    until(|| buffer.on_disk().unwrap().failing).await;
    assert!(machine.health.down()[0].starts_with("disk out: "), "{:?}", machine.health.down());
    // What is there can be taken.
    assert_eq!(next(&buffer).await, Some(0));
    assert_eq!(machine.verdicts().len(), 1);
    machine.fs.set_room(None);
    assert_eq!(next(&buffer).await, Some(1));
    assert!(!buffer.on_disk().unwrap().failing && machine.health.down().is_empty());
    assert_eq!(machine.verdicts(), [Verdict::Safe; 2]);
}

#[tokio::test]
async fn a_full_disk_has_room_again_when_the_output_has_taken_what_was_there() {
    let first = Machine::default();
    let buffer = first.open();
    for number in 0..4 {
        push(&buffer, first.batch(number)).await;
    }
    until(|| first.verdicts().len() == 4).await;
    end(buffer).await;
    let second = first.restarted();
    second.fs.set_room(Some(0));
    let buffer = second.open();
    push(&buffer, second.batch(4)).await;
    until(|| buffer.on_disk().unwrap().failing).await;
    second.fs.set_room(Some(second.fs.files().values().map(|bytes| bytes.len() as u64).sum()));
    for number in 0..5 {
        assert_eq!(next(&buffer).await, Some(number));
    }
    end(buffer).await;
}

#[tokio::test]
async fn a_disk_that_is_almost_full_takes_what_it_has_room_for() {
    let machine = Machine::default();
    let buffer = machine.open();
    let used = || machine.fs.files().values().map(|bytes| bytes.len() as u64).sum::<u64>();
    push(&buffer, machine.batch(0)).await;
    until(|| machine.verdicts().len() == 1).await;
    let frame = used();
    machine.fs.set_room(Some(0));
    for number in 1..4 {
        push(&buffer, machine.batch(number)).await;
    }
    until(|| buffer.on_disk().unwrap().failing).await;
    for count in 2..5 {
        machine.fs.set_room(Some(used() + frame));
        until(|| machine.verdicts().len() == count).await;
    }
    until(|| !buffer.on_disk().unwrap().failing).await;
    for number in 0..4 {
        assert_eq!(next(&buffer).await, Some(number));
    }
    end(buffer).await;
}

#[tokio::test]
async fn before_a_disk_that_takes_nothing_memory_is_bounded_and_what_is_too_much_waits_or_is_dropped() {
    for when_full in [WhenFull::Block, WhenFull::DropNewest] {
        let machine = Machine::default();
        let settings = BufferSettings { when_full, ..on_disk() };
        let buffer = machine.open_with(&settings).unwrap();
        machine.fs.set_room(Some(0));
        let large = || {
            let mut batch = machine.batch(1);
            batch.records = Arc::new(records(1, 100_000));
            let verdicts = machine.verdicts.clone();
            drop(std::mem::replace(
                &mut batch.receipt,
                issue(&machine.ledger, 100_000, 1, move |verdict| verdicts.lock().push(verdict)),
            ));
            batch
        };
        let weight = large().records.memory() as u64;
        let mut taken = 0;
        while let Ok(Ok(())) = buffer.try_push(large()) {
            taken += 1;
            if when_full == WhenFull::DropNewest && machine.ledger.read().dropped > 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(taken * weight <= 3 * QUEUE, "{taken}");
        until(|| buffer.is_full()).await;
        assert_eq!(buffer.holds_up(), when_full == WhenFull::Block);
        // Its end comes all the same, and nothing is said to be safe.
        end(buffer).await;
        assert_eq!(machine.ledger.read().stored, 0);
        assert_eq!(machine.ledger.read().in_flight(), 0);
    }
}

#[tokio::test]
async fn the_records_of_a_frame_whose_checksum_does_not_fit_are_dead_letters_and_the_others_go_on() {
    let first = Machine::default();
    let buffer = first.open();
    for number in [1, 0x5ca1_ab1e, 3] {
        push(&buffer, first.batch(number)).await;
    }
    until(|| first.verdicts().len() == 3).await;
    end(buffer).await;
    first.fs.edit(&folder().join(segment::name(1)), |bytes| {
        let place = bytes.windows(4).position(|w| w == 0x5ca1_ab1e_i32.to_le_bytes()).unwrap();
        bytes[place..place + 4].copy_from_slice(&77i32.to_le_bytes());
    });
    let folder = tempfile::tempdir().unwrap();
    let second = Machine { letters: Some(DeadLetters::open(folder.path()).unwrap()), ..first.restarted() };
    let buffer = second.open();
    assert_eq!((next(&buffer).await, next(&buffer).await), (Some(1), Some(3)));
    until(|| buffer.on_disk().unwrap().parked == 1).await;
    end(buffer).await;
    let accounts = second.ledger.read();
    assert_eq!((accounts.restored, accounts.delivered, accounts.dead_lettered), (6, 4, 2));
    assert_eq!(accounts.in_flight(), 0);
    let mut found = Vec::new();
    letters(folder.path(), &Filter::default(), |letter| {
        found.push((letter.reason.clone(), letter.record.as_ref().unwrap().get().to_owned()));
        Ok(true)
    })
    .unwrap();
    assert_eq!(found.len(), 2);
    assert!(found[0].0.contains("its checksum does not fit") && found[0].1.contains("\"n\":77"), "{found:?}");
}

#[tokio::test]
async fn a_reload_that_replaces_a_buffer_goes_on_with_what_waits_and_one_that_is_refused_changes_nothing() {
    let machine = Machine::default();
    let old = machine.open();
    for number in 0..3 {
        push(&old, machine.batch(number)).await;
    }
    let refused = machine.open();
    end(refused).await;
    assert_eq!(next(&old).await, Some(0));
    let settings = BufferSettings { max_bytes: Some(Bytes(1)), ..on_disk() };
    let new = machine.open_with(&settings).unwrap();
    assert!(old.is_full() && new.is_full(), "the new bound holds");
    let leased = lease(&old).await.unwrap();
    old.close();
    assert!(lease(&old).await.is_none(), "the new one gives out the rest");
    assert_eq!(next(&new).await, Some(2));
    drop(leased);
    end(old).await;
    assert_eq!(next(&new).await, Some(1));
    push(&new, machine.batch(3)).await;
    assert_eq!(next(&new).await, Some(3));
    assert_eq!(machine.ledger.read().in_flight(), 0);
}

#[tokio::test]
async fn what_comes_by_the_new_buffer_of_a_reload_does_not_go_to_the_old_output() {
    let machine = Machine::default();
    let (old, new) = (machine.open(), machine.open());
    push(&old, machine.batch(0)).await;
    assert_eq!(next(&old).await, Some(0));
    push(&new, machine.batch(1)).await;
    until(|| machine.verdicts().len() == 2).await;
    assert!(old.try_lease().is_none());
    push(&old, machine.batch(2)).await;
    old.close();
    assert!(lease(&old).await.is_none());
    assert_eq!((next(&new).await, next(&new).await), (Some(1), Some(2)));
    // One that is refused after all leaves what came by it to the other.
    let refused = machine.open();
    push(&refused, machine.batch(3)).await;
    until(|| machine.verdicts().len() == 4).await;
    assert!(new.try_lease().is_none());
    end(refused).await;
    assert_eq!(next(&new).await, Some(3));
}

#[tokio::test]
async fn a_buffer_that_everybody_left_can_be_opened_again() {
    let machine = Machine::default();
    for number in 0..20 {
        let buffer = machine.open();
        push(&buffer, machine.batch(number)).await;
        assert_eq!(next(&buffer).await, Some(number));
        drop(buffer);
    }
}

/// A batch that takes a third of the window.
fn large(machine: &Machine, number: i64) -> Batch {
    let rows = (super::WINDOW / 24) as usize;
    let mut batch = machine.batch(number);
    batch.records = Arc::new(records(number, rows));
    batch.receipt.grow(rows - 2);
    batch
}

#[tokio::test]
async fn what_waits_on_disk_is_not_in_memory_and_comes_in_order() {
    let machine = Machine::default();
    let buffer = machine.open();
    for number in 0..12 {
        push(&buffer, large(&machine, number)).await;
    }
    until(|| machine.verdicts().len() == 12).await;
    for number in 0..12 {
        assert_eq!(next(&buffer).await, Some(number));
    }
    assert_eq!(buffer.stats().bytes, 0);
}

#[tokio::test]
async fn what_is_leased_for_long_is_not_in_memory_and_what_comes_back_is_read_once_more_in_order() {
    let machine = Machine::default();
    let buffer = machine.open();
    let mut leases = Vec::new();
    for place in 0..4 {
        push(&buffer, machine.batch(place)).await;
        let Batch { records, receipt, .. } = lease(&buffer).await.unwrap();
        let weak = Arc::downgrade(&records);
        drop(records);
        assert!(weak.upgrade().is_none());
        leases.push(receipt);
    }
    push(&buffer, machine.batch(4)).await;
    leases.remove(1).delivered();
    // Those that came last come back first.
    while let Some(receipt) = leases.pop() {
        drop(receipt);
    }
    for wanted in [0, 2, 3, 4] {
        assert_eq!(next(&buffer).await, Some(wanted));
    }
    assert_eq!(buffer.stats().records, 0);
    end(buffer).await;
}

#[tokio::test]
async fn what_comes_back_and_cannot_be_read_any_more_is_counted_and_holds_up_nothing() {
    let machine = Machine::default();
    let buffer = machine.open();
    push(&buffer, machine.batch(0)).await;
    push(&buffer, machine.batch(1)).await;
    let back = lease(&buffer).await.unwrap();
    let segment =
        machine.fs.files().into_keys().find(|path| path.extension().is_some_and(|end| end == "segment"));
    machine.fs.edit(&segment.unwrap(), |bytes| bytes[HEADER + HEAD] ^= 1);
    drop(back);
    assert_eq!(next(&buffer).await, Some(1));
    until(|| buffer.on_disk().unwrap().parked == 1).await;
    assert_eq!(buffer.stats().records, 0);
    end(buffer).await;
}

#[tokio::test]
async fn while_there_are_no_descriptors_nothing_is_taken_for_lost() {
    const EMFILE: i32 = 24;
    let machine = Machine::default();
    let buffer = machine.open();
    for number in 0..12 {
        push(&buffer, large(&machine, number)).await;
    }
    until(|| machine.verdicts().len() == 12).await;
    let fs = &machine.fs;
    let refused = || {
        let before = fs.refusals();
        until(move || fs.refusals() > before + 10)
    };
    // What came back is to be read again.
    machine.fs.refuse(Some(EMFILE));
    drop(lease(&buffer).await);
    refused().await;
    machine.fs.refuse(None);
    assert_eq!(next(&buffer).await, Some(0));
    // What comes next is to be read for the first time.
    machine.fs.refuse(Some(EMFILE));
    let mut number = 1;
    while let Some(batch) = buffer.try_lease() {
        assert_eq!(self::number(&batch.records), number);
        batch.receipt.delivered();
        number += 1;
    }
    refused().await;
    machine.fs.refuse(None);
    for number in number..12 {
        assert_eq!(next(&buffer).await, Some(number));
    }
    assert_eq!(buffer.on_disk().unwrap().parked, 0);
    end(buffer).await;
}

#[test]
fn two_processes_do_not_share_a_folder_and_the_second_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = Wanted::real(folder.path().to_owned(), 1 << 20, Ack::Stored);
    let context = Machine::default().context();
    let _first = Shelf::default().open("out", &wanted, &context).unwrap();
    let error = Shelf::default().open("out", &wanted, &context).unwrap_err().to_string();
    assert!(error.contains("another process has the folder of the buffer"), "{error}");
    assert!(Real.list(folder.path()).unwrap().contains(&super::log::LOCK.to_owned()));
}
