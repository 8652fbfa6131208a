//! What was read at the end of a file and has not ended: a line without an end, a record that waits for its next line. Positions
//! stay before it, so that it is read again; but a file that is cut, as by `copytruncate`, has it no more.

use flitch_core::batch::origin::Root;
use flitch_core::net::budget::{Budget, Share};

use super::super::container::Streams;
use super::Tail;

/// Text at the end of a file that was read and is not sent.
#[derive(Debug)]
pub(in super::super) struct Kept {
    text: Vec<u8>,
    /// Where it stands in the file.
    offset: u64,
    share: Share,
}

/// What stood at the end of content that is gone.
#[derive(Debug)]
pub(in super::super) struct Owed {
    pub kept: Option<Box<Kept>>,
    /// How much of the text is sent.
    pub sent: usize,
    /// Lines of a container that are not ended.
    pub streams: Option<Box<Streams>>,
    /// What the records of that content are numbered in.
    pub root: Option<Root>,
    /// Places in the text are places in the file.
    pub is_exact: bool,
}

/// What is kept of a file, and owed of the content that it had before.
#[derive(Debug, Default)]
pub(in super::super) struct Unsent {
    kept: Option<Box<Kept>>,
    pub owed: Option<Box<Owed>>,
}

impl Kept {
    /// The text behind `sent` bytes of it, and where that stood.
    pub fn rest(&self, sent: usize) -> (&[u8], u64) {
        (&self.text[sent..], self.offset + sent as u64)
    }
}

impl Tail {
    /// Keeps `text`, with which the file ends and which begins at the place up to which it is taken, in the place of what was kept
    /// before. Where `room` has none for it nothing is kept.
    pub fn keep(&mut self, text: &[u8], room: &Budget) {
        if text.is_empty() || self.is_compressed() {
            self.unsent.kept = None;
            return;
        }
        let new = || Box::new(Kept { text: Vec::new(), offset: 0, share: room.share() });
        let mut kept = self.unsent.kept.take().unwrap_or_else(new);
        let more = text.len().saturating_sub(kept.share.bytes());
        if kept.share.try_take(more) {
            kept.share.shrink(text.len());
            kept.text.clear();
            kept.text.extend_from_slice(text);
            kept.offset = self.offset;
            self.unsent.kept = Some(kept);
        }
    }

    /// Forgets what is kept: its writer takes it back.
    pub(super) fn forget_kept(&mut self) {
        self.unsent.kept = None;
        self.streams = None;
    }

    /// What is kept is of content that is gone, and ends there: it is sent before what is there now.
    pub(super) fn owe(&mut self) {
        let kept = self.unsent.kept.take().filter(|kept| kept.offset == self.offset);
        let streams = self.streams.take().filter(|streams| streams.first_open().is_some());
        if kept.is_none() && streams.is_none() {
            return;
        }
        let kept = kept.map(|mut kept| {
            if kept.text.last() != Some(&b'\n') {
                kept.text.push(b'\n');
            }
            kept
        });
        let is_exact = self.coding.is_none_or(|coding| coding.is_utf8());
        let owed = Owed { kept, sent: 0, streams, root: self.root, is_exact };
        self.unsent.owed = Some(Box::new(owed));
    }
}
