//! From a body to batches.

use std::sync::Arc;

use hyper::HeaderMap;

use super::answer::Answer;
use super::content;
use super::content::Form as Held;
use super::entries::Entries;
use super::otlp::{Bad, Logs, Rejected};
use super::{HttpCodec, HttpSettings, Shared};
use crate::ChangedValues;
use flitch_core::batch::builder::{Builder, Changed};
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::{DecodeError, Objects};
use flitch_core::batch::lines::Lines;
use flitch_core::batch::{Cut, Records, TAG, TIMESTAMP};

/// What a body is read with.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    pub settings: &'a HttpSettings,
    pub cut: Cut,
    /// The time of events that say "now", ns.
    pub now: i64,
    pub tag: &'a str,
    pub changed: Option<&'a ChangedValues>,
}

impl<'a> Reading<'a> {
    /// Reads for the source, records of this tag.
    pub fn new(shared: &'a Shared, tag: &'a str) -> Reading<'a> {
        let Shared { settings, cx, changed, .. } = shared;
        Reading { settings, cut: cx.cut, now: cx.clock.now(), tag, changed: Some(changed) }
    }

    /// What each record has that brings no such values of its own.
    pub fn beside(&self) -> Constants {
        Constants::new().text(TAG, self.tag).timestamp(TIMESTAMP, self.now)
    }

    fn count(&self, changed: Changed) {
        if let Some(counter) = self.changed {
            counter.count(changed);
        }
    }
}

/// The records of a body, a batch at a time.
pub struct Batches<'a> {
    reading: Reading<'a>,
    text: &'a [u8],
    constants: Constants,
    reader: Form<'a>,
    /// Whether the text is known to be readable to its end.
    is_checked: bool,
    is_at_end: bool,
}

enum Form<'a> {
    Lines(Lines, &'a [u8]),
    Objects(Objects<'a>, Builder),
    Entries(Box<Entries<'a>>),
    Otlp(Box<Logs<'a>>, Builder),
}

impl<'a> Batches<'a> {
    /// Those of `text`, which holds this by its header, with what is `beside` them.
    ///
    /// # Errors
    /// The body is not what its header says.
    pub fn new(
        held: Held,
        headers: &HeaderMap,
        text: &'a [u8],
        reading: Reading<'a>,
        beside: Constants,
    ) -> Result<Batches<'a>, Answer> {
        let Reading { settings, cut, now, tag, .. } = reading;
        let reader = match held {
            Held::Text => match content::codec(settings.codec, headers, text)? {
                HttpCodec::Lines => {
                    Form::Lines(Lines::new("message"), text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))
                }
                HttpCodec::Json | HttpCodec::Auto => Form::Objects(Objects::new(text), Builder::new()),
            },
            Held::MessagePack => {
                let entries = Entries::new(text, tag, now, cut, settings.invalid_utf8);
                Form::Entries(Box::new(entries))
            }
            Held::Otlp(encoding) => {
                let logs = Logs::new(encoding, text, settings.max_expanded.0 as usize)?;
                Form::Otlp(Box::new(logs), Builder::new())
            }
        };
        Ok(Batches { reading, text, constants: beside, reader, is_checked: false, is_at_end: false })
    }

    /// Takes the records that stood among those of the last batch, could not be read, and cost themselves alone.
    pub fn take_bad(&mut self) -> Vec<Bad> {
        match &mut self.reader {
            Form::Otlp(logs, _) => logs.take_bad(),
            _ => Vec::new(),
        }
    }

    /// How many of those there were so far.
    pub fn rejected(&self) -> Rejected {
        match &self.reader {
            Form::Otlp(logs, _) => logs.rejected().clone(),
            _ => Rejected::default(),
        }
    }

    /// The next batch; none at the end. It may have no row, where there are such as [`Batches::take_bad`] answers.
    ///
    /// A body is taken as a whole or not at all, so the text is looked through to its end before the first batch of
    /// several is answered. Only the first call can fail.
    pub fn next(&mut self) -> Result<Option<Records>, Answer> {
        if self.is_at_end {
            return Ok(None);
        }
        let Reading { cut, settings, .. } = self.reading;
        let invalid = settings.invalid_utf8;
        let finished = match &mut self.reader {
            Form::Lines(lines, rest) => {
                while !lines.full(&cut) && !rest.is_empty() {
                    let line = next_line(rest);
                    if !line.is_empty() {
                        lines.push(line);
                    }
                }
                self.is_at_end = rest.is_empty();
                (lines.rows() > 0).then(|| lines.finish(invalid, &self.constants))
            }
            Form::Objects(objects, fields) => {
                let unreadable = |error: DecodeError| Answer::Unreadable {
                    line: error.line(self.text),
                    reason: error.to_string(),
                };
                let has_more = objects.fill(fields, &cut).map_err(unreadable)?;
                if has_more && !self.is_checked {
                    objects.check_rest().map_err(unreadable)?;
                    self.is_checked = true;
                }
                self.is_at_end = !has_more;
                (fields.rows() > 0).then(|| fields.finish(invalid, &self.constants))
            }
            Form::Otlp(logs, fields) => {
                self.is_at_end = !logs.fill(fields, &cut);
                let has_any = fields.rows() > 0 || logs.has_bad();
                has_any.then(|| fields.finish(invalid, &self.constants))
            }
            Form::Entries(entries) => {
                let ready = entries.next()?;
                self.is_at_end = entries.is_at_end();
                let Some(ready) = ready else { return Ok(None) };
                self.reading.count(ready.changed);
                return Ok(Arc::into_inner(ready.records));
            }
        };
        let Some(finished) = finished else { return Ok(None) };
        self.reading.count(finished.changed());
        Ok(Some(finished.records))
    }
}

/// Takes the first line from `rest`, without its end.
fn next_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (line, behind) = match memchr::memchr(b'\n', rest) {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (*rest, &rest[rest.len()..]),
    };
    *rest = behind;
    line.strip_suffix(b"\r").unwrap_or(line)
}
