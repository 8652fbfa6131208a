//! Bodies of MessagePack: events one behind the other, `[time, record]` or `[[time, metadata], record]`, as the HTTP output
//! of Fluent Bit sends them with `format msgpack`. They are read as the entries of the forward protocol are.

use super::answer::Answer;
use crate::forward::entries::{self, BadEntry, Head, SCAN_DEPTH};
use crate::forward::gather::{Gather, Origin, Ready, Step};
use crate::forward::tags::Tags;
use flitch_core::batch::Cut;
use flitch_core::batch::builder::Builder;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::net::forward::wire::{Cursor, Limits, Token};

/// The field for the metadata of an event, as the forward source has it.
const METADATA: &str = "metadata";
const ANY: Limits = Limits { bytes: usize::MAX, depth: SCAN_DEPTH };

/// The events of a body.
pub struct Entries<'a> {
    body: &'a [u8],
    at: usize,
    gather: Gather,
    tag: &'a str,
    /// The time of events that say "now", ns.
    now: i64,
    is_checked: bool,
}

impl<'a> Entries<'a> {
    /// Those of `body`, with this tag.
    pub fn new(body: &'a [u8], tag: &'a str, now: i64, cut: Cut, invalid: InvalidUtf8) -> Entries<'a> {
        let gather = Gather::new(cut, invalid, Tags::default()).keep_metadata(Some(METADATA.into()));
        Entries { body, at: 0, gather, tag, now, is_checked: false }
    }

    /// The next batch; none at the end. Only the first call can fail: a body is taken as a whole or not at all.
    pub fn next(&mut self) -> Result<Option<Ready>, Answer> {
        let tag = self.tag;
        let origin = Origin { raw_tag: tag.as_bytes(), tag, now: self.now, answered: true, root: None };
        let step = self.gather.entries(origin, self.body, &mut self.at, true, None);
        if let Step::Broken(fault) = step {
            return Err(unreadable(self.at, &fault.to_string()));
        }
        let ready = self.gather.finish();
        if let Some(dead) = ready.as_ref().and_then(|ready| ready.dead.first()) {
            return Err(unreadable(self.at, &dead.reason));
        }
        if step == Step::Full && !self.is_checked {
            check(self.body, self.at)?;
            self.is_checked = true;
        }
        Ok(ready)
    }

    /// Whether nothing comes after the last batch.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.body.len()
    }
}

/// Looks whether all events from `at` on could be read, and keeps nothing of them.
fn check(body: &[u8], mut at: usize) -> Result<(), Answer> {
    let mut scratch = Builder::new();
    while at < body.len() {
        at = look(body, at, &mut scratch).map_err(|bad| unreadable(at, &bad.to_string()))?;
    }
    Ok(())
}

/// Reads the event at `at`, and answers where it ends.
fn look(body: &[u8], at: usize, scratch: &mut Builder) -> Result<usize, BadEntry> {
    let mut cursor = Cursor::new(body, at);
    let more = match cursor.token()? {
        Token::Array(length @ 2..) => length - 2,
        other => {
            return Err(BadEntry::Shape(format!("an entry must be [time, record], not {}", other.name())));
        }
    };
    match entries::head(&mut cursor)? {
        Head::Event(..) => {
            scratch.begin_record();
            let read = entries::record(&mut cursor, scratch);
            scratch.cancel_record();
            read?;
        }
        // What a mark of a group holds is looked at when its turn comes, and costs no record.
        Head::GroupStart | Head::GroupEnd => cursor.skip(ANY)?,
    }
    for _ in 0..more {
        cursor.skip(ANY)?;
    }
    Ok(cursor.at())
}

fn unreadable(at: usize, why: &str) -> Answer {
    Answer::Unreadable { line: 0, reason: format!("the event at byte {at} cannot be read: {why}") }
}
