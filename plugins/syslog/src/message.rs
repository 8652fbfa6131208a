//! What a message says, whatever its form.

use flitch_sdk::parse::Repeated;
use std::borrow::Cow;

/// The parts of one message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message<'a> {
    pub priority: Option<u8>,
    pub version: Option<i64>,
    pub time: Option<When>,
    pub hostname: Option<&'a str>,
    pub appname: Option<&'a str>,
    pub procid: Option<&'a str>,
    pub msgid: Option<&'a str>,
    pub elements: Vec<Element<'a>>,
    pub text: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// The parameters of its structured data with the ids of their elements: each once, where it first stands, with all of its
    /// values.
    pub fn parameters(&self) -> Vec<(&'a str, &'a str, Repeated<'_>)> {
        let mut all: Vec<(&str, &str, Repeated<'_>)> = Vec::new();
        for element in &self.elements {
            for (name, value) in &element.parameters {
                match all.iter_mut().find(|known| (known.0, known.1) == (element.id, *name)) {
                    Some((.., values)) => values.add(value),
                    None => all.push((element.id, name, Repeated::One(Cow::Borrowed(value)))),
                }
            }
        }
        all
    }
}

/// One element of structured data: its id, and the parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element<'a> {
    pub id: &'a str,
    pub parameters: Vec<(&'a str, Cow<'a, str>)>,
}

/// The time of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// An instant, in nanoseconds since 1970.
    Instant(i64),
    /// A local time, in nanoseconds as if it were UTC.
    Local(i64),
    /// A time without a year: month, day, and nanoseconds of the day; local, or of an offset where that is said.
    Yearless(u32, u32, i64, Clock),
}

/// Whose clock a time was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// That of a place, which the settings name.
    Local,
    /// One that is so many seconds before UTC.
    Offset(i64),
}

/// The names of facilities, as `syslog.conf` and RFC 5424 have them.
pub const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// The names of severities.
pub const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// The priority that a message begins with, and what stands behind it; none where it begins with something else.
///
/// # Errors
/// It is no number from 0 to 191.
pub fn priority(text: &str) -> Result<(Option<u8>, &str), String> {
    let Some(rest) = text.strip_prefix('<') else { return Ok((None, text)) };
    let digits = rest.bytes().take(4).take_while(u8::is_ascii_digit).count();
    let (Some(behind), 1..=3) = (rest[digits..].strip_prefix('>'), digits) else {
        return Err("there is no priority such as <34> at its beginning".to_owned());
    };
    match rest[..digits].parse::<u8>() {
        Ok(number @ 0..=191) => Ok((Some(number), behind)),
        _ => Err(format!("the priority {} is larger than 191", &rest[..digits])),
    }
}
