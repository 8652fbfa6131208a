//! A file that was just found.

use std::path::PathBuf;
use std::time::Instant;

use flitch_core::batch::StreamId;
use flitch_core::receipt::Watermark;

use super::super::container::Position;
use super::super::discover::{FileId, Found};
use super::super::read::Blank;
use super::{Compressed, Tail, Twin, Unsent, modified};

impl Tail {
    /// A file of which nothing is known but how it was found: by the walk `seen`, and in this folder if a link led there.
    pub fn found(found: &Found, folder: Option<PathBuf>, seen: u64, now: Instant) -> Tail {
        Tail {
            id: FileId::of(&found.meta),
            id_before: None,
            path: found.path.clone(),
            place: found.place.clone(),
            folder,
            label: None,
            constants: None,
            stream: StreamId::next(),
            root: None,
            root_before: None,
            mark: Watermark::new(Some(Position::at(0))),
            fingerprint: None,
            trail: None,
            unended: None,
            unsent: Unsent::default(),
            saved: None,
            is_fresh: true,
            content: None,
            used: None,
            twin: Twin::Unknown,
            finished: None,
            compressed: Compressed::Unknown,
            offset: 0,
            streams: None,
            searched: None,
            coding: None,
            blank: Blank::Unknown,
            told_nuls: false,
            size: found.meta.len(),
            modified: modified(&found.meta),
            grown: now,
            gone: None,
            seen,
            partial: false,
            queued: false,
            force: false,
            verify_at: now,
            rest_until: None,
            average: 0,
        }
    }
}
