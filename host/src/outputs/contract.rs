//! What every output must keep, checked for each of them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, StringArray};

use super::{Output, OutputContext, WriteError};
use crate::batch::encode::Encoding;
use crate::batch::{Kind, Records};
use crate::clock::Clock;

/// An output with a fresh destination.
pub(super) struct Subject {
    pub output: Arc<dyn Output>,
    /// Whether the bytes that it reports have a newline for each record.
    pub newline: bool,
    /// All records at the destination, as JSON; none where there is nothing to read.
    pub read: Option<Box<dyn Fn() -> Vec<String>>>,
    /// The same kind of output, with the field `k` alone in every template that its settings have (at the end of a path);
    /// none where they have none.
    pub by_field: Option<Arc<dyn Output>>,
    /// Leaves half a record at the destination, as a writer does that is killed; none where a destination takes whole
    /// records only.
    pub cut: Option<Box<dyn Fn()>>,
}

/// Settings of an output that make subjects.
pub(super) trait Specimen {
    /// How many settings are tried that differ in what they promise.
    const VARIANTS: usize = 1;

    /// A subject with settings of this number.
    async fn subject(variant: usize, cx: &OutputContext) -> Subject;
}

/// What the outputs of tests are given.
pub(super) fn context() -> OutputContext {
    OutputContext {
        name: "out".into(),
        encoding: Encoding::default(),
        state_dir: std::env::temp_dir().join("flitch-test-without-state"),
        clock: Clock::fake(1_700_000_000_000_000_000),
        health: Arc::default(),
    }
}

/// How long a write may take that is not to wait for anybody.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// Checks the whole contract with all settings of a type of output.
pub(super) async fn keep<S: Specimen>() {
    for variant in 0..S::VARIANTS {
        let cx = context();
        check(|| S::subject(variant, &cx)).await;
    }
}

/// `subject` makes an output with a fresh destination.
async fn check<F: Future<Output = Subject>>(subject: impl Fn() -> F) {
    every_record_arrives_once(subject().await).await;
    a_part_of_a_batch_is_written_alone(subject().await).await;
    writes_under_way_together_all_arrive(subject().await).await;
    a_write_that_is_given_up_harms_no_other(subject().await).await;
    it_is_probed_and_closed(subject().await).await;
    a_write_after_close_arrives_or_says_why_not(subject().await).await;
    a_half_record_of_one_that_was_killed_spoils_no_other(subject().await).await;
    a_record_whose_template_cannot_be_filled_costs_itself_alone(subject().await).await;
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

async fn a_write_after_close_arrives_or_says_why_not(subject: Subject) {
    let (before, after) = (numbered(0, 3), numbered(10, 3));
    subject.write(&before).await;
    subject.output.close().await.unwrap();
    let late = tokio::time::timeout(PATIENCE, subject.output.write(&after)).await;
    match late.expect("a write after close ends") {
        Ok(written) => {
            assert!(written.refused.is_empty() && written.again.is_none(), "{written:?}");
            subject.holds(&[&before, &after]);
        }
        Err(WriteError::Poison { reason }) => panic!("the records are not to blame: {reason}"),
        Err(_) => subject.holds(&[&before]),
    }
}

async fn a_half_record_of_one_that_was_killed_spoils_no_other(subject: Subject) {
    let (Some(cut), Some(read)) = (&subject.cut, &subject.read) else { return };
    cut();
    let records = [numbered(0, 3), numbered(10, 3)];
    for records in &records {
        subject.write(records).await;
    }
    let expected: Vec<String> = records.iter().flat_map(|r| lines(&r.ndjson().text)).collect();
    let found = read();
    let good: Vec<&String> = found.iter().filter(|line| expected.contains(line)).collect();
    assert_eq!(good, expected.iter().collect::<Vec<_>>(), "{found:?}");
    assert_eq!(found.len(), expected.len() + 1, "{found:?}");
}

async fn a_record_whose_template_cannot_be_filled_costs_itself_alone(subject: Subject) {
    let Some(output) = &subject.by_field else { return };
    let long = "x".repeat(300);
    let good = ["a", "b"];
    for bad in
        [None, Some(""), Some("."), Some(".."), Some("/"), Some("a\0b"), Some(&long), Some("\u{fffd} \n")]
    {
        let alone = vec![bad];
        let among = vec![Some(good[0]), bad, Some(good[1])];
        let mut fates = Vec::new();
        for (place, values) in [(0, alone), (1, among)] {
            let field = Arc::new(Kind::Text.field("k"));
            let array: ArrayRef = Arc::new(StringArray::from(values.clone()));
            let records = Arc::new(Records::of(values.len(), vec![(field, array)], vec![]).unwrap());
            let written =
                tokio::time::timeout(PATIENCE, output.write(&records)).await.expect("it waits for nothing");
            let written = written.unwrap_or_else(|e| panic!("{bad:?} costs the whole batch: {e}"));
            assert!(written.again.is_none(), "{bad:?} is written again for ever: {written:?}");
            assert!(written.refused.iter().all(|r| r.row == place), "{bad:?}: {written:?}");
            fates.push(written.refused.len());
        }
        assert_eq!(fates[0], fates[1], "what becomes of {bad:?} depends on its neighbours");
        assert!(bad.is_some() || fates[0] == 1, "a template without its field is filled all the same");
    }
}
