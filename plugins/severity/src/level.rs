//! The levels, the words for them, and the numbers of loggers.

use serde::Deserialize;

/// How grave an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Every step of a program.
    Trace,
    /// What its authors look for faults with.
    Debug,
    /// What it does.
    Info,
    /// What it does that is rare.
    Notice,
    /// What may lead to a fault.
    Warn,
    /// A fault.
    Error,
    /// A fault of a part that others need.
    Critical,
    /// Somebody must act at once.
    Alert,
    /// The end.
    Fatal,
}

/// Whose numbers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Numbers {
    /// RFC 5424.
    Syslog,
    /// pino and bunyan.
    Pino,
    /// Python's `logging`.
    Python,
    /// OpenTelemetry's SeverityNumber.
    Otel,
    /// Log4j 1 and Logback.
    Log4j,
    /// `java.util.logging`.
    Java,
    /// Microsoft.Extensions.Logging.
    Dotnet,
    /// zap.
    Zap,
    /// Go's `log/slog`.
    Slog,
    /// Google Cloud's LogSeverity.
    Google,
}

use Level::{Alert, Critical, Error, Fatal, Info, Notice, Trace, Warn};

const WORDS: [(Level, &[&str]); 9] = [
    (Trace, &["trace", "trc", "verbose", "finest", "silly", "t", "v"]),
    (
        Level::Debug,
        &[
            "debug", "dbg", "fine", "finer", "config", "d", "d1", "d2", "d3", "d4", "d5", "debug1", "debug2",
            "debug3", "debug4", "debug5",
        ],
    ),
    (Info, &["info", "inf", "information", "informational", "log", "i"]),
    (Notice, &["notice", "note", "n"]),
    (Warn, &["warn", "warning", "wrn", "w"]),
    (Error, &["error", "err", "eror", "severe", "e"]),
    (Critical, &["critical", "crit", "dpanic", "c"]),
    (Alert, &["alert"]),
    (Fatal, &["fatal", "ftl", "panic", "emergency", "emerg", "f"]),
];

impl Level {
    /// The level of a word.
    pub fn of_word(text: &str) -> Option<Self> {
        let word = text.trim().trim_matches(['[', ']', '<', '>', '(', ')', ':']).trim();
        let is = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
        WORDS.iter().find(|(_, words)| is(words)).map(|(level, _)| *level)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ["trace", "debug", "info", "notice", "warn", "error", "critical", "alert", "fatal"][self as usize]
    }

    /// Its name among the six of OpenTelemetry.
    pub fn otel(self) -> &'static str {
        ["trace", "debug", "info", "info", "warn", "error", "error", "error", "fatal"][self as usize]
    }

    /// Its number in OpenTelemetry.
    pub fn otel_number(self) -> i64 {
        [1, 5, 9, 10, 13, 17, 18, 19, 21][self as usize]
    }

    /// Its name in syslog.
    pub fn syslog(self) -> &'static str {
        ["debug", "debug", "info", "notice", "warning", "err", "crit", "alert", "emerg"][self as usize]
    }

    /// Its number in syslog.
    pub fn syslog_number(self) -> i64 {
        [7, 7, 6, 5, 4, 3, 2, 1, 0][self as usize]
    }
}

impl Numbers {
    /// The level of a number, or none where the convention has no such number.
    pub fn level(self, number: i64) -> Option<Level> {
        if self == Self::Syslog {
            let levels = [Fatal, Alert, Critical, Error, Warn, Notice, Info, Level::Debug];
            return levels.get(usize::try_from(number).ok()?).copied();
        }
        let (last, from) = self.bounds();
        // What lies below the first is even less than that.
        let lowest = from.first().map(|(bound, _)| (*bound).min(0))?;
        if number > last || number < lowest && self != Self::Slog || self == Self::Otel && number == 0 {
            return None;
        }
        let reached = from.iter().rev().find(|(bound, _)| *bound <= number);
        Some(reached.map_or(Trace, |(_, level)| *level))
    }

    /// The last number, and the first of each level.
    fn bounds(self) -> (i64, &'static [(i64, Level)]) {
        match self {
            Self::Syslog => (7, &[]),
            Self::Pino => (
                i64::MAX,
                &[(10, Trace), (20, Level::Debug), (30, Info), (40, Warn), (50, Error), (60, Fatal)],
            ),
            Self::Python => {
                (i64::MAX, &[(10, Level::Debug), (20, Info), (30, Warn), (40, Error), (50, Critical)])
            }
            Self::Otel => (
                24,
                &[
                    (1, Trace),
                    (5, Level::Debug),
                    (9, Info),
                    (10, Notice),
                    (13, Warn),
                    (17, Error),
                    (18, Critical),
                    (19, Alert),
                    (21, Fatal),
                ],
            ),
            Self::Log4j => (
                i64::MAX,
                &[
                    (5000, Trace),
                    (10_000, Level::Debug),
                    (20_000, Info),
                    (30_000, Warn),
                    (40_000, Error),
                    (50_000, Fatal),
                ],
            ),
            Self::Java => {
                (i64::MAX, &[(300, Trace), (400, Level::Debug), (800, Info), (900, Warn), (1000, Error)])
            }
            Self::Dotnet => {
                (5, &[(0, Trace), (1, Level::Debug), (2, Info), (3, Warn), (4, Error), (5, Critical)])
            }
            Self::Zap => {
                (5, &[(-1, Level::Debug), (0, Info), (1, Warn), (2, Error), (3, Critical), (4, Fatal)])
            }
            Self::Slog => (i64::MAX, &[(-4, Level::Debug), (0, Info), (4, Warn), (8, Error)]),
            Self::Google => (
                800,
                &[
                    (100, Level::Debug),
                    (200, Info),
                    (300, Notice),
                    (400, Warn),
                    (500, Error),
                    (600, Critical),
                    (700, Alert),
                    (800, Fatal),
                ],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_stands_for_one_level_in_any_case_and_dress() {
        let mut all: Vec<&str> = WORDS.iter().flat_map(|(_, words)| words.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (level, words) in WORDS {
            assert_eq!(Level::of_word(level.name()), Some(level));
            for word in words {
                for dressed in
                    [word.to_uppercase(), format!("[{word}]"), format!(" {word}: "), format!("<{word}>")]
                {
                    assert_eq!(Level::of_word(&dressed), Some(level), "{dressed}");
                }
            }
        }
        for text in ["", "[]", "errors", "x", "30"] {
            assert_eq!(Level::of_word(text), None);
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same_level_again() {
        for (level, _) in WORDS {
            assert_eq!(Numbers::Otel.level(level.otel_number()), Some(level));
            if level > Trace {
                assert_eq!(Numbers::Syslog.level(level.syslog_number()), Some(level));
                assert_eq!(Level::of_word(level.syslog()), Some(level));
            }
        }
    }

    #[test]
    fn a_number_between_two_counts_as_the_lower_one_and_one_outside_as_none() {
        assert_eq!(Numbers::Pino.level(35), Some(Info));
        assert_eq!(Numbers::Python.level(30), Some(Warn));
        assert_eq!(Numbers::Python.level(5), Some(Trace));
        assert_eq!(Numbers::Slog.level(-8), Some(Trace));
        assert_eq!(Numbers::Slog.level(2), Some(Info));
        assert_eq!(Numbers::Java.level(500), Some(Level::Debug));
        assert_eq!(Numbers::Google.level(0), Some(Trace));
        for (numbers, number) in [
            (Numbers::Syslog, 8),
            (Numbers::Syslog, -1),
            (Numbers::Otel, 0),
            (Numbers::Otel, 25),
            (Numbers::Dotnet, 6),
            (Numbers::Zap, -2),
            (Numbers::Pino, -1),
        ] {
            assert_eq!(numbers.level(number), None, "{numbers:?} {number}");
        }
    }
}
