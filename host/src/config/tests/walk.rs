//! Finds keys in the schema of the settings, each with a configuration in which it stands.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Stands where the value of the key would.
pub const HERE: &str = "@HERE@";
/// A key that no object has, which comes before all others.
pub const STRAY: &str = "!stray";

/// A key of the settings.
pub struct Place {
    /// A configuration with [`HERE`] in the place of its value, and little else.
    pub config: Value,
    /// The key, and that of the map around it, if it has one that is not the user's.
    pub key: String,
    pub around: Option<String>,
    /// What the value may be.
    pub schema: Value,
}

/// All keys that are wanted by the schemas of their values.
pub fn places(root: &Value, is_wanted: &dyn Fn(&Value) -> bool) -> Vec<Place> {
    let mut walk = Walk::new(root, is_wanted);
    walk.walk(root, None, "", &|value| value);
    walk.found
}

/// All objects that have keys of their own, each in a configuration in which it has [`STRAY`] too, and the keys that its
/// schema knows.
pub fn objects(root: &Value) -> Vec<(Value, BTreeSet<String>)> {
    let mut walk = Walk { with_lists: true, ..Walk::new(root, &|_| false) };
    walk.walk(root, None, "", &|value| value);
    walk.objects
}

/// The schema that a reference leads to.
pub fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(path) => resolve(root, root.pointer(&path[1..]).unwrap()),
        None => schema,
    }
}

/// The least value that a schema takes.
fn least(root: &Value, schema: &Value) -> Value {
    let schema = resolve(root, schema);
    if let Some(value) = schema.get("const").or(schema.get("default")) {
        return value.clone();
    }
    let forms = ["enum", "oneOf", "anyOf"].iter().find_map(|forms| schema.get(forms)?.as_array()?.first());
    match forms {
        Some(Value::Object(form)) => return least(root, &form.clone().into()),
        Some(value) => return value.clone(),
        None => {}
    }
    match schema["type"].as_str() {
        Some("integer" | "number") => 1.into(),
        Some("boolean") => true.into(),
        Some("array") => json!([]),
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let with_value = |key: &str| (key.to_owned(), least(root, &schema["properties"][key]));
            required.map(with_value).collect::<Map<_, _>>().into()
        }
        _ => "x".into(),
    }
}

struct Walk<'s> {
    root: &'s Value,
    is_wanted: &'s dyn Fn(&Value) -> bool,
    seen: BTreeSet<(String, String)>,
    /// The definitions that are being walked: a condition may hold conditions.
    within: Vec<String>,
    /// Whether the items of lists are walked.
    with_lists: bool,
    found: Vec<Place>,
    objects: Vec<(Value, BTreeSet<String>)>,
}

impl<'s> Walk<'s> {
    fn new(root: &'s Value, is_wanted: &'s dyn Fn(&Value) -> bool) -> Walk<'s> {
        Walk {
            root,
            is_wanted,
            seen: BTreeSet::new(),
            within: Vec::new(),
            with_lists: false,
            found: Vec::new(),
            objects: Vec::new(),
        }
    }

    /// `wrap` makes a configuration of a value for this schema, which stands under `key`.
    fn walk(&mut self, schema: &Value, key: Option<&str>, path: &str, wrap: &dyn Fn(Value) -> Value) {
        let name = schema["$ref"].as_str();
        if let Some(name) = name
            && (self.within.iter().any(|outer| outer == name)
                || !self.seen.insert((name.to_owned(), path.to_owned())))
        {
            return;
        }
        self.within.extend(name.map(str::to_owned));
        let root = self.root;
        let schema = resolve(root, schema);
        if let Some(properties) = schema["properties"].as_object() {
            let object =
                json!({ "type": "object", "properties": properties, "required": schema["required"] });
            let mut object = least(root, &object);
            object[STRAY] = 1.into();
            self.objects.push((wrap(object), properties.keys().cloned().collect()));
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let with = |value: Value| {
                let object = json!({ "type": "object", "properties": schema["properties"], "required": schema["required"] });
                let mut object = least(root, &object);
                object[name] = value;
                wrap(object)
            };
            if (self.is_wanted)(property) {
                let (key, around, schema) = (name.clone(), key.map(str::to_owned), property.clone());
                self.found.push(Place { config: with(HERE.into()), key, around, schema });
            } else {
                self.walk(property, Some(name), &format!("{path}.{name}"), &with);
            }
        }
        for forms in ["oneOf", "anyOf"] {
            for (number, form) in schema[forms].as_array().into_iter().flatten().enumerate() {
                self.walk(form, key, &format!("{path}/{number}"), wrap);
            }
        }
        if let Some(values) = schema.get("additionalProperties").filter(|v| v.is_object()) {
            self.walk(values, None, path, &|value| wrap(json!({ "part": value })));
        }
        if let Some(items) = schema.get("items").filter(|_| self.with_lists) {
            self.walk(items, None, path, &|value| wrap(json!([value])));
        }
        if name.is_some() {
            self.within.pop();
        }
    }
}
