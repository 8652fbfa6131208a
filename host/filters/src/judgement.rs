//! What a plugin says becomes of the rows of a batch. It says so; nothing is done about it here.

use std::sync::Arc;

use super::guest::FaultKind;
use flitch_core::batch::Records;

/// What becomes of the rows of a batch, in the order of the rows.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// The records that go on. There are several where the batch was cut up.
    pub parts: Vec<Part>,
    /// Rows of the batch that were rejected, with the reasons.
    pub rejected: Vec<(u32, Arc<str>)>,
    /// Rows among the rejected ones, or among those that go on with `on_error: pass`, that the plugin cannot survive.
    pub condemned: Vec<u32>,
    /// Rows of which the plugin never said what becomes of them, with the reasons.
    pub unjudged: Vec<(u32, Arc<str>)>,
    /// Rows that the guest left out: those that are named nowhere here.
    pub dropped: usize,
    /// Rows that came on top, where one was taken several times.
    pub grown: usize,
    /// What was handed to the plugin, rows that were tried several times counted each time.
    pub handed: Traffic,
    /// What it answered.
    pub answered: Traffic,
    /// Instances that were lost over it.
    pub faults: Vec<FaultKind>,
}

/// The records that go on of a run of rows that were judged together.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where the run begins in the batch.
    pub from: usize,
    /// The records. Where `on_error` is `pass` the rejected ones are among them, as they came.
    pub records: Records,
    /// Which row of the run each record is; none where each row goes on in its place.
    pub rows: Option<Vec<u32>>,
    /// Whether the plugin set or removed something in them; if not, they are as they came.
    pub is_changed: bool,
}

/// What crosses the border.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Records.
    pub rows: usize,
    /// Bytes of columns.
    pub bytes: usize,
}

impl Traffic {
    /// Adds what crosses at once.
    pub fn add(&mut self, rows: usize, bytes: usize) {
        self.rows += rows;
        self.bytes += bytes;
    }
}

impl Judgement {
    /// Puts everything in the order of the rows.
    pub fn sort(&mut self) {
        self.parts.sort_by_key(|part| part.from);
        self.rejected.sort_by_key(|(row, _)| *row);
        self.unjudged.sort_by_key(|(row, _)| *row);
    }
}
