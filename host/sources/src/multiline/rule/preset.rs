//! The stack traces of some languages.

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pattern;

/// What writes the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Java and what else runs on its machine, and .NET, whose traces look alike: a stack trace belongs to the line before it.
    Java,
    /// Python: a traceback, and those that it follows from, belong to the line before them.
    Python,
    /// Go: what follows a `panic:` belongs to it.
    Go,
}

/// Where in a stack trace a record is after a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// In none.
    #[default]
    Outside,
    /// Behind the line that announces one.
    Announced,
    /// Among its frames.
    Frames,
}

/// Which lines belong to the stack traces of a language.
#[derive(Clone, Debug)]
pub(super) struct Traces {
    /// A line that belongs to the one before it wherever it stands.
    more: Regex,
    inside: Option<Inside>,
}

/// Lines that only belong to a trace inside of it.
#[derive(Clone, Debug)]
struct Inside {
    /// A line that announces a trace.
    header: Regex,
    /// A line that belongs to the frames before it.
    line: Regex,
    /// Where the record is behind the header, and behind such a line.
    behind: (Place, Place),
}

impl Traces {
    pub fn of(preset: Preset) -> Result<Traces, String> {
        let regex = |pattern: &str| Pattern(pattern.to_owned()).compile();
        Ok(match preset {
            Preset::Java => Traces {
                more: regex(concat!(
                    r"^[\t ]+(?:eval )?at |^[\t ]*(?:Caused by|Suppressed|Wrapped by): |^[\t ]*nested exception is:|",
                    r"^[\t ]*\.\.\. [0-9]+ (?:more|common frames omitted)|^[\t ]*\[CIRCULAR REFERENCE: ?.*\]\r?$|",
                    r"^[\t ]+---> |^[\t ]+--- End of inner exception stack trace ---|^--- End of stack trace from previous location|",
                    r"^(?:[\w$]+\.)+[\w$]*(?:Exception|Error|Throwable)(?:: |:?\r?$)",
                ))?,
                inside: None,
            },
            Preset::Python => Traces {
                more: regex(concat!(
                    r"^[\t ]|^\r?$|^(?:Traceback|Stack) \(most recent call last\):|",
                    r"^During handling of the above exception, |^The above exception was the direct cause of |",
                    r"^(?:\w+\.)*\w*(?:Error|Exception|ExceptionGroup|Warning|Interrupt|Exit|Iteration)(?:: |:?\r?$)",
                ))?,
                // The frames are indented, and one line behind them is not: the class of the exception, which may have any
                // name, alone or with a message.
                inside: Some(Inside {
                    header: regex(r"^(?:\S.*)?Traceback \(most recent call last\):\r?$")?,
                    line: regex(r"^[^\s:()]+(?:: |:?\r?$)")?,
                    behind: (Place::Announced, Place::Outside),
                }),
            },
            Preset::Go => Traces {
                more: regex(
                    r"^[\t ]|^\r?$|^goroutine [0-9]+ |^\[signal |^\[recovered\]|^created by |^exit status [0-9]",
                )?,
                // A function with its arguments, frames that are left out, and registers.
                inside: Some(Inside {
                    header: regex(r"^(?:goroutine [0-9]+ |panic: |fatal error: |runtime stack:)")?,
                    line: regex(concat!(
                        r"^[^\s(]+\(.*\)\r?$|^\.\.\.(?:[0-9]+|additional) frames elided|^runtime stack:|",
                        r"^(?:PC|pc)=0x|^[a-z][a-z0-9]{1,6} +0x[0-9a-f]+\r?$",
                    ))?,
                    behind: (Place::Frames, Place::Frames),
                }),
            },
        })
    }

    /// Where a record is that begins with a line.
    pub fn begin(&self, line: &[u8]) -> Place {
        match &self.inside {
            Some(inside) if inside.header.is_match(line) => inside.behind.0,
            _ => Place::Outside,
        }
    }

    /// Where a record is behind the next line; none where the line does not belong to it.
    pub fn next(&self, place: Place, line: &[u8]) -> Option<Place> {
        let Some(inside) = &self.inside else { return self.more.is_match(line).then_some(place) };
        if place == Place::Frames && inside.line.is_match(line) {
            return Some(inside.behind.1);
        }
        if !self.more.is_match(line) {
            return None;
        }
        Some(match line.first() {
            Some(b' ' | b'\t') if place == Place::Announced => Place::Frames,
            _ if inside.header.is_match(line) => inside.behind.0,
            _ => place,
        })
    }
}
