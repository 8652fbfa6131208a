use std::sync::Arc;
use std::sync::mpsc;

use proptest::prelude::*;

use super::*;
use crate::telemetry::Tally;

fn issued(records: usize) -> (Arc<Ledger>, Receipt, mpsc::Receiver<Verdict>) {
    let ledger = Arc::new(Ledger::default());
    let (tell, told) = mpsc::sync_channel(1);
    let receipt = issue(&ledger, records, records * 10, move |verdict| tell.send(verdict).unwrap());
    (ledger, receipt, told)
}

#[test]
fn a_delivered_batch_is_safe() {
    let (ledger, receipt, told) = issued(3);
    assert_eq!(ledger.read().in_flight(), 3);
    receipt.delivered();
    assert_eq!(told.try_recv(), Ok(Verdict::Safe));
    assert_eq!(ledger.read().delivered, 3);
    assert_eq!(ledger.read().in_flight(), 0);
}

/// Tells when it hears of records that are sent again, and when it is let go of.
struct Heard(mpsc::SyncSender<&'static str>);

impl Witness for Heard {
    fn returned(&self) {
        self.0.send("returned").unwrap();
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let _ = self.0.send("let go");
    }
}

#[test]
fn a_witness_hears_that_records_come_again_before_their_source_does_and_is_let_go_of_with_the_last_share() {
    let (tell, heard) = mpsc::sync_channel(8);
    let issued = || {
        let source = tell.clone();
        let said = |verdict| if verdict == Verdict::Safe { "safe" } else { "again" };
        let receipt = issue(&Arc::default(), 3, 30, move |verdict| source.send(said(verdict)).unwrap());
        receipt.witnessed(Arc::new(Heard(tell.clone())));
        receipt
    };
    let mut receipt = issued();
    receipt.split(1).delivered();
    assert_eq!(heard.try_iter().count(), 0, "a share is under way");
    drop(receipt);
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["returned", "again", "let go"]);
    issued().delivered();
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["safe", "let go"]);
}

#[test]
fn what_a_buffer_keeps_is_safe_and_the_sum_holds_when_another_process_gives_it_out() {
    let (ledger, mut receipt, told) = issued(5);
    receipt.split(2).delivered();
    receipt.stored();
    assert_eq!(told.try_recv(), Ok(Verdict::Safe));
    let accounts = ledger.read();
    assert_eq!((accounts.stored, accounts.in_flight()), (3, 0));

    let next = Arc::new(Ledger::of("in"));
    let (tell, told) = mpsc::sync_channel(2);
    let restored = |records| {
        let tell = tell.clone();
        restore(&next, records, move |verdict| tell.send(verdict).unwrap())
    };
    let receipt = restored(3);
    assert_eq!(&**receipt.source(), "in");
    assert_eq!(next.read().in_flight(), 3);
    drop(receipt);
    assert_eq!(told.try_recv(), Ok(Verdict::Again), "the buffer gives it out again");
    assert_eq!(next.read().in_flight(), 0);
    restored(3).delivered();
    assert_eq!(told.try_recv(), Ok(Verdict::Safe));
    let accounts = next.read();
    assert_eq!(
        (accounts.restored, accounts.returned, accounts.delivered, accounts.in_flight()),
        (6, 3, 3, 0)
    );
}

#[test]
fn a_share_that_is_held_counts_as_stored_and_is_safe_when_it_is_let_go_of() {
    for arrives in [true, false] {
        let (ledger, mut receipt, told) = issued(5);
        receipt.split(2).delivered();
        let held = receipt.held();
        let accounts = ledger.read();
        assert_eq!((accounts.stored, accounts.in_flight()), (3, 0));
        assert!(told.try_recv().is_err(), "its source waits");
        if arrives {
            held.let_go()
        } else {
            drop(held)
        }
        assert_eq!(told.try_recv(), Ok(if arrives { Verdict::Safe } else { Verdict::Again }));
        assert_eq!((ledger.read().returned, ledger.read().in_flight()), (0, 0));
    }
}

#[test]
fn a_receipt_dropped_unsettled_means_send_again() {
    let (ledger, receipt, told) = issued(3);
    drop(receipt);
    assert_eq!(told.try_recv(), Ok(Verdict::Again));
    assert_eq!(ledger.read().returned, 3);
}

#[test]
fn nothing_is_told_before_the_last_share_settles_and_then_the_worst_verdict() {
    let (ledger, receipt, told) = issued(4);
    let copy = receipt.branch(4);
    receipt.delivered();
    assert!(told.try_recv().is_err());
    drop(copy);
    assert_eq!(told.try_recv(), Ok(Verdict::Again));
    let accounts = ledger.read();
    assert_eq!((accounts.received, accounts.copied), (4, 4));
    assert_eq!((accounts.delivered, accounts.returned), (4, 4));
}

#[test]
fn a_share_of_no_records_settles_by_itself() {
    let (_, mut receipt, told) = issued(2);
    let all = receipt.split(2);
    drop(receipt);
    all.dropped();
    assert_eq!(told.try_recv(), Ok(Verdict::Safe));
}

#[test]
fn a_share_that_nobody_waits_for_leaves_the_verdict_to_the_others() {
    let (ledger, receipt, told) = issued(4);
    let mut copy = receipt.branch(4).detach(Tally::noop(), 10);
    receipt.delivered();
    assert_eq!(told.try_recv(), Ok(Verdict::Safe));
    copy.split(1).delivered();
    assert_eq!(ledger.read().in_flight(), 3);
    drop(copy);
    let accounts = ledger.read();
    assert_eq!((accounts.delivered, accounts.dropped, accounts.returned, accounts.in_flight()), (5, 3, 0, 0));
}

proptest! {
    #[test]
    fn the_accounts_balance_whatever_becomes_of_the_shares(fates in prop::collection::vec((0u8..7, 1usize..9), 1..40)) {
        let (ledger, receipt, told) = issued(50);
        let mut shares = vec![receipt];
        let mut free = Vec::new();
        for (fate, n) in fates {
            let Some(mut share) = shares.pop() else { break };
            let records = share.records();
            let n = n.min(records as usize);
            match fate {
                0 => shares.push(share.branch(n)),
                1 => shares.push(share.split(n)),
                2 => { share.delivered(); continue }
                3 => { share.dropped(); continue }
                4 => { share.dead_lettered(); continue }
                5 => { free.push(share.detach(Tally::noop(), 0)); continue }
                _ => share.grow(n),
            }
            shares.insert(0, share);
            let open: u64 = shares.iter().chain(&free).map(Receipt::records).sum();
            prop_assert_eq!(ledger.read().in_flight(), open);
        }
        let lost = shares.iter().any(|s| s.records() > 0);
        drop(shares);
        let left: u64 = free.iter().map(Receipt::records).sum();
        prop_assert_eq!(ledger.read().in_flight(), left);
        let dropped = ledger.read().dropped;
        drop(free);
        prop_assert_eq!(ledger.read().in_flight(), 0);
        prop_assert_eq!(ledger.read().dropped, dropped + left);
        prop_assert_eq!(told.try_recv(), Ok(if lost { Verdict::Again } else { Verdict::Safe }));
    }

    #[test]
    fn the_watermark_is_the_longest_safe_prefix(order in Just((0..30usize).collect::<Vec<_>>()).prop_shuffle(), bad in prop::option::of(0..30usize)) {
        let mark = Watermark::new(None);
        let mut tickets: Vec<_> = (0..30usize).map(|i| Some(mark.ticket(i))).collect();
        let mut settled = [false; 30];
        for i in order {
            let verdict = if bad == Some(i) { Verdict::Again } else { Verdict::Safe };
            tickets[i].take().unwrap().settle(verdict);
            settled[i] = verdict == Verdict::Safe;
            let prefix = settled.iter().take_while(|s| **s).count();
            prop_assert_eq!(mark.safe(), prefix.checked_sub(1));
        }
        prop_assert_eq!(mark.failed(), bad.is_some());
        let safe = mark.restart();
        prop_assert_eq!(safe, mark.safe());
        prop_assert_eq!(mark.open(), 0);
    }
}

#[test]
fn a_batch_that_is_stuck_costs_the_memory_of_one_however_many_are_safe_behind_it() {
    let mark = Watermark::new(Some(0));
    let stuck = mark.ticket(1);
    // Settled in pairs that are turned round.
    for n in (2..100_000).step_by(2) {
        let (first, second) = (mark.ticket(n), mark.ticket(n + 1));
        second.settle(Verdict::Safe);
        first.settle(Verdict::Safe);
        assert!(mark.open() <= 3, "{} of {n}", mark.open());
    }
    assert_eq!((mark.safe(), mark.open()), (Some(0), 2));
    stuck.settle(Verdict::Safe);
    assert_eq!((mark.safe(), mark.open()), (Some(99_999), 0));
}

#[test]
fn a_ticket_from_before_a_restart_changes_nothing() {
    let mark = Watermark::new(Some(7));
    let old = mark.ticket(9);
    mark.restart();
    let new = mark.ticket(8);
    old.settle(Verdict::Safe);
    assert_eq!(mark.safe(), Some(7));
    new.settle(Verdict::Safe);
    assert_eq!(mark.safe(), Some(8));
}
