//! Records as values that are neither Lua's nor a column's.

use flitch_sdk::json::{quote, read};
use flitch_sdk::rewrite::Tree;
use flitch_sdk::{Value, time};
use std::collections::BTreeMap;

/// A value of a record. Two are the same when a script cannot tell them apart.
#[derive(Debug, Clone)]
pub enum Node {
    /// Null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A whole number, which Lua has as a float.
    Int(i64),
    /// A float.
    Float(f64),
    /// A time, which Lua has as text.
    Time(i64),
    /// A text, or bytes.
    Text(Vec<u8>),
    /// An array.
    Array(Vec<Node>),
    /// An object.
    Object(BTreeMap<String, Node>),
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(one), Self::Boolean(other)) => one == other,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one == other,
            (Self::Int(int), Self::Float(float)) | (Self::Float(float), Self::Int(int)) => {
                *int as f64 == *float
            }
            (Self::Time(one), Self::Time(other)) => one == other,
            (Self::Time(nanos), Self::Text(text)) | (Self::Text(text), Self::Time(nanos)) => {
                time::format_rfc3339(*nanos).as_bytes() == text
            }
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Array(one), Self::Array(other)) => one == other,
            (Self::Object(one), Self::Object(other)) => one == other,
            (Self::Array(items), Self::Object(members)) | (Self::Object(members), Self::Array(items)) => {
                // To Lua both are a table; an array without some of its items has keys as any other.
                let mut there = items.iter().enumerate().filter(|(_, item)| !matches!(item, Self::Null));
                members.len() == there.clone().count()
                    && there.all(|(place, item)| members.get(&(place + 1).to_string()) == Some(item))
            }
            _ => false,
        }
    }
}

impl From<serde_json::Value> for Node {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(is) => Self::Boolean(is),
            Json::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Float(number.as_f64().unwrap_or_default()),
            },
            Json::String(text) => Self::Text(text.into_bytes()),
            Json::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Json::Object(members) => {
                Self::Object(members.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
        }
    }
}

impl Node {
    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Boolean(is) => out.push_str(if *is { "true" } else { "false" }),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Float(number) => match whole(*number) {
                Some(number) => out.push_str(&number.to_string()),
                None if number.is_finite() => out.push_str(&serde_json::Value::from(*number).to_string()),
                None => out.push_str("null"),
            },
            Self::Time(nanos) => out.push_str(&quote(&time::format_rfc3339(*nanos))),
            Self::Text(text) => out.push_str(&quote(&String::from_utf8_lossy(text))),
            Self::Array(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (place, (name, node)) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    out.push_str(&quote(name));
                    out.push(':');
                    node.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// The whole number that a float is. Lua has no others, so a script's `1` is one.
pub fn whole(number: f64) -> Option<i64> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && (-END..END).contains(&number)).then_some(number as i64)
}

/// The values of a script.
#[derive(Debug)]
pub enum Script {}

impl Tree for Script {
    type Node = Node;

    fn object<'m>(members: impl Iterator<Item = (&'m str, Node)>) -> Node {
        Node::Object(members.map(|(name, node)| (name.to_owned(), node)).collect())
    }

    fn of(value: Value<'_>) -> Node {
        match value {
            Value::Text(text) => Node::Text(text.as_bytes().to_vec()),
            Value::Bytes(bytes) => Node::Text(bytes.to_vec()),
            Value::Int64(number) => Node::Int(number),
            Value::Float64(number) => Node::Float(number),
            Value::Boolean(is) => Node::Boolean(is),
            Value::Timestamp(nanos) => Node::Time(nanos),
            Value::Json(text) => match read::<serde_json::Value>(text) {
                Ok(value) => value.into(),
                // What is too deep for a value is a text: it is written as that where a script moves it.
                Err(_) => Node::Text(text.as_bytes().to_vec()),
            },
        }
    }

    fn is(node: &Node, value: Value<'_>) -> bool {
        match (node, value) {
            (Node::Text(own), Value::Text(text)) => own == text.as_bytes(),
            (node, value) => *node == Self::of(value),
        }
    }

    fn members(node: &Node) -> Option<impl ExactSizeIterator<Item = (&str, &Node)>> {
        match node {
            Node::Object(members) => Some(members.iter().map(|(name, node)| (name.as_str(), node))),
            _ => None,
        }
    }

    fn member<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
        match node {
            Node::Object(members) => members.get(name),
            _ => None,
        }
    }

    fn put(node: &mut Node, name: &str, value: Node) {
        if let Node::Object(members) = node {
            members.insert(name.to_owned(), value);
        }
    }

    fn remove(node: &mut Node, name: &str) -> Option<Node> {
        match node {
            Node::Object(members) => members.remove(name),
            _ => None,
        }
    }

    fn field(node: &Node) -> Option<Value<'_>> {
        Some(match node {
            Node::Boolean(is) => Value::Boolean(*is),
            Node::Int(number) => Value::Int64(*number),
            Node::Float(number) => match whole(*number) {
                Some(number) => Value::Int64(number),
                None if number.is_finite() => Value::Float64(*number),
                None => return None,
            },
            Node::Time(nanos) => Value::Timestamp(*nanos),
            Node::Text(text) => std::str::from_utf8(text).map_or(Value::Bytes(text), Value::Text),
            Node::Null | Node::Array(_) | Node::Object(_) => return None,
        })
    }

    fn json(node: &Node) -> String {
        let mut out = String::new();
        node.write(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_cannot_tell_apart_is_the_same() {
        assert_eq!(Node::Int(5), Node::Float(5.0));
        assert_eq!(Node::Time(0), Node::Text(b"1970-01-01T00:00:00Z".to_vec()));
        assert_eq!(Node::Array(Vec::new()), Node::Object(BTreeMap::new()));
        assert_ne!(Node::Int(5), Node::Text(b"5".to_vec()));
        let holes = Node::Array(vec![Node::Int(1), Node::Null, Node::Int(3)]);
        let keys = [("1", 1), ("3", 3)].map(|(key, number)| (key.to_owned(), Node::Int(number)));
        assert_eq!(holes, Node::Object(keys.into()));
    }

    #[test]
    fn a_value_is_that_of_a_field_where_the_field_makes_it() {
        let fields = [
            Value::Text("5"),
            Value::Text("1970-01-01T00:00:00Z"),
            Value::Bytes(b"5"),
            Value::Int64(5),
            Value::Float64(5.0),
            Value::Boolean(true),
            Value::Timestamp(0),
            Value::Json("[5]"),
            Value::Json("{}"),
            Value::Json("null"),
        ];
        for one in fields {
            for other in fields {
                let (one, made) = (Script::of(one), Script::of(other));
                assert_eq!(Script::is(&one, other), one == made, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn floats_without_a_fraction_are_whole() {
        assert_eq!(
            [1.0, -0.0, 1.5, f64::NAN, f64::INFINITY, 1e19].map(whole),
            [Some(1), Some(0), None, None, None, None]
        );
    }
}
