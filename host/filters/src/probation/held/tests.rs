use super::*;
use crate::tests::messages;

#[test]
fn what_is_held_is_bounded_and_what_is_over_is_counted() {
    let ledger = Arc::<Ledger>::default();
    let large = messages(&[&"x".repeat(MOST / 2), "small"]);
    let receipt = receipt::issue(&ledger, 2, 0, |_| {});
    let mut held = Held::default();
    for _ in 0..3 {
        if let Some(picked) = held.room_for(&large, [0].into_iter()) {
            held.hold(picked, &receipt);
        }
    }
    assert_eq!(held.count(), (1, 2));
    let small = held.room_for(&large, [1].into_iter()).unwrap();
    assert_eq!(small.rows(), 1);
    held.hold(small, &receipt);
    receipt.dead_lettered();
    held.batches().for_each(|batch| batch.receipt.delivered());
    let accounts = ledger.read();
    assert_eq!((accounts.restored, accounts.delivered, accounts.in_flight()), (2, 2, 0));
}

#[test]
fn letters_go_when_all_records_have_arrived_and_stay_where_one_has_not() {
    for is_one_lost in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let all = DeadLetters::open(folder.path()).unwrap();
        let files = || {
            let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            names.filter(|name| name.to_string_lossy().ends_with(".ndjson")).count()
        };
        all.raw("source", "in", [("why", b"x".as_slice())]).unwrap();
        let (ledger, records) = (Arc::<Ledger>::default(), messages(&["a", "b"]));
        let receipt = receipt::issue(&ledger, 4, 0, |_| {});
        let mut held = Held::default();
        for _ in 0..2 {
            let picked = held.room_for(&records, [0, 1].into_iter()).unwrap();
            held.letters(&all).unwrap().raw("filter", "mine", [("why", b"y".as_slice())]).unwrap();
            held.hold(picked, &receipt);
        }
        receipt.dead_lettered();
        assert_eq!(files(), 2, "they are in a file of their own");
        let mut batches = held.batches();
        batches.next().unwrap().receipt.delivered();
        assert_eq!(files(), 2);
        let last = batches.next().unwrap();
        if is_one_lost {
            drop(last)
        } else {
            last.receipt.delivered()
        }
        assert_eq!(files(), if is_one_lost { 2 } else { 1 });
    }
}
