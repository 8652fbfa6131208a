//! Which lines make one record.

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::setting::wrong;

/// A regular expression over bytes, known to be one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

impl Pattern {
    fn compile(&self) -> Result<Regex, String> {
        Regex::new(&self.0).map_err(|error| format!("`{}` is no regular expression: {error}", self.0))
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Pattern, String> {
        let pattern = Pattern(text);
        pattern.compile()?;
        Ok(pattern)
    }
}

/// What writes the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Java and what else runs on its machine: a stack trace belongs to the line before it.
    Java,
    /// Python: a traceback, and those that it follows from, belong to the line before them.
    Python,
    /// Go: what follows a `panic:` belongs to it.
    Go,
}

impl Preset {
    /// Matches the lines that belong to the one before them.
    fn pattern(self) -> &'static str {
        match self {
            Preset::Java => concat!(
                r"^[\t ]+(?:eval )?at |^[\t ]*(?:Caused by|Suppressed|Wrapped by): |^[\t ]*nested exception is:|",
                r"^[\t ]*\.\.\. [0-9]+ (?:more|common frames omitted)|",
                r"^[\t ]+--- End of inner exception stack trace ---|^--- End of stack trace from previous location|",
                r"^(?:[\w$]+\.)+[\w$]*(?:Exception|Error|Throwable)(?:: |:?\r?$)",
            ),
            Preset::Python => concat!(
                r"^[\t ]|^\r?$|^Traceback \(most recent call last\):|^During handling of the above exception, |",
                r"^The above exception was the direct cause of |",
                r"^(?:\w+\.)*\w*(?:Error|Exception|ExceptionGroup|Warning|Interrupt|Exit|Iteration)(?:: |:?\r?$)",
            ),
            Preset::Go => concat!(
                r"^[\t ]|^\r?$|^goroutine [0-9]+ |^\[signal |^\[recovered\]|^created by |^exit status [0-9]|",
                r"^[\w./~-]+(?:\.\(\*?[\w\[\].]+\))?[\w.\[\]-]*\(.*\)\r?$",
            ),
        }
    }
}

/// Which lines begin a record, or go on with one.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Whether a line that matches begins a record, or goes on with one.
    begins: bool,
    pattern: Regex,
    max_lines: usize,
}

impl Rule {
    /// The rule that one of `start`, `continue` and `preset` gives, for records of so many lines.
    ///
    /// # Errors
    /// There are none or several of them, or a record would have no line.
    pub fn new(
        start: Option<&Pattern>,
        more: Option<&Pattern>,
        preset: Option<Preset>,
        max_lines: usize,
    ) -> anyhow::Result<Rule> {
        let (begins, pattern) = match (start, more, preset) {
            (Some(start), None, None) => (true, start.compile()),
            (None, Some(more), None) => (false, more.compile()),
            (None, None, Some(preset)) => (false, Pattern(preset.pattern().to_owned()).compile()),
            (None, None, None) => anyhow::bail!(wrong!(
                "multiline",
                " needs `start`, which matches the first line of a record, `continue`, which matches its others, or a `preset`"
            )),
            _ => {
                anyhow::bail!(wrong!(
                    "multiline",
                    " has several of `start`, `continue` and `preset`: leave one of them alone"
                ))
            }
        };
        anyhow::ensure!(
            max_lines > 0,
            wrong!("multiline.max_lines", " is 0: a record has one line at least")
        );
        Ok(Rule { begins, pattern: pattern.map_err(anyhow::Error::msg)?, max_lines })
    }

    /// Whether a line begins the next record after one of `lines` lines.
    pub fn is_next(&self, line: &[u8], lines: usize) -> bool {
        lines >= self.max_lines || self.pattern.is_match(line) == self.begins
    }
}

#[cfg(test)]
mod tests;
