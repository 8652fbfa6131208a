//! Docker's lines, which came in pieces and are whole.

use super::super::entries;
use super::super::partial::Line;
use super::Gather;
use flitch_core::batch::lines::TRUNCATED;
use flitch_core::net::forward::wire::Cursor;

impl Gather {
    /// Takes the lines that are complete because no more came of them: since a while, or with the connection's end.
    pub fn ended_lines(&mut self, end: impl FnOnce(&mut Vec<Line>)) {
        end(&mut self.lines);
        self.take_lines();
    }

    pub(super) fn take_lines(&mut self) {
        for line in std::mem::take(&mut self.lines) {
            let tags = self.tags.clone();
            self.line(&tags.of(&line.tag), &line);
        }
    }

    fn line(&mut self, tag: &str, line: &Line) {
        self.begin(tag, line.time);
        match entries::fields(&mut Cursor::new(&line.fields, 0), line.pairs, &mut self.builder) {
            Ok(()) => {
                self.builder.key(b"log").text(&line.log);
                if line.truncated {
                    self.builder.key(TRUNCATED.as_bytes()).boolean(true);
                }
                // It came in several messages, and which of them ends it may be another one when they come again.
                self.end(None);
                self.kept |= line.answered;
            }
            Err(reason) => {
                self.builder.cancel_record();
                self.dead(reason.to_string(), &line.log);
            }
        }
    }
}
