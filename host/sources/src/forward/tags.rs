//! The tag that records get.

use std::borrow::Cow;
use std::sync::Arc;

/// Turns the tag of a message into that of its records.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    /// Takes the place of every tag.
    pub instead: Option<Arc<str>>,
    /// Stands before every tag.
    pub prefix: Option<Arc<str>>,
}

impl Tags {
    /// The tag of records that come under `raw`; bytes that are not UTF-8 become U+FFFD.
    pub fn of<'a>(&'a self, raw: &'a [u8]) -> Cow<'a, str> {
        let tag = match &self.instead {
            Some(tag) => Cow::Borrowed(&**tag),
            None => String::from_utf8_lossy(raw),
        };
        match &self.prefix {
            Some(prefix) => Cow::Owned(format!("{prefix}{tag}")),
            None => tag,
        }
    }
}
