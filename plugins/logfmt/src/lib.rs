//! Parses `key=value` pairs into fields.

mod pairs;

use flitch_sdk::parse::{
    Kind, OnMismatch, OnMissing, Policy, Reader, check_prefix, excerpt, infer, set_pairs, set_present,
};
use flitch_sdk::{Batch, Changes, ColumnFilter, ColumnSet, Fields, Result, Value, err};
use pairs::{Pair, Pairs};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The settings of `logfmt`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The field that holds the text.
    pub field: String,
    /// The types of values that are not text, by key: `int`, `float`, `bool`.
    pub types: BTreeMap<String, String>,
    /// Whether other values that read as numbers or booleans become that.
    pub infer: bool,
    /// What becomes of a key without a value.
    pub bare_keys: BareKeys,
    /// The path below which the fields are written; at the top if there is none.
    pub prefix: String,
    /// Whether the text stays in a record that was parsed.
    pub keep_source: bool,
    /// What becomes of a record whose text is no logfmt.
    pub on_mismatch: OnMismatch,
    /// What becomes of a record without the text.
    pub on_missing: OnMissing,
    /// The field that says why a record that goes on was not parsed.
    pub error_field: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            field: "message".to_owned(),
            types: BTreeMap::new(),
            infer: false,
            bare_keys: BareKeys::True,
            prefix: String::new(),
            keep_source: false,
            on_mismatch: OnMismatch::default(),
            on_missing: OnMissing::default(),
            error_field: None,
        }
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
        let policy = Policy {
            field: settings.field,
            keep_source: settings.keep_source,
            on_mismatch: settings.on_mismatch,
            on_missing: settings.on_missing,
            error_field: settings.error_field,
        };
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
        let mut texts = Texts { filter: self, columns: ColumnSet::default(), rows: 0 };
        self.policy.run(batch, changes, &mut texts);
        set_present(changes, texts.columns.finish(texts.rows));
        Ok(())
    }
}

/// The texts of one batch.
struct Texts<'a> {
    filter: &'a Logfmt,
    columns: ColumnSet,
    rows: usize,
}

impl Reader for Texts<'_> {
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<(), String> {
        let text = &data[from..to];
        let pairs = Pairs::new(text).collect::<Result<Vec<Pair<'_>>, String>>()?;
        if pairs.iter().all(|pair| pair.value.is_none()) {
            return Err(format!("there is no key=value in {}", excerpt(text)));
        }
        let mut values = Vec::with_capacity(pairs.len());
        for Pair { key, value } in &pairs {
            values.push((
                Cow::Borrowed(*key),
                match value {
                    Some(value) => self.filter.value(key, value)?,
                    None => match self.filter.bare_keys {
                        BareKeys::True => Value::Boolean(true),
                        BareKeys::Skip => continue,
                        BareKeys::Reject => return Err(format!("the key {} has no value", excerpt(key))),
                    },
                },
            ));
        }
        set_pairs(&values, &self.filter.prefix, self.rows, &mut self.columns)?;
        self.rows += 1;
        Ok(())
    }

    fn skip(&mut self) {
        self.rows += 1;
    }
}

impl Logfmt {
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
