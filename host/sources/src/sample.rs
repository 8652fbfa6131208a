//! What a source makes of texts, without the source: no file, no connection, no position. It is for those who try a
//! configuration.

use flitch_core::batch::{Cut, Records};

/// The largest batches that there are, so that what a sample holds is one wherever it can be.
pub(crate) const WHOLE: Cut = Cut { rows: 1 << 16, bytes: 1 << 30, age: std::time::Duration::MAX };

/// What a source makes of texts.
#[derive(Debug, Default)]
pub struct Sample {
    /// The records, in order.
    pub records: Vec<Records>,
    /// What is none: the reason, and the bytes.
    pub bad: Vec<(String, Vec<u8>)>,
}
