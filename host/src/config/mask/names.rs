//! Which keys hold secrets: those that the settings say, and those that say so by their names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::Value;

use crate::config::schema;

/// Parts of key names whose values are secret, whatever they belong to.
const PARTS: [&str; 16] = [
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "bearer",
    "connection_string",
    "connectionstring",
    "shared_key",
    "access_key",
    "account_key",
    "private_key",
    "api_key",
    "apikey",
    "credential",
    "authorization",
];

/// Words that are secret also where one letter of them is wrong.
const WORDS: [&str; 7] = ["password", "passwd", "passphrase", "secret", "token", "bearer", "credentials"];

/// Shortest name that is taken for a secret's with a letter wrong: most short names are near to one another.
const SHORTEST: usize = 4;

/// What the settings say about their keys.
#[derive(Debug, Default)]
pub struct Names {
    /// Keys of secrets; `true` for maps from names to secrets.
    pub secrets: BTreeMap<String, bool>,
    /// Keys of maps with secrets in them.
    holders: BTreeSet<String>,
    /// All other keys.
    plain: BTreeSet<String>,
}

/// The names of the settings.
pub fn names() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| {
        let root = schema::plain();
        let mut names = Names::default();
        let mut seen = BTreeSet::new();
        names.gather(&root, &root, None, &mut seen);
        let Names { secrets, holders, plain } = &mut names;
        plain.retain(|name| !secrets.contains_key(name) && !holders.contains(name));
        names
    })
}

impl Names {
    /// Whether what stands under `key` is secret, by its name or one that is a letter away.
    pub fn is_secret(&self, key: &str) -> bool {
        let key = normal(key);
        if self.secrets.contains_key(&key) {
            return true;
        }
        if self.plain.contains(&key) {
            return false;
        }
        PARTS.iter().any(|part| key.contains(part))
            || self.secrets.keys().any(|name| is_near(&key, name))
            || key
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| WORDS.iter().any(|name| is_near(word, name)))
    }

    /// Whether `key` is that of a map from names to secrets, or near it.
    pub fn is_map(&self, key: &str) -> bool {
        let key = normal(key);
        let mut near =
            self.secrets.iter().filter(|(name, _)| key == **name || is_near(&key, name)).peekable();
        near.peek().is_some() && near.all(|(_, is_map)| *is_map)
    }

    /// Whether secrets stand in the map under `key`.
    pub fn is_holder(&self, key: &str) -> bool {
        let key = normal(key);
        let near = || self.holders.iter().any(|name| is_near(&key, name));
        self.holders.contains(&key) || !self.plain.contains(&key) && near()
    }

    /// Whether `key` is known, and no secret's.
    pub fn is_plain(&self, key: &str) -> bool {
        self.plain.contains(&normal(key))
    }

    /// Gathers the keys of `schema`, which stands under `key`.
    fn gather(
        &mut self,
        root: &Value,
        schema: &Value,
        key: Option<&str>,
        seen: &mut BTreeSet<(String, String)>,
    ) {
        if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
            let place = (path.to_owned(), key.unwrap_or_default().to_owned());
            if seen.insert(place)
                && let Some(there) = path.strip_prefix('#').and_then(|path| root.pointer(path))
            {
                self.gather(root, there, key, seen);
            }
        }
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            match secret(property) {
                Some(is_map) => {
                    self.secrets.insert(name.clone(), is_map);
                    self.holders.extend(key.map(str::to_owned));
                }
                None => {
                    self.plain.insert(name.clone());
                    self.gather(root, property, Some(name), seen);
                }
            }
        }
        for forms in ["oneOf", "anyOf"] {
            for form in schema.get(forms).and_then(Value::as_array).into_iter().flatten() {
                self.gather(root, form, key, seen);
            }
        }
        if let Some(items) = schema.get("items") {
            self.gather(root, items, key, seen);
        }
        // The keys of such a map are names that the user gives.
        if let Some(values) = schema.get("additionalProperties") {
            self.gather(root, values, None, seen);
        }
    }
}

/// Whether a value is a secret, a list of secrets, or (`true`) a map of them.
fn secret(schema: &Value) -> Option<bool> {
    let values = schema.get("additionalProperties");
    if schema.get("writeOnly").is_some_and(|w| w == true) {
        return Some(values.is_some());
    }
    let items = schema.get("items").and_then(secret);
    let forms = schema.get("anyOf").and_then(Value::as_array);
    let forms = || forms?.iter().find_map(secret);
    values.and_then(secret).map(|_| true).or(items).or_else(forms)
}

fn normal(key: &str) -> String {
    key.trim().to_lowercase().replace('-', "_")
}

/// Whether one letter is wrong, missing, too many, or two have changed places.
fn is_near(key: &str, name: &str) -> bool {
    key.len() >= SHORTEST && name.len() >= SHORTEST && strsim::osa_distance(key, name) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_are_those_that_the_settings_say() {
        let names = names();
        let told: Vec<&str> = names.secrets.keys().map(String::as_str).collect();
        for name in ["basic", "bearer", "key_password", "options", "password", "shared_key", "users"] {
            assert!(told.contains(&name), "{told:?}");
        }
        for holder in ["auth", "sasl", "security", "tls", "secruity"] {
            assert!(names.is_holder(holder), "{names:?}");
        }
        assert!(names.is_map("users") && names.is_map("user") && !names.is_map("bearer"));
        for plain in ["mechanism", "username", "token_file", "topic", "include"] {
            assert!(names.is_plain(plain) && !names.is_secret(plain) && !names.is_holder(plain), "{plain}");
        }
        for near in
            ["pasword", "Password", "passwrod", "sasl.pasword", "shared-key", "bearrer", "toke", "dbPassword"]
        {
            assert!(names.is_secret(near), "{near}");
        }
    }
}
