//! What every output must keep, checked for each of them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, StringArray};
use memchr::memmem;

use super::staging::Yard;
use super::{Fate, Output, OutputContext, Parcel, Refusal, WriteError, Written};
use flitch_core::batch::encode::{Encoder, Encoding, Format, Framing};
use flitch_core::batch::origin::{Origins, Root};
use flitch_core::batch::{Batch, Kind, Records, StreamId};
use flitch_core::clock::Clock;
use flitch_core::receipt;

/// An output with a fresh destination.
pub(super) struct Subject {
    pub output: Arc<dyn Output>,
    /// All that is at the destination; none where there is nothing to read.
    pub read: Option<Box<dyn Fn() -> Found>>,
    /// The same kind of output, with the field `k` alone in every template that its settings have (at the end of a path);
    /// none where they have none.
    pub by_field: Option<Arc<dyn Output>>,
    /// Leaves half a record at the destination, as a writer does that is killed; none where a destination takes whole
    /// records only.
    pub cut: Option<Box<dyn Fn()>>,
}

/// Writes a batch by itself.
pub(super) trait WriteBatch {
    /// As of [`Output::write`].
    async fn write_batch(&self, records: &Arc<Records>) -> Result<Written, WriteError>;
}

impl<O: Output + ?Sized> WriteBatch for O {
    async fn write_batch(&self, records: &Arc<Records>) -> Result<Written, WriteError> {
        write(self, &Parcel::of(records.clone())).await
    }
}

/// Writes a parcel as the delivery loop does: as objects, where the output builds those.
async fn write<O: Output + ?Sized>(output: &O, parcel: &Parcel) -> Result<Written, WriteError> {
    let Some(plan) = output.builds() else { return output.write(parcel).await };
    let (ledger, now) = (Arc::default(), tokio::time::Instant::now());
    let mut yard = Yard::new(plan).unwrap();
    let mut written = Written::default();
    let mut before = 0;
    for records in parcel.members() {
        let receipt = receipt::issue(&ledger, records.rows(), 0, |_| {});
        let batch = Batch { records: records.clone(), receipt, stream: StreamId::UNORDERED };
        let refusals = yard.put(batch, now).map(|refused| refused.refusals).unwrap_or_default();
        written
            .refused
            .extend(refusals.into_iter().map(|refusal| Refusal { row: refusal.row + before, ..refusal }));
        before += records.rows() as u32;
    }
    yard.close_all(now);
    while let Some(sealed) = yard.pop() {
        let mut fate = output.send(&sealed.object).await?;
        while let Fate::Later(pause) = fate {
            tokio::time::sleep(pause).await;
            fate = output.fate(&sealed.object).await?;
        }
        assert!(matches!(fate, Fate::Safe), "{fate:?}");
        written.bytes += sealed.object.text;
        sealed.shares.into_iter().for_each(|share| share.delivered());
    }
    Ok(written)
}

/// Waits for something where nothing else waits.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    flitch_core::blocking::block_on(future)
}

/// What is at a destination.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// The records, in any order.
    Messages(Vec<Vec<u8>>),
    /// All bytes, one behind the other.
    Stream(Vec<u8>),
}

/// What the output under test was given.
struct Case {
    subject: Subject,
    encoder: Encoder,
    is_text: bool,
}

/// How long a write may take that is not to wait for anybody.
const PATIENCE: Duration = Duration::from_secs(60);

impl Case {
    /// Writes, and answers the bytes reported.
    async fn write(&self, records: &Arc<Records>) -> u64 {
        let written = self.subject.output.write_batch(records).await.unwrap();
        assert!(written.refused.is_empty() && written.again.is_none(), "{written:?}");
        written.bytes
    }

    /// The records as they must be at the destination.
    fn rows(&self, records: &[&Records]) -> Vec<Vec<u8>> {
        let is_stream = self.subject.read.as_ref().is_some_and(|read| matches!(read(), Found::Stream(_)));
        let rows = |records: &&Records| {
            let text = self.encoder.encode(records);
            let row = |row| match self.encoder.encoding().format {
                Format::Parquet => canonical(text.row(row)),
                _ if !self.is_text => canonical(text.row(row)),
                _ if is_stream => text.row(row).to_vec(),
                _ => text.value(row).to_vec(),
            };
            (0..records.rows()).map(row).collect::<Vec<_>>()
        };
        records.iter().flat_map(rows).collect()
    }

    /// Checks what is at the destination, in any order: each record once, and nothing else but the header.
    fn holds(&self, records: &[&Records]) {
        let Some(read) = &self.subject.read else { return };
        let mut rows = self.rows(records);
        match read() {
            Found::Messages(mut found) => {
                rows.sort();
                found.sort();
                assert_eq!(found, rows);
            }
            Found::Stream(found) => {
                let header = self.encoder.header().unwrap_or_default();
                let found = found.strip_prefix(&header[..]).expect("the stream begins with the header");
                let shown = String::from_utf8_lossy(found);
                for row in &rows {
                    let times = memmem::find_iter(found, row).count();
                    assert_eq!(times, 1, "{} in {shown}", String::from_utf8_lossy(row));
                }
                assert_eq!(found.len(), rows.iter().map(Vec::len).sum::<usize>(), "{shown}");
            }
        }
    }
}

/// A line of JSON with its members in order, as which a row of a table is read.
pub(super) fn canonical(line: &[u8]) -> Vec<u8> {
    let object: serde_json::Value = serde_json::from_slice(line).unwrap();
    format!("{object}\n").into_bytes()
}

/// The lines of a text.
pub(super) fn lines(text: &[u8]) -> Vec<String> {
    std::str::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
}

/// Records numbered from `from`, with a constant. No record is a part of another, in whatever form.
pub(super) fn numbered(from: i64, rows: usize) -> Arc<Records> {
    let column = |name: &str, kind: Kind, array: ArrayRef| (Arc::new(kind.field(name)), array);
    let all = || from..from + rows as i64;
    let numbers = Int64Array::from_iter_values(all());
    let texts = StringArray::from_iter_values(all().map(|n| format!("<line {n}, \"quoted\"\n>")));
    let lines = StringArray::from_iter_values(all().map(|n| format!("<line {n}, \"quoted\">")));
    let columns = vec![
        column("n", Kind::Int64, Arc::new(numbers)),
        column("message", Kind::Text, Arc::new(texts)),
        column("line", Kind::Text, Arc::new(lines)),
    ];
    let constants = vec![column("@tag", Kind::Text, Arc::new(StringArray::from(vec!["test"])))];
    Records::with_any_origins(Arc::new(Records::of(rows, columns, constants).unwrap()))
}

/// The same, of a source that finds each of them again by its number.
pub(super) fn placed(from: i64, rows: usize) -> Arc<Records> {
    let origins = Origins::counted(Root::of("test", &[]), from as u64, rows);
    Arc::new(Records::clone(&numbered(from, rows)).with_origins(Some(origins)))
}

/// Records that have this value in `message` and in `line`, or none.
fn valued(values: &[Option<&str>]) -> Arc<Records> {
    let column = |name: &str| -> (_, ArrayRef) {
        (Arc::new(Kind::Text.field(name)), Arc::new(StringArray::from(values.to_vec())))
    };
    Arc::new(Records::of(values.len(), vec![column("message"), column("line")], vec![]).unwrap())
}

/// An encoding of each format.
fn encodings() -> [Encoding; 5] {
    let of = |format| Encoding { format, ..Encoding::default() };
    let field = |name: &str| Some(name.to_owned());
    let columns = ["n", "message", "nothing"].map(str::to_owned).to_vec();
    [
        of(Format::Ndjson),
        Encoding { field: field("line"), ..of(Format::Text) },
        Encoding { field: field("message"), ..of(Format::Raw) },
        Encoding { columns, ..of(Format::Csv) },
        of(Format::Parquet),
    ]
}

/// Settings of an output that make subjects.
pub(super) trait Specimen {
    /// How many settings are tried that differ in what they promise.
    const VARIANTS: usize = 1;
    /// How the output keeps records apart.
    const FRAMING: Framing = Framing::Lines;

    /// Whether the output writes in a format.
    fn takes(format: Format) -> bool {
        format != Format::Parquet
    }

    /// A subject with settings of this number.
    async fn subject(variant: usize, cx: &OutputContext) -> Subject;

    /// Whether what is at the destination is what the encoder writes, byte for byte. Else it is read as JSON there.
    const TEXT: bool = true;
}

/// What the outputs of tests are given that write lines in the default form.
pub(super) fn context() -> OutputContext {
    context_with(Encoding::default(), Framing::Lines)
}

/// The same for another form.
pub(super) fn context_with(encoding: Encoding, framing: Framing) -> OutputContext {
    OutputContext {
        name: "out".into(),
        encoder: Encoder::new(encoding, framing).unwrap(),
        state_dir: std::env::temp_dir().join("flitch-test-without-state"),
        clock: Clock::fake(1_700_000_000_000_000_000),
        health: Arc::default(),
        ledgers: crate::Ledgers::apart(),
    }
}

/// Checks the whole contract with all settings of a type of output, in every format.
pub(super) async fn keep<S: Specimen>() {
    for variant in 0..S::VARIANTS {
        for encoding in encodings().into_iter().filter(|encoding| S::takes(encoding.format)) {
            let cx = context_with(encoding, S::FRAMING);
            check(&cx, S::FRAMING, S::TEXT, || S::subject(variant, &cx)).await;
        }
    }
}

/// `subject` makes an output with a fresh destination.
async fn check<F: Future<Output = Subject>>(
    cx: &OutputContext,
    framing: Framing,
    is_text: bool,
    subject: impl Fn() -> F,
) {
    let case = async || Case { subject: subject().await, encoder: cx.encoder.clone(), is_text };
    every_record_arrives_once(case().await).await;
    records_that_are_equal_all_arrive(case().await).await;
    a_part_of_a_batch_is_written_alone(case().await).await;
    what_was_gathered_arrives_and_is_refused_by_its_rows(case().await).await;
    writes_under_way_together_all_arrive(case().await).await;
    a_write_that_is_given_up_harms_no_other(case().await).await;
    it_is_probed_and_closed(case().await).await;
    a_write_after_close_arrives_or_says_why_not(case().await).await;
    a_half_record_of_one_that_was_killed_spoils_no_other(case().await).await;
    a_record_that_the_format_cannot_write_costs_itself_alone(case().await, framing).await;
    a_record_whose_template_cannot_be_filled_costs_itself_alone(case().await).await;
}

async fn every_record_arrives_once(case: Case) {
    let records = numbered(0, 1000);
    let bytes = case.write(&records).await;
    let has_text = case.subject.read.is_some();
    // Of a table the values are counted.
    if has_text && case.is_text && case.encoder.encoding().format != Format::Parquet {
        assert_eq!(bytes, case.rows(&[&records]).iter().map(Vec::len).sum::<usize>() as u64);
    }
    let empty = Arc::new(records.slice(0, 0));
    assert_eq!(case.write(&empty).await, if has_text { 0 } else { empty.memory() as u64 });
    case.holds(&[&records]);
}

async fn records_that_are_equal_all_arrive(case: Case) {
    // Of different origins each time.
    for _ in 0..3 {
        case.write(&numbered(0, 2)).await;
    }
    let Some(read) = &case.subject.read else { return };
    let found = read();
    for row in &case.rows(&[&numbered(0, 2)]) {
        let times = match &found {
            Found::Messages(found) => found.iter().filter(|value| *value == row).count(),
            Found::Stream(found) => memmem::find_iter(found, row).count(),
        };
        assert_eq!(times, 3, "{} in {found:?}", String::from_utf8_lossy(row));
    }
}

async fn a_part_of_a_batch_is_written_alone(case: Case) {
    let part = Arc::new(numbered(0, 100).slice(40, 7));
    case.write(&part).await;
    case.holds(&[&part]);
}

async fn what_was_gathered_arrives_and_is_refused_by_its_rows(case: Case) {
    if case.subject.output.wants().is_none() && case.subject.output.builds().is_none() {
        return;
    }
    let members = [numbered(0, 3), valued(&[None]), numbered(10, 3)];
    let written = write(&*case.subject.output, &Parcel::of_all(&members)).await.unwrap();
    let refused: Vec<u32> = written.refused.iter().map(|refusal| refusal.row).collect();
    match case.encoder.encoding().format {
        Format::Text | Format::Raw => {
            assert_eq!(refused, [3]);
            case.holds(&[&members[0], &members[2]]);
        }
        Format::Ndjson | Format::Csv | Format::Parquet => {
            assert!(refused.is_empty(), "{refused:?}");
            case.holds(&members.each_ref().map(|member| &**member));
        }
    }
}

async fn writes_under_way_together_all_arrive(case: Case) {
    let count = case.subject.output.concurrency().clamp(2, 8);
    let batches: Vec<_> = (0..count).map(|n| numbered(n as i64 * 1000, 50)).collect();
    let mut writes = tokio::task::JoinSet::new();
    for records in batches.clone() {
        let output = case.subject.output.clone();
        writes.spawn(async move {
            let parcel = Parcel::of(records);
            write(&*output, &parcel).await.map(|written| written.refused.len())
        });
    }
    while let Some(done) = writes.join_next().await {
        assert_eq!(done.unwrap().unwrap(), 0);
    }
    let all: Vec<&Records> = batches.iter().map(|b| &**b).collect();
    case.holds(&all);
}

async fn a_write_that_is_given_up_harms_no_other(case: Case) {
    {
        let parcel = Parcel::of(numbered(0, 10));
        let mut write = Box::pin(write(&*case.subject.output, &parcel));
        let once = std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx).is_ready()));
        once.await;
    }
    let after = numbered(100, 10);
    case.write(&after).await;
    let Some(read) = &case.subject.read else { return };
    let times = |row: &Vec<u8>| match read() {
        Found::Messages(found) => found.iter().filter(|value| *value == row).count(),
        Found::Stream(found) => memmem::find_iter(&found, row).count(),
    };
    assert!(case.rows(&[&after]).iter().all(|row| times(row) == 1), "{:?}", read());
}

async fn it_is_probed_and_closed(case: Case) {
    case.subject.output.probe().await.unwrap();
    let records = numbered(0, 3);
    case.write(&records).await;
    case.subject.output.close().await.unwrap();
    case.holds(&[&records]);
}

async fn a_write_after_close_arrives_or_says_why_not(case: Case) {
    let (before, after) = (numbered(0, 3), numbered(10, 3));
    case.write(&before).await;
    case.subject.output.close().await.unwrap();
    let late = tokio::time::timeout(PATIENCE, case.subject.output.write_batch(&after)).await;
    match late.expect("a write after close ends") {
        Ok(written) => {
            assert!(written.refused.is_empty() && written.again.is_none(), "{written:?}");
            case.holds(&[&before, &after]);
        }
        Err(WriteError::Poison { reason }) => panic!("the records are not to blame: {reason}"),
        Err(_) => case.holds(&[&before]),
    }
}

async fn a_half_record_of_one_that_was_killed_spoils_no_other(case: Case) {
    let (Some(cut), Some(read)) = (&case.subject.cut, &case.subject.read) else { return };
    cut();
    let Found::Stream(mut expected) = read() else { panic!("messages are whole") };
    // Where nothing ends a record nobody can tell half of one.
    if case.encoder.encoding().format != Format::Raw {
        expected.push(b'\n');
    }
    for records in [numbered(0, 3), numbered(10, 3)] {
        case.write(&records).await;
        expected.extend(case.rows(&[&records]).concat());
    }
    assert_eq!(read(), Found::Stream(expected), "what stands there has begun without a header");
}

async fn a_record_that_the_format_cannot_write_costs_itself_alone(case: Case, framing: Framing) {
    if case.subject.read.is_none() {
        return;
    }
    let format = case.encoder.encoding().format;
    let by_value = matches!(format, Format::Text | Format::Raw);
    let breaks = format == Format::Text && framing == Framing::Lines;
    for (bad, is_refused) in [(None, by_value), (Some("a\nb"), breaks)] {
        for (place, values) in [(0, vec![bad]), (1, vec![Some("before"), bad, Some("after")])] {
            let written = case.subject.output.write_batch(&valued(&values)).await.unwrap();
            assert!(written.again.is_none(), "{written:?}");
            let refused: Vec<u32> = written.refused.iter().map(|refusal| refusal.row).collect();
            let expected = if is_refused { vec![place] } else { vec![] };
            assert_eq!(refused, expected, "{format:?}: {bad:?} in {values:?}");
            assert!(written.refused.iter().all(|refusal| refusal.reason.contains('`')), "{written:?}");
        }
    }
}

async fn a_record_whose_template_cannot_be_filled_costs_itself_alone(case: Case) {
    let Some(output) = &case.subject.by_field else { return };
    let long = "x".repeat(300);
    let good = ["a", "b"];
    for bad in
        [None, Some(""), Some("."), Some(".."), Some("/"), Some("a\0b"), Some(&long), Some("\u{fffd} \n")]
    {
        let alone = vec![bad];
        let among = vec![Some(good[0]), bad, Some(good[1])];
        let mut fates = Vec::new();
        for (place, values) in [(0, alone), (1, among)] {
            let column = |name: &str, values: Vec<Option<&str>>| -> (_, ArrayRef) {
                (Arc::new(Kind::Text.field(name)), Arc::new(StringArray::from(values)))
            };
            let text = vec![Some("text"); values.len()];
            let columns =
                vec![column("k", values.clone()), column("message", text.clone()), column("line", text)];
            let records = Arc::new(Records::of(values.len(), columns, vec![]).unwrap());
            let written = tokio::time::timeout(PATIENCE, output.write_batch(&records))
                .await
                .expect("it waits for nothing");
            let written = written.unwrap_or_else(|e| panic!("{bad:?} costs the whole batch: {e}"));
            assert!(written.again.is_none(), "{bad:?} is written again for ever: {written:?}");
            assert!(written.refused.iter().all(|r| r.row == place), "{bad:?}: {written:?}");
            fates.push(written.refused.len());
        }
        assert_eq!(fates[0], fates[1], "what becomes of {bad:?} depends on its neighbours");
        assert!(bad.is_some() || fates[0] == 1, "a template without its field is filled all the same");
    }
}
