use super::answer::Answer;
use super::{HttpCodec, Shared};
use crate::batch::builder::Builder;
use crate::batch::constants::Constants;
use crate::batch::lines::Lines;
use crate::batch::{Records, TAG, TIMESTAMP, decode};
use crate::telemetry::Metric;

/// The records of a body, cut into batches; nothing of a body that cannot be read to its end.
pub fn decode(codec: HttpCodec, text: &[u8], tag: &str, shared: &Shared) -> Result<Vec<Records>, Answer> {
    let constants = Constants::new().text(TAG, tag).timestamp(TIMESTAMP, shared.cx.clock.now());
    let mut batches = Batches { shared, constants, done: Vec::new(), replaced: 0 };
    match codec {
        HttpCodec::Lines => batches.lines(text),
        HttpCodec::Json | HttpCodec::Auto => batches.json(text)?,
    }
    if batches.replaced > 0 {
        let labels = [("source", &*shared.cx.name)];
        Metric::InvalidUtf8.counter(&labels).increment(batches.replaced);
    }
    Ok(batches.done)
}

struct Batches<'a> {
    shared: &'a Shared,
    constants: Constants,
    done: Vec<Records>,
    replaced: u64,
}

impl Batches<'_> {
    fn lines(&mut self, text: &[u8]) {
        let mut lines = Lines::new("message");
        for line in text.split(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            lines.push(line);
            if lines.full(&self.shared.cx.cut) {
                self.take(lines.finish(self.shared.settings.invalid_utf8, &self.constants));
            }
        }
        if lines.rows() > 0 {
            self.take(lines.finish(self.shared.settings.invalid_utf8, &self.constants));
        }
    }

    /// One object, an array of objects, or objects with white space between them.
    fn json(&mut self, text: &[u8]) -> Result<(), Answer> {
        let mut fields = Builder::new();
        let (shared, invalid) = (self.shared, self.shared.settings.invalid_utf8);
        let read = decode::decode_value(&mut fields, text, |fields: &mut Builder| {
            if fields.full(&shared.cx.cut) {
                let finished = fields.finish(invalid, &self.constants);
                self.take(finished);
            }
        });
        read.map_err(|error| Answer::Unreadable { line: error.line(text), reason: error.to_string() })?;
        if fields.rows() > 0 {
            let finished = fields.finish(invalid, &self.constants);
            self.take(finished);
        }
        Ok(())
    }

    fn take(&mut self, finished: crate::batch::builder::Finished) {
        self.replaced += finished.replaced;
        self.done.push(finished.records);
    }
}
