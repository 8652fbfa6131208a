//! What metrics show of buffers, as far as it is read and not counted. It goes with the buffer.

use super::status::DiskStatus;
use flitch_core::buffers::Buffer;
use flitch_core::telemetry::{Metric, Shown};

/// What is shown of a buffer.
pub struct BufferGauges {
    bytes: Shown,
    records: Shown,
    disk: Option<DiskGauges>,
}

struct DiskGauges {
    segments: Shown,
    file_bytes: Shown,
    oldest_seconds: Shown,
    failing: Shown,
}

impl BufferGauges {
    /// Those of the buffer in front of this output.
    pub fn of(output: &str) -> BufferGauges {
        let shown = |metric: Metric| metric.shown(&[("output", output)]);
        BufferGauges { bytes: shown(Metric::BufferBytes), records: shown(Metric::BufferRecords), disk: None }
    }

    /// Brings them up to date.
    pub fn set(&mut self, output: &str, buffer: &Buffer) {
        let stats = buffer.stats();
        self.bytes.set(stats.bytes as f64);
        self.records.set(stats.records as f64);
        match buffer.on_disk().map(DiskStatus::of) {
            Some(disk) => self.disk.get_or_insert_with(|| DiskGauges::of(output)).set(&disk),
            None => self.disk = None,
        }
    }
}

impl DiskGauges {
    fn of(output: &str) -> DiskGauges {
        let labels = [("output", output)];
        DiskGauges {
            segments: Metric::BufferSegments.shown(&labels),
            file_bytes: Metric::BufferFileBytes.shown(&labels),
            oldest_seconds: Metric::BufferOldestSeconds.shown_most(&labels),
            failing: Metric::BufferFailing.shown_most(&labels),
        }
    }

    fn set(&self, disk: &DiskStatus) {
        self.segments.set(disk.segments as f64);
        self.file_bytes.set(disk.file_bytes as f64);
        self.oldest_seconds.set(disk.oldest_seconds.unwrap_or(0.0));
        self.failing.set(f64::from(u8::from(disk.failing)));
    }
}
