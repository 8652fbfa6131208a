//! Records what goes through a filter while it runs: a sample of the rows of live batches, and what became of each. It is
//! written as a case, to which the next version of the plugin is held.
//!
//! One filter at a time is recorded, so that what is held for whoever asked is within one bound. To a batch of any other
//! filter it costs a look at a pointer.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use arrow_array::UInt32Array;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::cases;
use super::filter::Filter;
use super::judgement::{Judgement, Part};
use super::settings::FilterSettings;
use flitch_core::batch::Records;
use flitch_core::exact;

/// The recording that is under way.
static UNDER_WAY: ArcSwapOption<Recording> = ArcSwapOption::const_empty();

/// The part of its records that a recording may have at once; the others are spread over its time.
const AT_ONCE: f64 = 0.1;

/// How long and how much is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long.
    pub time: Duration,
    /// Most records.
    pub records: usize,
    /// Most bytes of them, and of what became of them, as JSON.
    pub bytes: usize,
}

/// A filter whose records are noted down.
#[derive(Debug)]
pub struct Recording {
    filter: Arc<str>,
    bounds: Bounds,
    began: Instant,
    taken: Mutex<Recorded>,
    full: Notify,
}

/// What was noted down.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// What the filter was made of; none where no batch came.
    pub settings: Option<FilterSettings>,
    /// SHA-256 of its code.
    pub sha256: String,
    /// Records that came to the filter meanwhile.
    pub seen: u64,
    /// Records that were noted down.
    pub records: usize,
    /// Records that were chosen and are not there, since there was no room, or the plugin did not survive them.
    pub left_out: usize,
    /// The records as they came, NDJSON.
    pub input: Vec<u8>,
    /// Those that went on.
    pub output: Vec<u8>,
    /// Those that were rejected: their places in `input`, with the reasons.
    pub rejected: Vec<(usize, Arc<str>)>,
    /// Why it ended before its time.
    pub ended: Option<Ended>,
    /// Bytes of the texts and the reasons.
    pub bytes: usize,
}

/// What a reason takes beside its text.
const REASON: usize = 32;

/// Why a recording ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has as many records or bytes as it may have.
    Full,
    /// The filter has other code or other settings by now.
    Replaced,
}

/// Another recording is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another recording is under way")]
pub struct Busy;

/// Ends the recording when it is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<Recording>);

impl UnderWay {
    /// Begins to record the filter of this name, in whatever pipelines it is.
    ///
    /// # Errors
    /// Another recording is under way.
    pub fn begin(filter: &str, bounds: Bounds) -> Result<UnderWay, Busy> {
        let recording = Arc::new(Recording::new(filter, bounds));
        let before = UNDER_WAY.compare_and_swap(&None::<Arc<Recording>>, Some(recording.clone()));
        if before.is_none() { Ok(UnderWay(recording)) } else { Err(Busy) }
    }

    /// Waits until it has all that it may have, or its time is over.
    pub async fn over(&self) {
        // An end that comes before anybody waits is kept.
        tokio::select! {
            () = self.0.full.notified() => {}
            () = tokio::time::sleep(self.0.bounds.time) => {}
        }
    }

    /// Ends it.
    pub fn finish(self) -> Recorded {
        std::mem::take(&mut *self.0.taken.lock())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.store(None);
    }
}

/// Notes down what `filter` says becomes of `records`, where that is asked for.
#[inline]
pub(super) fn note(filter: &Filter, records: &Records, judgement: &Judgement) {
    if let Some(recording) = &*UNDER_WAY.load()
        && recording.filter == filter.name
    {
        recording.take(filter, records, judgement);
    }
}

impl Recording {
    fn new(filter: &str, bounds: Bounds) -> Recording {
        Recording {
            filter: filter.into(),
            bounds,
            began: Instant::now(),
            taken: Mutex::default(),
            full: Notify::new(),
        }
    }

    fn take(&self, filter: &Filter, records: &Records, judgement: &Judgement) {
        let mut taken = self.taken.lock();
        if taken.ended.is_some() {
            return;
        }
        let configured = taken.settings.get_or_insert_with(|| filter.configured.clone());
        let is_other = *configured != filter.configured;
        if taken.sha256.is_empty() {
            taken.sha256 = filter.plugin().sha256().to_string();
        }
        if is_other || taken.sha256 != *filter.plugin().sha256() {
            return self.end(&mut taken, Ended::Replaced);
        }
        taken.seen += records.rows() as u64;
        let wanted = chosen(records.rows(), self.allowed(self.began.elapsed()).saturating_sub(taken.records));
        let unjudged: BTreeSet<u32> = judgement.unjudged.iter().map(|(row, _)| *row).collect();
        let rows: Vec<u32> = wanted.iter().filter(|row| !unjudged.contains(row)).copied().collect();
        taken.left_out += wanted.len() - rows.len();
        if rows.is_empty() {
            return;
        }
        match examples(records, judgement, &rows) {
            Ok(examples) => self.add(&mut taken, examples),
            Err(error) => {
                taken.left_out += rows.len();
                tracing::debug!(filter = &*self.filter, %error, "rows of a batch cannot be recorded");
            }
        }
    }

    /// How many records it may have after so much of its time.
    fn allowed(&self, elapsed: Duration) -> usize {
        let part = elapsed.as_secs_f64() / self.bounds.time.as_secs_f64().max(f64::MIN_POSITIVE);
        (self.bounds.records as f64 * part.clamp(AT_ONCE, 1.0)).ceil() as usize
    }

    fn add(&self, taken: &mut Recorded, examples: Vec<Example>) {
        for Example { input, output, reason } in examples {
            let told = reason.as_ref().map_or(0, |reason| reason.len() + REASON);
            let bytes = taken.bytes + input.len() + output.len() + told;
            if bytes > self.bounds.bytes {
                taken.left_out += 1;
                continue;
            }
            taken.bytes = bytes;
            if let Some(reason) = reason {
                taken.rejected.push((taken.records, reason));
            }
            taken.input.extend(input);
            taken.output.extend(output);
            taken.records += 1;
        }
        // A smaller record may still fit, but not many of them.
        let is_full = taken.bytes > self.bounds.bytes / 100 * 95;
        if is_full || taken.records >= self.bounds.records {
            self.end(taken, Ended::Full);
        }
    }

    fn end(&self, taken: &mut Recorded, why: Ended) {
        taken.ended = Some(why);
        self.full.notify_one();
    }
}

/// A record, and what became of it.
struct Example {
    input: Vec<u8>,
    /// The records that it became, a line each.
    output: Vec<u8>,
    reason: Option<Arc<str>>,
}

/// At most `room` of so many rows, spread over all of them.
fn chosen(rows: usize, room: usize) -> Vec<u32> {
    let count = rows.min(room);
    (0..count).map(|number| (number * rows / count) as u32).collect()
}

/// What became of these rows, which are in ascending order.
fn examples(
    records: &Records,
    judgement: &Judgement,
    rows: &[u32],
) -> Result<Vec<Example>, arrow_schema::ArrowError> {
    let reasons: BTreeMap<u32, &Arc<str>> =
        judgement.rejected.iter().map(|(row, reason)| (*row, reason)).collect();
    let mut became: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for part in &judgement.parts {
        // Where `on_error` is `pass`, the rejected ones go on as they came: the filter itself has nothing to do with it.
        let is_wanted = |row: &u32| rows.binary_search(row).is_ok() && !reasons.contains_key(row);
        let places: Vec<(u32, u32)> = (0..part.records.rows() as u32)
            .map(|place| (place, row_of(part, place)))
            .filter(|(_, row)| is_wanted(row))
            .collect();
        let going =
            part.records.take(&UInt32Array::from_iter_values(places.iter().map(|(place, _)| *place)))?;
        let text = going.ndjson();
        for (number, (_, row)) in places.iter().enumerate() {
            became.entry(*row).or_default().extend_from_slice(&as_in_a_case(text.row(number)));
        }
    }
    let text = records.take(&UInt32Array::from_iter_values(rows.iter().copied()))?.ndjson();
    let example = |(number, row): (usize, &u32)| Example {
        input: text.row(number).to_vec(),
        output: became.remove(row).unwrap_or_default(),
        reason: reasons.get(row).map(|reason| Arc::clone(reason)),
    };
    Ok(rows.iter().enumerate().map(example).collect())
}

/// A record that went on, as a case writes it: without the tag and the time that all records of cases have.
fn as_in_a_case(line: &[u8]) -> Cow<'_, [u8]> {
    let record = exact::read(line);
    let own = cases::without_own(record.clone());
    if own == record {
        return Cow::Borrowed(line);
    }
    Cow::Owned(format!("{}\n", exact::shown(&own.to_string())).into_bytes())
}

/// Which row of the batch a record of a part is.
fn row_of(part: &Part, place: u32) -> u32 {
    part.from as u32 + part.rows.as_ref().map_or(place, |rows| rows[place as usize])
}

#[cfg(test)]
mod tests;
