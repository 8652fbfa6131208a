//! The settings of the filter.

use crate::find::{Finder, Kind, Replace};
use flitch_model::pattern::foreign;
use flitch_sdk::{Result, bail, err};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Fewest bytes of a key.
const MIN_KEY: usize = 16;
/// Most patterns.
const MAX_PATTERNS: usize = 50;

/// The settings of `redact`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What is looked for.
    pub find: Option<Vec<Find>>,
    /// More of it, as regular expressions by name.
    pub patterns: BTreeMap<String, String>,
    /// What becomes of a match.
    pub action: Action,
    /// With `mask`: so many characters at the end stay.
    pub keep_last: usize,
    /// With `hash`: the key.
    pub key: Option<String>,
    /// The fields that are looked at; all if there is none.
    pub fields: Vec<String>,
    /// Fields that are not.
    pub except: Vec<String>,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Find {
    /// E-mail addresses.
    Email,
    /// Numbers of payment cards.
    Card,
    /// IP addresses of either version.
    Ip,
    /// Those of version 4.
    Ipv4,
    /// Those of version 6.
    Ipv6,
}

/// What becomes of a match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Its name in brackets stands in its place.
    #[default]
    Label,
    /// Stars stand in its place.
    Mask,
    /// A hash stands in its place.
    Hash,
    /// Nothing stands in its place.
    Remove,
    /// The record is dropped.
    Drop,
}

impl Settings {
    /// What finds it all.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(crate) fn finder(self) -> Result<Finder> {
        let find = match self.find {
            Some(find) => find,
            None if self.patterns.is_empty() => vec![Find::Email, Find::Card, Find::Ip],
            None => Vec::new(),
        };
        if find.is_empty() && self.patterns.is_empty() {
            bail!("settings: there is nothing to find; write `find` or `patterns`");
        }
        if self.patterns.len() > MAX_PATTERNS {
            bail!("settings.patterns: there are {}, and {MAX_PATTERNS} at most", self.patterns.len());
        }
        if self.keep_last > 0 && self.action != Action::Mask {
            bail!("settings: `keep_last` needs `action: mask`");
        }
        let mut kinds = Vec::new();
        for find in find {
            kinds.extend_from_slice(match find {
                Find::Email => &[Kind::Email][..],
                Find::Card => &[Kind::Card],
                Find::Ip => &[Kind::Ipv4, Kind::Ipv6],
                Find::Ipv4 => &[Kind::Ipv4],
                Find::Ipv6 => &[Kind::Ipv6],
            });
        }
        kinds.sort_unstable();
        kinds.dedup();
        let pattern = |(name, pattern): (String, String)| {
            if name.is_empty()
                || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
            {
                bail!(
                    "settings.patterns: the name {name:?} has other characters than letters, digits, `_` and `-`"
                );
            }
            if let Some(why) = foreign(&pattern) {
                bail!("settings.patterns.{name}: {why}");
            }
            let regex =
                regex::Regex::new(&pattern).map_err(|error| err!("settings.patterns.{name}: {error}"))?;
            if regex.is_match("") {
                bail!("settings.patterns.{name}: it matches the empty text");
            }
            Ok((name, regex))
        };
        let patterns = self.patterns.into_iter().map(pattern).collect::<Result<_>>()?;
        let replace = match (self.action, self.key) {
            (Action::Hash, Some(key)) if key.len() < MIN_KEY => {
                bail!("settings.key: it has {} bytes, and should have {MIN_KEY} at least", key.len())
            }
            (Action::Hash, Some(key)) => Replace::hash(key.as_bytes()),
            (Action::Hash, None) => bail!("settings: `action: hash` needs a `key`"),
            (_, Some(_)) => bail!("settings: `key` needs `action: hash`"),
            (Action::Label, None) => Replace::Label,
            (Action::Mask, None) => Replace::Mask { keep_last: self.keep_last },
            (Action::Remove | Action::Drop, None) => Replace::Nothing,
        };
        Ok(Finder::new(kinds, patterns, replace))
    }
}
