//! Which table a record goes to, and how.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::staging::Places;
use flitch_core::batch::Records;
use flitch_core::batch::template::{Rendered, Template, at_best};
use flitch_core::setting::wrong;

/// What stands between the parts of a key: no name has it.
const BETWEEN: char = '\u{1f}';
/// The longest name that Kusto allows.
const LONGEST: usize = 1024;
/// The tag for which all others go.
const ANY: &str = "*";

/// How records come into a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As blobs that the cluster ingests within minutes: for much, and cheap for the cluster.
    #[default]
    Queued,
    /// In requests of up to 4 MB, and in the table when they are answered: for little that is wanted soon. The cluster and
    /// the table or its database must allow it, and JSON needs a `mapping`.
    Streaming,
    /// As streams, and queued where that fails three times or a record has more than 4 MB.
    Auto,
}

/// Where the records of a tag go. The names are those of the Kusto sink for Kafka Connect, whose list can be taken over as it
/// is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KustoTable")]
pub struct TableSettings {
    /// The tag, which for records of a Kafka source is their topic; `*` is any tag that no other entry names.
    #[serde(alias = "topic")]
    #[schemars(extend("x-aliases" = ["topic"]))]
    pub tag: String,
    /// The database, a template.
    #[serde(alias = "database")]
    #[schemars(extend("x-aliases" = ["database"]))]
    pub db: Template,
    /// The table, a template.
    pub table: Template,
    /// `json` or `multijson`, `csv`, `txt`, `parquet`: what `encoding` writes, if it is named at all.
    #[serde(default)]
    pub format: Option<String>,
    /// The ingestion mapping of the table, by its name.
    #[serde(default)]
    pub mapping: Option<String>,
    /// `true` is `mode: auto` for this entry, `false` is `mode: queued`; not set, as `mode` says.
    #[serde(default)]
    pub streaming: Option<bool>,
}

/// Where records go of which nothing more is known.
pub(super) struct Entry<'s> {
    /// Where it stands in the settings, for errors.
    pub path: String,
    pub tag: Option<&'s str>,
    pub database: &'s Template,
    pub table: &'s Template,
    pub mapping: Option<&'s str>,
    pub mode: Mode,
}

/// Limits of objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub queued: (u64, Duration),
    pub streamed: (u64, Duration),
}

/// Finds the table of each record. The key of an object is the number of the entry, the database and the table.
#[derive(Debug)]
pub(super) struct Routes {
    routes: Vec<Route>,
    /// None: there is one entry, for all tags.
    by_tag: Option<HashMap<Vec<u8>, usize>>,
    any: Option<usize>,
    tag: Template,
    keyless: Arc<str>,
    limits: Limits,
}

#[derive(Debug)]
struct Route {
    key: Template,
    mapping: Option<Arc<str>>,
    mode: Mode,
}

/// Where an object goes.
#[derive(Debug, PartialEq)]
pub(super) struct Place<'o> {
    pub database: &'o str,
    pub table: &'o str,
    pub mapping: Option<&'o str>,
    pub mode: Mode,
    /// The hash of what is in it, in hexadecimal.
    pub content: &'o str,
}

impl Routes {
    /// # Errors
    /// A tag that stands twice, a name that is none.
    pub fn new(entries: &[Entry<'_>], limits: Limits) -> anyhow::Result<Routes> {
        let (mut routes, mut by_tag, mut any) = (Vec::new(), HashMap::new(), None);
        for (number, entry) in entries.iter().enumerate() {
            let Entry { path, tag, database, table, mapping, mode } = entry;
            for (key, template) in
                [(if path.is_empty() { "database" } else { "db" }, database), ("table", table)]
            {
                anyhow::ensure!(
                    is_name(at_best(template).as_bytes()),
                    wrong!(
                        "{path}{key}",
                        ": `{template}` is no name for it: flitch takes letters, digits, `_`, `-` and `.`, without `.` and `..`"
                    )
                );
            }
            let key = format!("{number}{BETWEEN}{database}{BETWEEN}{table}{BETWEEN}_");
            let key = Template::parse(&key).map_err(anyhow::Error::msg)?;
            routes.push(Route { key, mapping: mapping.map(Into::into), mode: *mode });
            let before = match tag {
                Some(ANY) | None => any.replace(number),
                Some(tag) => by_tag.insert(tag.as_bytes().to_vec(), number),
            };
            anyhow::ensure!(before.is_none(), wrong!("{path}tag", ": `{}` stands twice", tag.unwrap_or(ANY)));
        }
        let has_tags = entries.iter().any(|entry| entry.tag.is_some());
        let keyless = match has_tags {
            true => {
                "no entry of `tables` is for its tag, or a field of the names in it is missing or gives no name"
            }
            false => "a field of `database` or `table` is missing, or gives no name for one",
        };
        Ok(Routes {
            routes,
            by_tag: has_tags.then_some(by_tag),
            any,
            tag: Template::parse("{@tag|}").map_err(anyhow::Error::msg)?,
            keyless: keyless.into(),
            limits,
        })
    }

    fn of_tag(&self, tag: &[u8]) -> Option<usize> {
        self.by_tag.as_ref().and_then(|by_tag| by_tag.get(tag).copied()).or(self.any)
    }

    /// The keys by one route; those that are no names are none.
    fn keys_of(&self, route: usize, records: &Records) -> Rendered {
        let rendered = records.render(&self.routes[route].key);
        let has_names =
            |key: &&[u8]| parts(key).is_some_and(|(_, names)| names.iter().all(|name| is_name(name)));
        let count = match &rendered {
            Rendered::Same(key) if has_names(&&key[..]) => return rendered,
            Rendered::Same(_) | Rendered::Rows(_) => records.rows(),
        };
        Rendered::of((0..count).map(|row| rendered.row(row).filter(has_names)))
    }

    /// Where an object of this name goes.
    pub fn place<'o>(&'o self, name: &'o str) -> Option<Place<'o>> {
        let mut parts = name.split(BETWEEN);
        let route = self.routes.get(parts.next()?.parse::<usize>().ok()?)?;
        let (database, table, content) = (parts.next()?, parts.next()?, parts.next()?);
        let content = content.split_once('.').map_or(content, |(content, _)| content);
        Some(Place { database, table, mapping: route.mapping.as_deref(), mode: route.mode, content })
    }
}

/// The number and the names in a key.
fn parts(key: &[u8]) -> Option<(&[u8], [&[u8]; 2])> {
    let mut parts = key.split(|byte| *byte == BETWEEN as u8);
    let (number, names) = (parts.next()?, [parts.next()?, parts.next()?]);
    (parts.next()? == b"_" && parts.next().is_none()).then_some((number, names))
}

/// Whether this names a database or a table: what Kusto's own sink takes. Addresses have no part `.` or `..`.
fn is_name(name: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=LONGEST).contains(&name.len()) && name.iter().all(is_plain) && !matches!(name, b"." | b"..")
}

impl Places for Routes {
    fn keys(&self, records: &Records) -> Rendered {
        if self.by_tag.is_none() {
            return self.keys_of(0, records);
        }
        let tags = records.render(&self.tag);
        if let Rendered::Same(tag) = &tags {
            return match self.of_tag(tag) {
                Some(route) => self.keys_of(route, records),
                None => Rendered::of((0..records.rows()).map(|_| None)),
            };
        }
        let mut keys: Vec<Option<Rendered>> = self.routes.iter().map(|_| None).collect();
        let routes: Vec<Option<usize>> =
            (0..records.rows()).map(|row| self.of_tag(tags.row(row).unwrap_or_default())).collect();
        for route in routes.iter().flatten() {
            if keys[*route].is_none() {
                keys[*route] = Some(self.keys_of(*route, records));
            }
        }
        Rendered::of(routes.iter().enumerate().map(|(row, route)| keys[(*route)?].as_ref()?.row(row)))
    }

    fn keyless(&self) -> Arc<str> {
        self.keyless.clone()
    }

    fn limits(&self, key: &[u8]) -> (u64, Duration) {
        let number =
            parts(key).and_then(|(number, _)| std::str::from_utf8(number).ok()?.parse::<usize>().ok());
        match number.and_then(|number| self.routes.get(number)).map(|route| route.mode) {
            Some(Mode::Streaming | Mode::Auto) => self.limits.streamed,
            _ => self.limits.queued,
        }
    }
}

#[cfg(test)]
mod tests;
