//! Takes URLs apart into fields.

mod parts;
mod settings;

use flitch_sdk::parse::{Found, Policy, Reader, Repeated, below, check_prefix, set_pairs, set_present};
use flitch_sdk::{Batch, Changes, ColumnFilter, ColumnSet, Fields, Result, Value, bail, path};
use parts::Parts;
use percent_encoding::percent_decode_str;
pub use settings::{Decode, Query, Settings};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The filter.
#[derive(Debug)]
pub struct Url {
    names: Names,
    query: Query,
    decode: Decode,
    default_ports: bool,
    policy: Policy,
}

/// The fields, below the prefix.
#[derive(Debug)]
struct Names {
    scheme: String,
    username: String,
    host: String,
    port: String,
    path: String,
    query: String,
    fragment: String,
}

impl ColumnFilter for Url {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        check_prefix(&settings.prefix)?;
        let name = |name| below(&settings.prefix, name);
        let names = Names {
            scheme: name("scheme"),
            username: name("username"),
            host: name("host"),
            port: name("port"),
            path: name("path"),
            query: name("query"),
            fragment: name("fragment"),
        };
        let policy = Policy {
            field: settings.field,
            keep_source: settings.keep_source,
            on_mismatch: settings.on_mismatch,
            on_missing: settings.on_missing,
            error_field: settings.error_field,
        };
        let all = [
            names.scheme.as_str(),
            &names.username,
            &names.host,
            &names.port,
            &names.path,
            &names.query,
            &names.fragment,
        ];
        policy.check(all)?;
        if policy.keep_source
            && let Some(name) = all.into_iter().find(|name| path::overlap(name, &policy.field))
        {
            bail!("settings.keep_source: `{name}` would replace `{}`; write another `prefix`", policy.field);
        }
        Ok(Self {
            names,
            query: settings.query,
            decode: settings.decode,
            default_ports: settings.default_ports,
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
    filter: &'a Url,
    columns: ColumnSet,
    rows: usize,
}

impl Reader for Texts<'_> {
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<Found, String> {
        let parts = Parts::of(&data[from..to])?;
        let Url { names, decode, default_ports, query: how, .. } = self.filter;
        let has_query = *how != Query::None && parts.query.is_some_and(|query| !query.is_empty());
        // Whatever has a scheme has a path or a host as well.
        let found =
            match has_query || parts.scheme.is_some() || !parts.path.is_empty() || parts.fragment.is_some() {
                true => Found::Something,
                false => Found::Nothing,
            };
        self.columns.begin_row();
        // The first of the row, which it takes back if the names are too many.
        if let Some(query) = parts.query.filter(|query| !query.is_empty()) {
            self.query(query)?;
        }
        let (row, columns) = (self.rows, &mut self.columns);
        let mut set = |name: &str, value: Option<Cow<'_, str>>| {
            if let Some(value) = value {
                columns.set(row, name, Value::Text(&value));
            }
        };
        let decoded = |text| if *decode == Decode::All { decode_text(text) } else { Cow::Borrowed(text) };
        set(&names.scheme, parts.scheme.map(lowercase));
        set(&names.username, parts.username.map(decoded));
        set(&names.host, parts.host.map(host));
        set(&names.path, Some(parts.path).filter(|path| !path.is_empty()).map(decoded));
        set(&names.fragment, parts.fragment.map(decoded));
        let default = || parts.default_port().filter(|_| *default_ports);
        if let Some(port) = parts.port.or_else(default) {
            columns.set(row, &names.port, Value::Int64(port.into()));
        }
        self.rows += 1;
        Ok(found)
    }

    fn skip(&mut self) {
        self.rows += 1;
    }
}

impl Texts<'_> {
    fn query(&mut self, query: &str) -> Result<(), String> {
        let Url { names, query: how, decode, .. } = self.filter;
        match how {
            Query::None => Ok(()),
            Query::Text => {
                self.columns.set(self.rows, &names.query, Value::Text(query));
                Ok(())
            }
            Query::Map => {
                let values = parameters(query, *decode != Decode::None);
                let pairs: Vec<_> =
                    values.iter().map(|(name, value)| (name.clone(), value.value())).collect();
                Ok(set_pairs(&pairs, &names.query, self.rows, &mut self.columns)?)
            }
        }
    }
}

/// The parameters of a query, each name once, in the order in which they first stand.
fn parameters(query: &str, decode: bool) -> Vec<(Cow<'_, str>, Repeated<'_>)> {
    let read = |text| if decode { decode_form(text) } else { Cow::Borrowed(text) };
    let mut found: Vec<(Cow<'_, str>, Repeated<'_>)> = Vec::new();
    let mut places: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (read(name), read(value));
        match places.get(&name) {
            Some(place) => found[*place].1.add(&value),
            None => {
                places.insert(name.clone(), found.len());
                found.push((name, Repeated::One(value)));
            }
        }
    }
    found
}

/// A text without its escapes; as it is written where that would be no UTF-8.
fn decode_text(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8().unwrap_or(Cow::Borrowed(text))
}

/// The same of a form, in which a plus is a blank.
fn decode_form(text: &str) -> Cow<'_, str> {
    if !text.contains('+') {
        return decode_text(text);
    }
    let blanks = text.replace('+', " ");
    match percent_decode_str(&blanks).decode_utf8() {
        Ok(decoded) => decoded.into_owned().into(),
        Err(_) => text.into(),
    }
}

/// A host in lower case, but for the zone of an address of version 6, which is the name of something on a machine.
fn host(text: &str) -> Cow<'_, str> {
    match text.split_once("%25").filter(|(address, _)| address.contains(':')) {
        Some((address, zone)) => format!("{}%25{zone}", address.to_ascii_lowercase()).into(),
        None => lowercase(text),
    }
}

fn lowercase(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        text.to_ascii_lowercase().into()
    } else {
        text.into()
    }
}

flitch_sdk::export!(Url);

#[cfg(test)]
mod tests;
