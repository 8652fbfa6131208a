//! Records of the columns of one batch, into tables and back, by functions in Lua that know their names. To hand a name or a value
//! over to the interpreter takes longer than to run through a dozen instructions there: so the names of a batch stand in a script, and
//! what the function of the settings left as it was does not come back.

use crate::convert::{Convert, said};
use crate::node::{Node, Script};
use flitch_sdk::json::{Decoded, MAX_NAMES, REST};
use flitch_sdk::rewrite::Tree as _;
use flitch_sdk::{Batch, Column, Value as Field, path, time};
use omnilua::{Function, Lua, Table, Value, Variadic};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Most columns that a script may have: a function of Lua has 200 names at most.
const MAX_COLUMNS: usize = 90;
/// Most new members of a record. With the columns, and the objects that those stand in, they are fewer than any limit of names.
const MAX_NEW: usize = 32;
/// Columns whose changes one number tells, as bits: a float holds 53.
const BITS: usize = 45;

/// A record with which something is to be done that these functions do not know.
const OTHERWISE: i32 = -1;

/// What the functions need of Lua: `next`, `type` and `getmetatable`, as they were before a script could change them.
pub type Natives = (Value, Value, Value);

/// The functions for records of some columns.
pub struct Shape {
    /// The paths of the columns, in the order of the batch.
    paths: Vec<String>,
    fields: Vec<Member>,
    make: Function,
    compare: Function,
}

/// What differs in a record.
pub struct Changes {
    /// Columns by their numbers in the batch, with their new values if they have one.
    pub columns: Vec<(usize, Option<Node>)>,
    /// Members that have no column.
    pub new: Vec<(String, Node)>,
}

/// The table of a record.
pub struct Made {
    pub table: Table,
    /// The fields that only JSON can say, as bits: where they are tables, a script may have changed what is in them.
    pub tables: u128,
}

/// A column that is part of the table.
struct Member {
    /// Its number in the batch.
    column: usize,
    names: Vec<String>,
}

/// The names of members, and what stands there.
#[derive(Default)]
struct Object<'a>(BTreeMap<&'a str, Place<'a>>);

enum Place<'a> {
    /// The value of this field.
    Field(usize),
    Object(Object<'a>),
}

impl Shape {
    /// The functions for a batch. None where it has too many columns, or such in which one stands within another.
    ///
    /// # Errors
    /// Lua's own, when memory is short.
    pub fn of(lua: &Lua, natives: &Natives, batch: &Batch) -> Result<Option<Self>, String> {
        let is_field = |column: &Column| !matches!(column.name.as_str(), "@timestamp" | "@tag");
        let columns = batch.columns.iter().enumerate().filter(|(_, column)| is_field(column));
        let fields: Vec<Member> = columns
            .map(|(number, column)| Member { column: number, names: path::split(&column.name) })
            .collect();
        let mut record = Object::default();
        let is_known = fields.iter().enumerate().all(|(number, field)| record.add(&field.names, number));
        let is_large = fields.len() > MAX_COLUMNS || record.names() > MAX_NAMES - MAX_NEW;
        if !is_known || is_large || batch.column(REST).is_some() {
            return Ok(None);
        }
        let script = script(&record, fields.len());
        let chunk = lua.load(&script).set_name("=record").into_function().map_err(said)?;
        let (make, compare) = chunk.call::<_, (Function, Function)>(natives.clone()).map_err(said)?;
        let paths = batch.columns.iter().map(|column| column.name.clone()).collect();
        Ok(Some(Self { paths, fields, make, compare }))
    }

    /// Whether it is for the columns of this batch.
    pub fn is_of(&self, batch: &Batch) -> bool {
        self.paths.len() == batch.columns.len()
            && self.paths.iter().zip(&batch.columns).all(|(path, column)| *path == column.name)
    }

    /// The table of row `row`. None where it has null, of which a script sees nothing.
    ///
    /// # Errors
    /// Lua's own, when memory is short.
    pub fn table(
        &self,
        lua: &Lua,
        convert: &Convert,
        batch: &Batch,
        row: usize,
    ) -> omnilua::Result<Option<Made>> {
        let mut values = Vec::with_capacity(self.fields.len());
        let mut tables = 0;
        for (number, field) in self.fields.iter().enumerate() {
            let value = batch.columns[field.column].value(row).map(Decoded::from);
            values.push(match value.as_ref().map(Decoded::value) {
                None => Value::Nil,
                Some(Field::Boolean(is)) => Value::Boolean(is),
                Some(Field::Int64(number)) => Value::Number(number as f64),
                Some(Field::Float64(number)) => Value::Number(number),
                Some(Field::Text(text)) => Value::String(lua.create_string(text)?),
                Some(Field::Bytes(bytes)) => Value::String(lua.create_string(bytes)?),
                Some(Field::Timestamp(nanos)) => {
                    Value::String(lua.create_string(time::format_rfc3339(nanos))?)
                }
                Some(value @ Field::Json(_)) => {
                    tables |= 1 << number;
                    match convert.to_lua(lua, &Script::of(value))? {
                        Value::Nil => return Ok(None),
                        value => value,
                    }
                }
            });
        }
        let table = self.make.call(Variadic::from(values))?;
        Ok(Some(Made { table, tables }))
    }

    /// What differs in a table from the one that was made last, in which these fields are such that only JSON can say. None where
    /// it has other tables, or other members than texts name.
    ///
    /// # Errors
    /// A value is nested too deep.
    pub fn changes(
        &self,
        convert: &Convert,
        (batch, row): (&Batch, usize),
        table: &Table,
        tables: u128,
    ) -> Result<Option<Changes>, String> {
        let told = self.compare.call::<_, (f64, f64, Option<Table>)>(table.clone());
        let (low, high, new) = told.map_err(said)?;
        if low == f64::from(OTHERWISE) {
            return Ok(None);
        }
        let bits = low as u128 | (high as u128) << BITS | tables;
        let Some(new) = new.map_or(Ok(Some(Vec::new())), |new| members(convert, &new))? else {
            return Ok(None);
        };
        let mut changes = Vec::new();
        for (_, field) in self.fields.iter().enumerate().filter(|(number, _)| bits >> number & 1 == 1) {
            let value = match get(table, &field.names).map_err(said)? {
                None => return Ok(None),
                Some(Value::Nil) => {
                    changes.push((field.column, None));
                    continue;
                }
                Some(value) => value,
            };
            let node = convert.of_lua(&value, field.names.len())?;
            let own = batch.columns[field.column].value(row).map(Decoded::from);
            if own.is_some_and(|own| Script::is(&node, own.value())) {
                continue;
            }
            if matches!(value, Value::Table(_)) {
                return Ok(None);
            }
            changes.push((field.column, Some(node)));
        }
        Ok(Some(Changes { columns: changes, new }))
    }
}

/// The members of a table that has nothing but names and no tables. None where they are too many, or the host has a say about one.
fn members(convert: &Convert, table: &Table) -> Result<Option<Vec<(String, Node)>>, String> {
    let mut members = Vec::new();
    for (name, value) in table.raw_pairs().map_err(said)? {
        let Value::String(name) = name else { return Ok(None) };
        match String::from_utf8(name.as_bytes().map_err(said)?) {
            Ok(name) if !name.starts_with('@') && members.len() < MAX_NEW => {
                members.push((name, convert.of_lua(&value, 1)?));
            }
            _ => return Ok(None),
        }
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Some(members))
}

/// What stands at these names; none where it stands in nothing.
fn get(table: &Table, names: &[String]) -> omnilua::Result<Option<Value>> {
    let Some((last, above)) = names.split_last() else { return Ok(None) };
    let mut table = table.clone();
    for name in above {
        match table.raw_get(name.as_str())? {
            Value::Table(inner) => table = inner,
            _ => return Ok(None),
        }
    }
    table.raw_get(last.as_str()).map(Some)
}

impl<'a> Object<'a> {
    /// Adds a field. False where another stands there, or above or below it.
    fn add(&mut self, names: &'a [String], field: usize) -> bool {
        let Some((first, rest)) = names.split_first() else { return false };
        if rest.is_empty() {
            return self.0.insert(first, Place::Field(field)).is_none();
        }
        match self.0.entry(first).or_insert_with(|| Place::Object(Self::default())) {
            Place::Object(inner) => inner.add(rest, field),
            Place::Field(_) => false,
        }
    }

    /// How many names it has, those of objects and of their members.
    fn names(&self) -> usize {
        let names = self.0.values().map(|place| match place {
            Place::Field(_) => 1,
            Place::Object(inner) => 1 + inner.names(),
        });
        names.sum()
    }

    /// Whether there is any of its fields, as a condition.
    fn any(&self) -> String {
        let any = self.0.values().map(|place| match place {
            Place::Field(number) => format!("v{number} ~= nil"),
            Place::Object(inner) => inner.any(),
        });
        any.collect::<Vec<_>>().join(" or ")
    }

    /// Puts what there is of it into the table `t` of this depth. Name by name: where a name stands among the keys of a table depends
    /// on how the table came about, and a script may see that.
    fn fill(&self, depth: usize, out: &mut String) {
        for (name, place) in &self.0 {
            let name = quoted(name);
            match place {
                Place::Field(number) => {
                    push(out, format_args!("if v{number} ~= nil then t{depth}[{name}] = v{number} end"))
                }
                Place::Object(inner) => {
                    push(out, format_args!("if {} then local t{} = {{}}", inner.any(), depth + 1));
                    inner.fill(depth + 1, out);
                    push(out, format_args!("t{depth}[{name}] = t{} end", depth + 1));
                }
            }
        }
    }

    /// Compares the table `t` of this depth: which fields are others, and whether there is anything else.
    fn compare(&self, depth: usize, out: &mut String) {
        let otherwise = format!("return {OTHERWISE}, 0 end");
        if depth > 1 {
            push(out, format_args!("local n{depth} = 0"));
        }
        for (name, place) in &self.0 {
            let name = quoted(name);
            push(out, format_args!("x = t{depth}[{name}]"));
            if depth > 1 {
                push(out, format_args!("if x ~= nil then n{depth} = n{depth} + 1 end"));
            }
            match place {
                Place::Field(number) => {
                    let (bits, bit) = if *number < BITS { ("a", *number) } else { ("b", number - BITS) };
                    push(out, format_args!("if x ~= v{number} then {bits} = {bits} + {} end", 1_u64 << bit));
                }
                Place::Object(inner) => {
                    push(out, format_args!("if {} then", inner.any()));
                    push(
                        out,
                        format_args!("if type(x) ~= 'table' or getmetatable(x) ~= nil then {otherwise}"),
                    );
                    push(out, format_args!("local t{} = x", depth + 1));
                    inner.compare(depth + 1, out);
                    // An object of which nothing is left is one without members.
                    push(out, format_args!("if next(t{}) == nil then {otherwise}", depth + 1));
                    push(out, format_args!("elseif x ~= nil then {otherwise}"));
                }
            }
        }
        if depth > 1 {
            push(out, format_args!("for _ in next, t{depth} do n{depth} = n{depth} - 1 end"));
            push(out, format_args!("if n{depth} ~= 0 then {otherwise}"));
        }
    }
}

fn push(out: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{line}");
}

/// The two functions: from the values of the fields to a table, and from a table to what differs in it.
fn script(record: &Object<'_>, fields: usize) -> String {
    let list =
        |letter: char| (0..fields).map(|number| format!("{letter}{number}")).collect::<Vec<_>>().join(", ");
    let mut out = "local next, type, getmetatable = ...\n".to_owned();
    // The values stay, for the comparison.
    if fields > 0 {
        push(&mut out, format_args!("local {}", list('v')));
    }
    let known = record.0.keys().map(|name| format!("[{}] = true", quoted(name)));
    push(&mut out, format_args!("local known = {{{}}}", known.collect::<Vec<_>>().join(", ")));
    push(&mut out, format_args!("return function({})", list('w')));
    if fields > 0 {
        push(&mut out, format_args!("{} = {}", list('v'), list('w')));
    }
    push(&mut out, format_args!("local t1 = {{}}"));
    record.fill(1, &mut out);
    push(&mut out, format_args!("return t1 end, function(t1)"));
    push(&mut out, format_args!("if getmetatable(t1) ~= nil then return {OTHERWISE}, 0 end"));
    push(&mut out, format_args!("local a, b, x = 0, 0"));
    record.compare(1, &mut out);
    push(&mut out, format_args!("local new"));
    push(&mut out, format_args!("for name, value in next, t1 do if not known[name] then"));
    push(
        &mut out,
        format_args!("if type(name) ~= 'string' or type(value) == 'table' then return {OTHERWISE}, 0 end"),
    );
    push(&mut out, format_args!("new = new or {{}} new[name] = value end end"));
    push(&mut out, format_args!("return a, b, new end"));
    out
}

/// A name as a text of Lua.
fn quoted(name: &str) -> String {
    let bytes = name.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:03}");
        text
    });
    format!("'{bytes}'")
}
