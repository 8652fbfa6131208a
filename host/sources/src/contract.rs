//! What every source must do, run on all of them: go on through a reload, whatever becomes of the pipelines that it
//! sends to, and lose nothing by it.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use tokio::time::{Instant, timeout};

use super::testing::context;
use super::{BESIDE, SourceKind};
use flitch_core::batch::Cut;
use flitch_core::buffers::Buffer;
use flitch_core::inlet::Inlet;
use flitch_core::setting::Wrong;
use flitch_core::testing::{closed, pipeline, silent_clients};

/// How many records a source is fed with.
pub(super) const RECORDS: usize = 6;
const LONG: Duration = Duration::from_secs(60);

/// Settings of a source, and clients for it.
pub(super) trait Specimen: SourceKind + Clone + Debug + Sized {
    /// Whether it refuses what pipelines have no room for; others let it wait. Records that were refused come in any
    /// order.
    const REFUSES: bool = false;
    /// Whether it sends again by itself, and so in order, what pipelines have left. Clients do it in the order that
    /// they like.
    const SENDS_AGAIN: bool = false;
    /// Whether it knows what it is fed with a second time for what it was fed with the first time.
    const KNOWS_AGAIN: bool = false;

    /// Settings for a test that has `folder` for itself.
    fn specimen(folder: &Path) -> Self;

    /// Gives a source with these settings its records as its clients would, until each is taken: [`texts`], where it can
    /// have any. Answers their texts.
    async fn feed(&self, folder: &Path) -> Vec<String>;
}

/// The texts of the records that a source is fed with.
pub(super) fn texts() -> Vec<String> {
    (0..RECORDS).map(|number| format!("record {number}")).collect()
}

/// Checks the contract with a type of source.
pub(super) async fn keep<S: Specimen>() {
    it_goes_on_in_order_behind_a_reload_and_sends_nothing_twice::<S>().await;
    it_sends_again_what_a_reload_has_left::<S>().await;
    it_goes_on_when_its_pipelines_close_before_it_has_others::<S>().await;
    where_it_listens_silent_clients_keep_out_nobody::<S>().await;
    each_record_has_an_origin_of_its_own_which_stays::<S>().await;
    one_that_is_ended_before_it_heard_anything_leaves_nothing_behind::<S>().await;
}

/// How the pipelines before the reload end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// They let go of all they have.
    Finished,
    /// They are stuck until the drain timeout.
    Left,
    /// They are closed before the source hears of others, as no reload should do.
    Closed,
}

/// Delivers what comes out of a buffer, and answers the texts.
async fn next(buffer: &Buffer) -> Vec<String> {
    let batch = timeout(LONG, buffer.lease()).await.expect("a batch in time").expect("an open buffer");
    let column = batch.records.column("message").expect("the text").array().clone();
    batch.receipt.delivered();
    column.as_string::<i32>().iter().map(|text| text.expect("a value").to_owned()).collect()
}

/// Runs a source into pipelines that are full, replaces them, and answers what came out before and after in the order in
/// which it came.
async fn through<S: Specimen>(end: End) {
    let folder = tempfile::tempdir().unwrap();
    let settings = S::specimen(folder.path());
    let name = format!("{end:?}: {settings:?}");
    let (mut cx, _, _state) = context("one");
    cx.cut = Cut { rows: 1, ..Cut::default() };
    let ((old, old_buffer), (new, new_buffer)) = (pipeline(1), pipeline(1));
    let connected = |inlet: Inlet| cx.intake.connect(vec![inlet]).expect("another pipeline");
    connected(old).open(true);
    let mut running = flitch_core::tasks::joined(settings.start(cx.clone()).await.expect("it starts"));
    let expected = settings.feed(folder.path()).await;
    // One record is in the buffer, and the next one waits for room, or is refused.
    let waits = || S::REFUSES || cx.intake.ledger().read().received > 1;
    let full = async {
        while !(old_buffer.is_full() && waits()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, full).await.expect("the source has something to send");
    // Its record is counted a moment before it waits.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let handover = match end {
        End::Finished => {
            let handover = connected(new);
            let mut out = Vec::new();
            let deadline = Instant::now() + LONG;
            let finished = async {
                let drained = async {
                    loop {
                        out.extend(next(&old_buffer).await);
                    }
                };
                tokio::select! {
                    biased;
                    arrived = handover.let_go(deadline) => arrived,
                    () = drained => unreachable!("it has no end"),
                }
            };
            assert!(finished.await, "{name}");
            while let Some(batch) = old_buffer.try_lease() {
                let column = batch.records.column("message").expect("the text").array().clone();
                out.push(column.as_string::<i32>().value(0).to_owned());
                batch.receipt.delivered();
            }
            handover.open(true);
            while out.len() < RECORDS {
                out.extend(next(&new_buffer).await);
            }
            if S::REFUSES {
                out.sort();
            }
            assert_eq!(out, expected, "{name}");
            None
        }
        End::Left => {
            let handover = connected(new);
            // What it has refused is nowhere.
            let is_stuck = !handover.let_go(Instant::now()).await;
            assert!(is_stuck || S::REFUSES, "{name}");
            old_buffer.close();
            Some(handover)
        }
        End::Closed => {
            old_buffer.close();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            Some(connected(new))
        }
    };
    if let Some(handover) = handover {
        while old_buffer.try_lease().is_some() {}
        handover.open(false);
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        while seen.len() < RECORDS {
            out.extend(next(&new_buffer).await.into_iter().filter(|text| seen.insert(text.clone())));
        }
        if !S::SENDS_AGAIN {
            out.sort();
        }
        assert_eq!(out, expected, "{name}");
    }
    assert!(!running.is_finished(), "{name}: a reload has ended it");
    cx.stop.cancel();
    loop {
        tokio::select! {
            ended = &mut running => break ended.expect("no panic").expect("no error"),
            _ = next(&new_buffer) => {}
        }
    }
    assert_eq!(cx.intake.ledger().read().in_flight(), 0, "{name}");
}

async fn it_goes_on_in_order_behind_a_reload_and_sends_nothing_twice<S: Specimen>() {
    through::<S>(End::Finished).await;
}

async fn it_sends_again_what_a_reload_has_left<S: Specimen>() {
    through::<S>(End::Left).await;
}

async fn it_goes_on_when_its_pipelines_close_before_it_has_others<S: Specimen>() {
    through::<S>(End::Closed).await;
}

/// No two records have one origin, equal ones neither; and what is read once more, by a source that knows nothing of the
/// first time, has the origin that it had.
async fn each_record_has_an_origin_of_its_own_which_stays<S: Specimen>() {
    let folder = tempfile::tempdir().unwrap();
    let settings = S::specimen(folder.path());
    let mut times: Vec<BTreeMap<String, u128>> = Vec::new();
    for _ in 0..2 {
        let (cx, buffer, _state) = context("one");
        let running = flitch_core::tasks::joined(settings.start(cx.clone()).await.expect("it starts"));
        let expected = settings.feed(folder.path()).await;
        let mut ids = BTreeMap::new();
        while ids.len() < expected.len() {
            let batch =
                timeout(LONG, buffer.lease()).await.expect("a batch in time").expect("an open buffer");
            let column = batch.records.column("message").expect("the text").array().clone();
            let origins = batch.records.origins().expect("each record has one").clone();
            let texts = column.as_string::<i32>().iter().map(|text| text.expect("a value").to_owned());
            ids.extend(texts.enumerate().map(|(row, text)| (text, origins.id(row))));
            batch.receipt.delivered();
        }
        cx.stop.cancel();
        timeout(LONG, running).await.expect("it ends").expect("no panic").expect("no error");
        times.push(ids);
    }
    let all: HashSet<u128> = times.iter().flat_map(BTreeMap::values).copied().collect();
    assert_eq!(all.len(), if S::KNOWS_AGAIN { RECORDS } else { 2 * RECORDS }, "{settings:?}: {times:x?}");
    assert_eq!(times[0] == times[1], S::KNOWS_AGAIN, "{settings:?}: {times:x?}");
}

/// A source may be ended as soon as it is there, or with records under way, before it hears that it is to stop: then no thread,
/// connection, open file or address of it stays.
async fn one_that_is_ended_before_it_heard_anything_leaves_nothing_behind<S: Specimen>() {
    let folder = tempfile::tempdir().unwrap();
    let settings = S::specimen(folder.path());
    for has_begun in [false, true] {
        let (cx, buffer, _state) = context("one");
        let before = Arc::strong_count(&cx.health);
        let running = settings.start(cx.clone()).await.expect("it starts");
        let mut first = None;
        if has_begun {
            let running = flitch_core::tasks::joined(running);
            settings.feed(folder.path()).await;
            first = Some(timeout(LONG, buffer.lease()).await.expect("a batch in time"));
            running.abort();
        } else {
            drop(running);
        }
        cx.stop.cancel();
        buffer.close();
        drop(first);
        while buffer.try_lease().is_some() {}
        // All that serves a source has its context.
        let is_gone = async {
            while Arc::strong_count(&cx.health) > before || is_open_below(&[folder.path(), &cx.state_dir]) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, is_gone).await.unwrap_or_else(|_| panic!("{settings:?}: {has_begun}"));
        drop(settings.start(context("two").0).await.expect("what it had can be had again"));
    }
}

/// Whether this process has a file below one of the folders open.
fn is_open_below(folders: &[&Path]) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let mut paths = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    paths.any(|path| folders.iter().any(|folder| path.starts_with(folder)))
}

/// Where it listens, it is a listener like all others: an address that is taken is told with its setting, silent clients
/// make room for those that speak, and its address can be had again as soon as it has ended.
async fn where_it_listens_silent_clients_keep_out_nobody<S: Specimen>() {
    let folder = tempfile::tempdir().unwrap();
    let settings = S::specimen(folder.path());
    if settings.listens().is_empty() {
        return;
    }
    let most = usize::try_from(settings.descriptors() - BESIDE).unwrap();
    assert!(most <= 16, "{settings:?}: for this test it takes few connections at a time, and not {most}");
    let mut clients = Vec::new();
    // The second time is behind a reload that stopped it.
    for _ in 0..2 {
        let (cx, buffer, _state) = context("one");
        let running = flitch_core::tasks::joined(settings.start(cx.clone()).await.expect("it starts"));
        let taken = settings.start(context("two").0).await.err().expect("the address is taken");
        let key = taken.downcast_ref::<Wrong>().map(|wrong| wrong.key().to_owned());
        assert_eq!(key.as_deref(), Some("listen"), "{taken:#}");
        for endpoint in settings.listens() {
            clients.extend(silent_clients(&endpoint, 2 * most).await);
        }
        let expected = settings.feed(folder.path()).await;
        let mut seen = HashSet::new();
        while seen.len() < expected.len() {
            seen.extend(next(&buffer).await);
        }
        cx.stop.cancel();
        timeout(LONG, running).await.expect("it ends").expect("no panic").expect("no error");
    }
    for client in clients {
        timeout(LONG, closed(client)).await.expect("it is closed");
    }
}
