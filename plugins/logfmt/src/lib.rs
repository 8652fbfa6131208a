//! Parses `key=value` pairs into fields.

mod pairs;

use flitch_sdk::parse::{Kind, Policy, Row, check_prefix, excerpt, infer, set_present};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, Value, err};
use pairs::{Pair, Pairs};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

flitch_sdk::parser_settings! {
    /// The settings of `logfmt`.
    pub struct Settings {
        field: "message", keep_source: false, on_mismatch: Reject;
        /// The types of values that are not text, by key: `int`, `float`, `bool`.
        pub types: BTreeMap<String, String> = BTreeMap::new(),
        /// Whether other values that read as numbers or booleans become that.
        pub infer: bool = false,
        /// What becomes of a key without a value.
        pub bare_keys: BareKeys = BareKeys::True,
        /// The path below which the fields are written; at the top if there is none.
        pub prefix: String = String::new(),
    }
}

/// What becomes of a key without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareKeys {
    /// Its field is true.
    True,
    /// It is passed over.
    Skip,
    /// The text does not match.
    Reject,
}

impl<'de> Deserialize<'de> for BareKeys {
    /// In YAML and JSON alike `true` is a boolean.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected true, skip or reject")]
        enum Written {
            Boolean(bool),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Boolean(true) => Ok(Self::True),
            Written::Text(text) if text == "true" => Ok(Self::True),
            Written::Text(text) if text == "skip" => Ok(Self::Skip),
            Written::Text(text) if text == "reject" => Ok(Self::Reject),
            _ => Err(serde::de::Error::custom("expected true, skip or reject")),
        }
    }
}

/// The filter.
#[derive(Debug)]
pub struct Logfmt {
    types: BTreeMap<String, Kind>,
    infer: bool,
    bare_keys: BareKeys,
    prefix: String,
    policy: Policy,
}

impl ColumnFilter for Logfmt {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let kind = |(key, name): (String, String)| match Kind::named(&name) {
            Some(kind) => Ok((key, kind)),
            None => Err(err!(
                "settings.types.{key}: there is no type `{name}`; there are text, int, float and bool"
            )),
        };
        let policy = settings.policy();
        policy.check([])?;
        check_prefix(&settings.prefix)?;
        Ok(Self {
            types: settings.types.into_iter().map(kind).collect::<Result<_>>()?,
            infer: settings.infer,
            bare_keys: settings.bare_keys,
            prefix: settings.prefix,
            policy,
        })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.policy.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let columns = self.policy.parse(batch, changes, |text, row| self.parse(text, row));
        set_present(changes, columns);
        Ok(())
    }
}

impl Logfmt {
    /// Sets the pairs of a text.
    fn parse(&self, text: &str, row: &mut Row<'_>) -> Result<(), String> {
        let pairs = Pairs::new(text).collect::<Result<Vec<Pair<'_>>, String>>()?;
        if pairs.iter().all(|pair| pair.value.is_none()) {
            return Err(format!("there is no key=value in {}", excerpt(text)));
        }
        let mut values = Vec::with_capacity(pairs.len());
        for Pair { key, value } in &pairs {
            let value = match value {
                Some(value) => self.value(key, value)?,
                None => match self.bare_keys {
                    BareKeys::True => Value::Boolean(true),
                    BareKeys::Skip => continue,
                    BareKeys::Reject => return Err(format!("the key {} has no value", excerpt(key))),
                },
            };
            values.push((Cow::Borrowed(*key), value));
        }
        Ok(row.set_pairs(&values, &self.prefix)?)
    }

    fn value<'a>(&self, key: &str, text: &'a str) -> Result<Value<'a>, String> {
        match self.types.get(key) {
            None if self.infer => Ok(infer(text)),
            None => Ok(Value::Text(text)),
            Some(kind) => {
                kind.read(text).ok_or_else(|| format!("`{key}` is {}, which is no {kind}", excerpt(text)))
            }
        }
    }
}

flitch_sdk::export!(Logfmt);

#[cfg(test)]
mod tests;
