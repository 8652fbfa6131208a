//! Records into Lua's tables, and back.

use crate::node::{Node, whole};
use flitch_sdk::time;
use omnilua::{Lua, Table, Value};
use std::collections::BTreeMap;

/// Most tables within one another.
const MAX_DEPTH: usize = 100;

/// How values pass.
#[derive(Debug, Clone)]
pub struct Convert {
    /// Members whose numbers become whole.
    pub ints: Vec<String>,
    /// Members whose empty tables are arrays.
    pub arrays: Vec<String>,
    /// Whether null is `flb_null`.
    pub has_null: bool,
}

/// What stands for null in a script.
pub fn null() -> Value {
    Value::LightUserData(std::ptr::null_mut())
}

impl Convert {
    /// A value as a script sees it.
    ///
    /// # Errors
    /// Lua's own, when memory is short.
    pub fn to_lua(&self, lua: &Lua, node: &Node) -> omnilua::Result<Value> {
        Ok(match node {
            Node::Null if self.has_null => null(),
            Node::Null => Value::Nil,
            Node::Boolean(is) => Value::Boolean(*is),
            Node::Int(number) => Value::Number(*number as f64),
            Node::Float(number) => Value::Number(*number),
            Node::Time(nanos) => Value::String(lua.create_string(time::format_rfc3339(*nanos))?),
            Node::Text(text) => Value::String(lua.create_string(text)?),
            Node::Array(items) => {
                let table = lua.create_table()?;
                for (place, item) in items.iter().enumerate() {
                    table.raw_set((place + 1) as f64, self.to_lua(lua, item)?)?;
                }
                Value::Table(table)
            }
            Node::Object(members) => Value::Table(self.table(lua, members)?),
        })
    }

    /// An object as a table.
    ///
    /// # Errors
    /// Lua's own, when memory is short.
    pub fn table(&self, lua: &Lua, members: &BTreeMap<String, Node>) -> omnilua::Result<Table> {
        let table = lua.create_table()?;
        for (name, node) in members {
            table.raw_set(name.as_str(), self.to_lua(lua, node)?)?;
        }
        Ok(table)
    }

    /// A value of a script.
    ///
    /// # Errors
    /// It is nested too deep.
    pub fn of_lua(&self, value: &Value, depth: usize) -> Result<Node, String> {
        Ok(match value {
            Value::Boolean(is) => Node::Boolean(*is),
            Value::Integer(number) => Node::Int(*number),
            Value::Number(number) => Node::Float(*number),
            Value::String(text) => Node::Text(text.as_bytes().map_err(said)?),
            Value::Table(table) => {
                if depth == MAX_DEPTH {
                    return Err(format!("the record has more than {MAX_DEPTH} tables within one another"));
                }
                match elements(table)? {
                    Ok(items) => {
                        let items = items.iter().map(|item| self.of_lua(item, depth + 1));
                        Node::Array(items.collect::<Result<_, _>>()?)
                    }
                    Err(members) => Node::Object(self.members(members, depth)?),
                }
            }
            // Neither functions nor threads have anything that a record could hold.
            _ => Node::Null,
        })
    }

    fn members(&self, pairs: Vec<(Value, Value)>, depth: usize) -> Result<BTreeMap<String, Node>, String> {
        let mut members = BTreeMap::new();
        for (key, value) in pairs {
            let name = match key {
                Value::String(name) => String::from_utf8_lossy(&name.as_bytes().map_err(said)?).into_owned(),
                Value::Integer(number) => number.to_string(),
                Value::Number(number) => whole(number).map_or_else(|| number.to_string(), |n| n.to_string()),
                Value::Boolean(is) => is.to_string(),
                _ => return Err("a key of the record is neither text nor a number".to_owned()),
            };
            let node = match self.of_lua(&value, depth + 1)? {
                Node::Float(number) if self.ints.contains(&name) => Node::Int(number as i64),
                Node::Object(inner) if inner.is_empty() && self.arrays.contains(&name) => {
                    Node::Array(Vec::new())
                }
                node => node,
            };
            members.insert(name, node);
        }
        Ok(members)
    }
}

/// The elements of a table that has nothing but the keys from 1 to their number, or else its pairs.
type Elements = Result<Vec<Value>, Vec<(Value, Value)>>;

fn elements(table: &Table) -> Result<Elements, String> {
    let pairs = table.raw_pairs().map_err(said)?;
    let mut items = vec![Value::Nil; pairs.len()];
    for (key, value) in &pairs {
        let place = match key {
            Value::Integer(number) => Some(*number),
            Value::Number(number) => whole(*number),
            _ => None,
        };
        let place = place.and_then(|place| usize::try_from(place.checked_sub(1)?).ok());
        match place.and_then(|place| items.get_mut(place)) {
            Some(item) => *item = value.clone(),
            None => return Ok(Err(pairs)),
        }
    }
    if items.is_empty() { Ok(Err(pairs)) } else { Ok(Ok(items)) }
}

/// The records in a table that a script answers: an array of tables has several.
///
/// # Errors
/// It is no table, or holds what is none.
pub fn records(convert: &Convert, value: &Value) -> Result<Vec<Node>, String> {
    let Value::Table(table) = value else { return Err("the function answers no table".to_owned()) };
    match elements(table)? {
        Err(members) => Ok(vec![Node::Object(convert.members(members, 0)?)]),
        Ok(items) => items
            .iter()
            .map(|item| match convert.of_lua(item, 1)? {
                Node::Object(members) => Ok(Node::Object(members)),
                _ => Err("the function answers an array of what is no record".to_owned()),
            })
            .collect(),
    }
}

/// What Lua says.
pub fn said(error: omnilua::Error) -> String {
    error.to_string()
}
