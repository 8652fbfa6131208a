//! What every output must keep, checked for each of them.

use std::future::Future;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringArray};

use super::Output;
use crate::batch::{Kind, Records};

/// An output with a fresh destination.
pub(super) struct Subject {
    pub output: Arc<dyn Output>,
    /// Whether the bytes that it reports have a newline for each record.
    pub newline: bool,
    /// All records at the destination, as JSON; none where there is nothing to read.
    pub read: Option<Box<dyn Fn() -> Vec<String>>>,
}

impl Subject {
    /// Writes, and answers the bytes reported.
    async fn write(&self, records: &Arc<Records>) -> u64 {
        let written = self.output.write(records).await.unwrap();
        assert!(written.refused.is_empty() && written.again.is_none(), "{written:?}");
        written.bytes
    }

    /// Checks what is at the destination, in any order.
    fn holds(&self, expected: &[&Records]) {
        let Some(read) = &self.read else { return };
        let mut expected: Vec<String> = expected.iter().flat_map(|r| lines(&r.ndjson().text)).collect();
        let mut found = read();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }
}

/// The lines of a text.
pub(super) fn lines(text: &[u8]) -> Vec<String> {
    std::str::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
}

/// Records numbered from `from`, with a constant.
pub(super) fn numbered(from: i64, rows: usize) -> Arc<Records> {
    let column = |name: &str, kind: Kind, array: ArrayRef| (Arc::new(kind.field(name)), array);
    let numbers = Int64Array::from_iter_values(from..from + rows as i64);
    let texts = StringArray::from_iter_values((0..rows).map(|n| format!("line {n} \"quoted\"\n")));
    let columns =
        vec![column("n", Kind::Int64, Arc::new(numbers)), column("message", Kind::Text, Arc::new(texts))];
    let constants = vec![column("@tag", Kind::Text, Arc::new(StringArray::from(vec!["test"])))];
    Arc::new(Records::of(rows, columns, constants).unwrap())
}

/// Checks the whole contract; `subject` makes an output with a fresh destination.
pub(super) async fn check<F: Future<Output = Subject>>(subject: impl Fn() -> F) {
    every_record_arrives_once(subject().await).await;
    a_part_of_a_batch_is_written_alone(subject().await).await;
    writes_under_way_together_all_arrive(subject().await).await;
    a_write_that_is_given_up_harms_no_other(subject().await).await;
    it_is_probed_and_closed(subject().await).await;
}

async fn every_record_arrives_once(subject: Subject) {
    let records = numbered(0, 1000);
    let bytes = subject.write(&records).await;
    let text = records.ndjson().text.len() as u64;
    if subject.read.is_some() {
        assert_eq!(bytes, if subject.newline { text } else { text - 1000 });
    }
    let empty = Arc::new(records.slice(0, 0));
    assert_eq!(subject.write(&empty).await, if subject.read.is_some() { 0 } else { empty.memory() as u64 });
    subject.holds(&[&records]);
}

async fn a_part_of_a_batch_is_written_alone(subject: Subject) {
    let part = Arc::new(numbered(0, 100).slice(40, 7));
    subject.write(&part).await;
    subject.holds(&[&part]);
}

async fn writes_under_way_together_all_arrive(subject: Subject) {
    let count = subject.output.concurrency().clamp(2, 8);
    let batches: Vec<_> = (0..count).map(|n| numbered(n as i64 * 1000, 50)).collect();
    let mut writes = tokio::task::JoinSet::new();
    for records in batches.clone() {
        let output = subject.output.clone();
        writes.spawn(async move { output.write(&records).await.map(|w| w.refused.len()) });
    }
    while let Some(done) = writes.join_next().await {
        assert_eq!(done.unwrap().unwrap(), 0);
    }
    let all: Vec<&Records> = batches.iter().map(|b| &**b).collect();
    subject.holds(&all);
}

async fn a_write_that_is_given_up_harms_no_other(subject: Subject) {
    {
        let records = numbered(0, 10);
        let mut write = subject.output.write(&records);
        let once = std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx).is_ready()));
        once.await;
    }
    let after = numbered(100, 10);
    subject.write(&after).await;
    let Some(read) = &subject.read else { return };
    let found = read();
    let expected = lines(&after.ndjson().text);
    assert!(expected.iter().all(|line| found.iter().filter(|f| *f == line).count() == 1), "{found:?}");
}

async fn it_is_probed_and_closed(subject: Subject) {
    subject.output.probe().await.unwrap();
    let records = numbered(0, 3);
    subject.write(&records).await;
    subject.output.close().await.unwrap();
    subject.holds(&[&records]);
}
