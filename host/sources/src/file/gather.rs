//! From bytes to records: where one ends, and what becomes of those that are none.

use std::time::Instant;

use flitch_core::batch::Cut;
use flitch_core::batch::builder::{Builder, Finished};
use flitch_core::batch::constants::Constants;
use flitch_core::batch::decode::decode_members;
use flitch_core::batch::lines::Lines;
use flitch_core::batch::origin::Root;
use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::units::Bytes;

use super::container::{At, Container, Format, Streams};
use super::offsets::Offsets;
use super::settings::{Codec, FileSettings, MultilineSettings};
use crate::multiline::{Begun, Rule};
use flitch_core::setting::wrong;

/// A line that is no record.
#[derive(Debug)]
pub(super) struct Bad {
    pub reason: String,
    pub line: Vec<u8>,
}

impl Bad {
    /// A line of more than `limit` bytes, of which the record cannot be read; `head` is its first part.
    pub fn longer(limit: usize, head: &[u8]) -> Bad {
        let reason =
            format!("longer than {} (`max_line`): the record is its first part", Bytes(limit as u64));
        Bad { reason, line: head.to_vec() }
    }
}

/// Gathers the records of a batch.
#[derive(Debug)]
pub(super) struct Gather {
    form: Form,
    /// Longest line in bytes that is looked at as a whole.
    pub limit: usize,
    bad: Vec<Bad>,
    /// Where records begin.
    pub offsets: Offsets,
}

#[derive(Debug)]
enum Form {
    Lines(Lines),
    Groups(Lines, Groups),
    Json(Builder),
    Container(Box<Container>),
}

/// Which lines make one record.
#[derive(Debug)]
pub(super) struct Groups(Rule);

impl Gather {
    /// Gathers what the settings call a record. Refuses those that contradict one another.
    pub fn new(settings: &FileSettings) -> anyhow::Result<Gather> {
        let limit = settings.max_line.0;
        anyhow::ensure!(
            (1..=1 << 28).contains(&limit),
            wrong!("max_line", " is {}: it must lie between 1 and 256MiB", settings.max_line)
        );
        settings.check_fields()?;
        let limit = limit as usize;
        let lines = || Lines::new(&settings.message_field);
        let format = match settings.codec {
            Codec::Cri => Some(Format::Cri),
            Codec::DockerJson => Some(Format::Docker),
            Codec::Lines | Codec::Json => None,
        };
        if let Some(format) = format {
            let container = Gather::container(settings, format, limit)?;
            let limit = Container::limit(format, limit);
            let form = Form::Container(Box::new(container));
            return Ok(Gather { form, limit, bad: Vec::new(), offsets: Offsets::without_field() });
        }
        let form = match (settings.codec, &settings.multiline) {
            (Codec::Json, None) => Form::Json(Builder::new()),
            (Codec::Json, Some(_)) => anyhow::bail!(wrong!(
                "multiline",
                " joins lines of text, and with `codec: json` each line is a record: leave one of them out"
            )),
            (_, None) => Form::Lines(lines()),
            (_, Some(multiline)) => Form::Groups(lines(), Groups::new(multiline)?),
        };
        Ok(Gather { form, limit, bad: Vec::new(), offsets: Offsets::new(settings)? })
    }

    fn container(settings: &FileSettings, format: Format, longest: usize) -> anyhow::Result<Container> {
        anyhow::ensure!(
            settings.charset.may_be_utf8(),
            wrong!(
                "charset",
                " is {}, and what container runtimes write is UTF-8: leave it out",
                String::from(settings.charset)
            )
        );
        anyhow::ensure!(
            settings.offset_field.is_empty(),
            wrong!(
                "offset_field",
                " is not for containers, whose records have a time of their own: leave it out"
            )
        );
        let groups = match &settings.multiline {
            Some(multiline) => Some((Groups::new(multiline)?, multiline.timeout.0)),
            None => None,
        };
        Ok(Container::new(format, &settings.message_field, longest, settings.partial_timeout.0, groups))
    }

    /// Records and bad lines that were gathered.
    pub fn taken(&self) -> usize {
        self.rows() + self.bad.len()
    }

    /// Records that were gathered.
    pub fn rows(&self) -> usize {
        match &self.form {
            Form::Lines(lines) | Form::Groups(lines, _) => lines.rows(),
            Form::Json(builder) => builder.rows(),
            Form::Container(container) => container.entries().rows(),
        }
    }

    /// Whether the batch is to be finished first.
    pub fn full(&self, cut: &Cut) -> bool {
        let full = match &self.form {
            Form::Lines(lines) | Form::Groups(lines, _) => lines.full(cut),
            Form::Json(builder) => builder.full(cut),
            Form::Container(container) => container.entries().full(cut),
        };
        full || self.taken() >= cut.rows
    }

    /// Takes the records at the head of `chunk`, until the batch is full, a line is longer than the limit or begins
    /// with a NUL. Answers how many bytes they were, line ends included. What lies after the last of them is
    /// unfinished, unless nothing more comes (`last`). `at` is where the chunk stands in its file.
    pub fn append(&mut self, chunk: &[u8], cut: &Cut, last: bool, at: At<'_>) -> usize {
        let limit = self.limit;
        match &mut self.form {
            Form::Lines(lines) => {
                let row = lines.rows();
                let taken = lines.append(chunk, cut, limit);
                self.offsets.of_lines(&chunk[..taken], lines.places(row), at.base);
                taken
            }
            Form::Groups(lines, groups) => {
                let mut begins = |begin: usize| self.offsets.push(at.base + begin as u64);
                groups.append(lines, chunk, cut, limit, last, &mut begins)
            }
            Form::Json(_) => self.append_json(chunk, cut, at.base),
            Form::Container(container) => container.append(chunk, cut, limit, at, &mut self.bad),
        }
    }

    fn append_json(&mut self, chunk: &[u8], cut: &Cut, base: u64) -> usize {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            let line = &chunk[start..end];
            if self.full(cut) || without_cr(line).len() > self.limit || line.first() == Some(&0) {
                break;
            }
            let Form::Json(builder) = &mut self.form else { break };
            builder.begin_record();
            let place = base + start as u64;
            self.offsets.put(builder, place);
            start = end + 1;
            let read = decode_members(builder, line);
            match read {
                Ok(()) => {
                    builder.end_record();
                    self.offsets.push(place);
                }
                Err(_) => builder.cancel_record(),
            }
            if let Err(error) = read
                && !line.trim_ascii().is_empty()
            {
                self.bad.push(Bad {
                    reason: format!("no JSON object: {error}"),
                    line: without_cr(line).to_vec(),
                });
            }
        }
        start
    }

    /// Takes the first part of a line that is longer than the limit, cut between two characters. `at` is where the
    /// line stands in its file.
    pub fn push_cut(&mut self, line: &[u8], at: At<'_>) {
        match &mut self.form {
            Form::Lines(lines) | Form::Groups(lines, _) => {
                lines.push(&line[..boundary(line, self.limit)]);
                lines.mark_truncated();
                self.offsets.push(at.base);
            }
            Form::Json(_) => self.bad.push(Bad::longer(self.limit, &line[..boundary(line, self.limit)])),
            Form::Container(container) => container.push_cut(line, at, &mut self.bad),
        }
    }

    /// Ends the open records of a file that have waited long enough for more, or `all` of them.
    pub fn end_open(&mut self, streams: &mut Option<Box<Streams>>, all: bool, now: Instant) {
        if let (Form::Container(container), Some(streams)) = (&mut self.form, streams) {
            container.end(streams, all, now);
        }
    }

    /// The records, which are of the file of this root, and the lines that are none. The gatherer is empty after it.
    pub fn finish(
        &mut self,
        invalid: InvalidUtf8,
        constants: &Constants,
        root: Option<Root>,
    ) -> (Finished, Vec<Bad>) {
        let finished = match &mut self.form {
            Form::Lines(lines) | Form::Groups(lines, _) => {
                self.offsets.field(lines.finish(invalid, constants))
            }
            Form::Json(builder) => builder.finish(invalid, constants),
            Form::Container(container) => {
                let entries = container.entries_mut();
                entries.take_starts(&mut self.offsets);
                entries.finish(invalid, constants)
            }
        };
        (self.offsets.origins(finished, root), std::mem::take(&mut self.bad))
    }
}

impl Groups {
    pub fn new(settings: &MultilineSettings) -> anyhow::Result<Groups> {
        let MultilineSettings { start, r#continue: more, preset, max_lines, .. } = settings;
        Ok(Groups(Rule::new(start.as_ref(), more.as_ref(), *preset, *max_lines)?))
    }

    /// See [`Rule::begin`].
    pub fn begin(&self, line: &[u8]) -> Begun {
        self.0.begin(line)
    }

    /// See [`Rule::goes_on`].
    pub fn goes_on(&self, begun: &mut Begun, line: &[u8]) -> bool {
        self.0.goes_on(begun, line)
    }

    /// See [`Gather::append`]. A record ends where another begins, and where it would pass the limit of lines or bytes.
    /// `begins` hears where each record begins in the chunk.
    fn append(
        &self,
        lines: &mut Lines,
        chunk: &[u8],
        cut: &Cut,
        limit: usize,
        last: bool,
        begins: &mut dyn FnMut(usize),
    ) -> usize {
        // Where the record begins, where its last line ends (without its end), and how far it has come.
        let (mut begin, mut end) = (0, 0);
        let mut begun: Option<Begun> = None;
        let mut next = 0;
        while !lines.full(cut) {
            let rest = &chunk[next..];
            let line = memchr::memchr(b'\n', rest).map(|at| &rest[..at]);
            if let Some(line) = line
                && line.first() == Some(&0)
            {
                // What comes behind a gap in the file belongs to nothing before it.
                if begun.is_some() {
                    push_group(lines, &chunk[begin..end]);
                    begins(begin);
                }
                return next;
            }
            let Some(line) = line else {
                let too_long = rest.len() > limit + 1;
                if begun.is_some() && (last || too_long) {
                    push_group(lines, &chunk[begin..end]);
                    begins(begin);
                    begin = next;
                }
                break;
            };
            let text = without_cr(line);
            if let Some(so_far) = &mut begun
                && (next + text.len() - begin > limit || !self.goes_on(so_far, text))
            {
                push_group(lines, &chunk[begin..end]);
                begins(begin);
                (begin, begun) = (next, None);
                continue;
            }
            if text.len() > limit {
                break;
            }
            begun.get_or_insert_with(|| self.begin(text));
            end = next + text.len();
            next += line.len() + 1;
        }
        begin
    }
}

/// Adds a record of several lines, which are parted by LF whatever parted them in the file.
fn push_group(lines: &mut Lines, group: &[u8]) {
    let mut rest = group;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        lines.part(&rest[..at]);
        rest = &rest[at + 1..];
    }
    lines.part(rest);
    lines.end_line();
}

pub(super) fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The last place up to `limit` that lies between two characters.
pub(super) fn boundary(line: &[u8], limit: usize) -> usize {
    let limit = limit.min(line.len());
    let is_inside = |at: usize| line.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    // A character has at most three bytes after its first; what has more is no UTF-8.
    (limit.saturating_sub(3)..=limit).rev().find(|at| !is_inside(*at)).unwrap_or(limit)
}

#[cfg(test)]
mod tests;
