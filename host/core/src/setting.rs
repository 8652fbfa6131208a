//! Which setting an error is about, as a value: the configuration points at its line.

use std::fmt;

/// A setting that is wrong. Shown, it is the key between backticks and the reason behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    key: String,
    reason: String,
}

impl Wrong {
    /// The setting at `key`, from its part of the configuration on: `tls.cert`. The reason goes on behind the key:
    /// `: there is no such file`, ` is empty`.
    pub fn new(key: String, reason: String) -> Wrong {
        Wrong { key, reason }
    }

    /// Where the setting stands in its part of the configuration.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`{}", self.key, self.reason)
    }
}

impl std::error::Error for Wrong {}

/// A [`Wrong`] of a key and a reason, both as `format!` takes them.
#[macro_export]
macro_rules! wrong {
    ($key:literal, $($reason:tt)+) => {
        $crate::setting::Wrong::new(format!($key), format!($($reason)+))
    };
}

pub use wrong;

/// Reads a text, or a list of texts, as a list: for `deserialize_with`.
///
/// # Errors
/// It is neither.
pub fn one_or_more<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    use crate::router::OneOrMore;
    Ok(match serde::Deserialize::deserialize(d)? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(list) => list,
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_key_is_found_below_whatever_is_said_about_it() {
        let name = "cert";
        let wrong = wrong!("tls.{name}", ": cannot read {}", "it");
        assert_eq!(wrong.to_string(), "`tls.cert`: cannot read it");
        for error in [
            anyhow::Error::new(wrong.clone()),
            anyhow::anyhow!("no such file").context(wrong.clone()),
            Err::<(), _>(anyhow::anyhow!("deep").context(wrong.clone())).context("on top").unwrap_err(),
        ] {
            assert_eq!(error.downcast_ref::<Wrong>().map(Wrong::key), Some("tls.cert"), "{error:#}");
        }
    }
}
