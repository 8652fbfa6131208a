use flitch_core::batch::builder::Builder;
use flitch_core::batch::constants::Constants;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::buffers::Buffer;
use flitch_core::tasks;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::joiner::MOST_HELD;
use super::*;
use crate::testing::context;
use flitch_core::batch::StreamId;
use flitch_core::inlet::Intake;
use flitch_core::receipt::{Verdict, Watermark};
use std::sync::atomic::Ordering;

fn lines(texts: &[&str]) -> Arc<Records> {
    let mut builder = Builder::new();
    for text in texts {
        builder.begin_record();
        builder.key(b"message").text(text.as_bytes());
        builder.end_record();
    }
    Arc::new(builder.finish(InvalidUtf8::Replace, &Constants::new()).records)
}

fn joiner() -> Arc<Joiner> {
    let more = Some(Pattern::try_from("^ ".to_owned()).unwrap());
    let settings = JoinSettings { r#continue: more, ..JoinSettings::default() };
    Arc::new(Joiner::new(&"in".into(), &settings).unwrap())
}

/// The texts of the next batch, which arrives.
async fn arrived(buffer: &Buffer) -> String {
    let batch = buffer.lease().await.unwrap();
    let text = String::from_utf8(batch.records.ndjson().text.to_vec()).unwrap();
    batch.receipt.delivered();
    text
}

async fn send(
    joiner: &Joiner,
    intake: &Intake,
    stream: StreamId,
    texts: &[&str],
) -> oneshot::Receiver<Verdict> {
    let (tell, told) = oneshot::channel();
    let on_settled = move |verdict| tell.send(verdict).unwrap_or_default();
    joiner.send(intake, lines(texts), 10, stream, Waits::all(on_settled)).await.unwrap();
    told
}

#[tokio::test(start_paused = true)]
async fn a_record_goes_on_when_no_more_comes_and_its_source_hears_then() {
    let (cx, buffer, _folder) = context("in");
    let (joiner, intake, stream) = (joiner(), cx.intake.clone(), StreamId::next());
    let keeper = tasks::joined({
        let (joiner, intake) = (joiner.clone(), intake.clone());
        async move { joiner.keep(&intake).await }
    });
    let first = send(&joiner, &intake, stream, &["a", " b"]).await;
    let mut second = send(&joiner, &intake, stream, &[" c"]).await;
    assert!(buffer.try_lease().is_none() && second.try_recv().is_err());
    assert_eq!(arrived(&buffer).await, "{\"message\":\"a\\n b\\n c\"}\n");
    assert_eq!((first.await, second.await), (Ok(Verdict::Safe), Ok(Verdict::Safe)));
    assert!(joiner.streams.lock().is_empty(), "nothing is left of the stream");
    assert_eq!(joiner.held.load(Ordering::Relaxed), 0);
    assert_eq!(cx.intake.ledger().read().received, 1, "what was joined is one record");
    keeper.abort();
}

#[tokio::test]
async fn a_stream_that_ends_has_no_open_record() {
    let (cx, buffer, _folder) = context("in");
    let (joiner, stream, other) = (joiner(), StreamId::next(), StreamId::next());
    let told = send(&joiner, &cx.intake, stream, &["a", " b"]).await;
    let of_other = send(&joiner, &cx.intake, other, &[" c"]).await;
    joiner.end(&cx.intake, stream).await.unwrap();
    assert_eq!(arrived(&buffer).await, "{\"message\":\"a\\n b\"}\n");
    assert_eq!(told.await, Ok(Verdict::Safe));
    joiner.forget(other);
    assert_eq!(of_other.await, Ok(Verdict::Again));
    assert_eq!(joiner.held.load(Ordering::Relaxed), 0);
    joiner.forget(other);
}

#[tokio::test]
async fn where_there_is_no_room_records_go_on_as_they_are() {
    let (cx, buffer, _folder) = context("in");
    let joiner = joiner();
    joiner.held.store(MOST_HELD, Ordering::Relaxed);
    let told = send(&joiner, &cx.intake, StreamId::next(), &["a"]).await;
    assert_eq!(arrived(&buffer).await, "{\"message\":\"a\"}\n");
    assert_eq!(told.await, Ok(Verdict::Safe));
}

#[test]
fn settings_that_contradict_one_another_are_refused_by_their_key() {
    let more = Some(Pattern::try_from("^ ".to_owned()).unwrap());
    let good = JoinSettings { r#continue: more, ..JoinSettings::default() };
    good.check().unwrap();
    for (settings, why) in [
        (JoinSettings { preset: Some(Preset::Java), ..good.clone() }, "`multiline` has several of"),
        (JoinSettings::default(), "`multiline` needs `start`"),
        (JoinSettings { field: String::new(), ..good.clone() }, "`multiline.field`: `` is no field"),
        (JoinSettings { field: "@tag".to_owned(), ..good.clone() }, "`multiline.field`: `@tag` is no field"),
        (JoinSettings { max_bytes: Bytes(0), ..good.clone() }, "`multiline.max_bytes` is 0"),
        (JoinSettings { max_lines: 0, ..good.clone() }, "`multiline.max_lines` is 0"),
        (JoinSettings { timeout: Span(Duration::MAX), ..good.clone() }, "`multiline.timeout` is "),
    ] {
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

/// Sends lines of a partition whose offsets are their numbers, from this one on.
async fn read(
    joiner: &Joiner,
    intake: &Intake,
    stream: StreamId,
    mark: &Watermark<usize>,
    from: usize,
    texts: &[&str],
) {
    let (ahead, all) = (mark.ticket(from), mark.ticket(from + texts.len()));
    let ahead = move |row: Option<usize>| -> Told {
        row.iter().for_each(|row| ahead.stand_at(from + row));
        Box::new(move |verdict| ahead.settle(verdict))
    };
    let waits = Waits { ahead: Some(Box::new(ahead)), all: Box::new(move |verdict| all.settle(verdict)) };
    joiner.send(intake, lines(texts), 1, stream, waits).await.unwrap();
}

#[tokio::test]
async fn a_position_stands_where_a_record_begins() {
    let (cx, buffer, _folder) = context("in");
    let (joiner, stream, mark) = (joiner(), StreamId::next(), Watermark::new(Some(0)));
    read(&joiner, &cx.intake, stream, &mark, 0, &["a", "b", " b"]).await;
    arrived(&buffer).await;
    assert_eq!(mark.safe(), Some(1), "`b` begins there");
    read(&joiner, &cx.intake, stream, &mark, 3, &[" b"]).await;
    assert_eq!(mark.safe(), Some(1));
    read(&joiner, &cx.intake, stream, &mark, 4, &[" b", "c", "d"]).await;
    assert_eq!(arrived(&buffer).await, "{\"message\":\"b\\n b\\n b\\n b\"}\n{\"message\":\"c\"}\n");
    assert_eq!(mark.safe(), Some(6), "no position within `b` was ever safe");
    // Nothing more comes: what is open is read again, and is whole then.
    assert!(mark.may_move() && !mark.failed());
    joiner.give_back(stream);
    assert!(!mark.may_move() && mark.failed());
    assert_eq!(mark.safe(), Some(6));
    assert!(buffer.try_lease().is_none());
    assert_eq!(joiner.held.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_record_with_others_behind_it_is_not_given_back() {
    let (cx, buffer, _folder) = context("in");
    let more = Some(Pattern::try_from("^ ".to_owned()).unwrap());
    let settings = JoinSettings { r#continue: more, by: vec!["n".to_owned()], ..JoinSettings::default() };
    let joiner = Joiner::new(&"in".into(), &settings).unwrap();
    let stream = StreamId::next();
    let mut told = Vec::new();
    // The second is no line, and goes on ahead of the first.
    for texts in [&["a"][..], &[]] {
        let mut builder = Builder::new();
        builder.begin_record();
        texts.iter().for_each(|text| builder.key(b"message").text(text.as_bytes()));
        builder.key(b"n").text(if texts.is_empty() { b"2" } else { b"1" });
        builder.end_record();
        let records = Arc::new(builder.finish(InvalidUtf8::Replace, &Constants::new()).records);
        let (tell, of_this) = oneshot::channel();
        let waits = Waits::all(move |verdict| tell.send(verdict).unwrap_or_default());
        told.push((joiner.send(&cx.intake, records, 1, stream, waits).await.unwrap(), of_this));
    }
    assert_eq!(told.iter().map(|(is_open, _)| *is_open).collect::<Vec<_>>(), [true, false]);
    assert_eq!(arrived(&buffer).await, "{\"n\":\"2\"}\n");
    joiner.give_back(stream);
    joiner.end(&cx.intake, stream).await.unwrap();
    assert_eq!(arrived(&buffer).await, "{\"message\":\"a\",\"n\":\"1\"}\n");
    for (_, told) in told {
        assert_eq!(told.await, Ok(Verdict::Safe));
    }
}

#[tokio::test(start_paused = true)]
async fn time_in_which_the_pipelines_take_nothing_in_does_not_end_a_record() {
    let (inlet, buffer) = flitch_core::testing::pipeline(1);
    let intake = Intake::new(Arc::default(), vec![inlet], CancellationToken::new());
    let (joiner, stream) = (joiner(), StreamId::next());
    let keeper = tasks::joined({
        let (joiner, intake) = (joiner.clone(), intake.clone());
        async move { joiner.keep(&intake).await }
    });
    send(&joiner, &intake, stream, &["a"]).await;
    intake.send(lines(&["x"]), 1, StreamId::next(), |_| {}).await.unwrap();
    assert!(intake.is_full());
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(arrived(&buffer).await, "{\"message\":\"x\"}\n");
    send(&joiner, &intake, stream, &[" b", "c"]).await;
    assert_eq!(arrived(&buffer).await, "{\"message\":\"a\\n b\"}\n");
    assert_eq!(arrived(&buffer).await, "{\"message\":\"c\"}\n", "no more comes of it in time");
    keeper.abort();
}
