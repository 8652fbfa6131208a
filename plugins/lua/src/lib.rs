//! Runs a Lua function over each record, by the contract of Fluent Bit's filter `lua`
//! (<https://docs.fluentbit.io/manual/pipeline/filters/lua>).

mod convert;
mod library;
mod node;
mod settings;
mod shape;

use convert::{Convert, null, said};
use flitch_sdk::rewrite::Rewriter;
use flitch_sdk::time::{SECOND, parse_rfc3339};
use flitch_sdk::{Batch, Changes, Column, ColumnFilter, Fields, Result, Value as Field, bail, err, host};
use node::{Node, Script};
use omnilua::{Function, LuaVersion, Table, Value};
pub use settings::Settings;
use shape::{Natives, Shape};

/// Batches of so few records are not worth functions of their own.
const FEW: usize = 16;
/// Most shapes that are known.
const MAX_SHAPES: usize = 16;

/// The filter.
pub struct Lua {
    lua: omnilua::Lua,
    function: Function,
    convert: Convert,
    settings: Settings,
    natives: Natives,
    /// Those of the last batches, the newest at the end.
    shapes: Vec<Shape>,
}

/// What a function says of a record.
enum Answer {
    /// It goes on as it came.
    Keep,
    /// It is dropped.
    Drop,
    /// It becomes what this table says, at this time if that is a new one.
    Become(Value, Option<i64>),
}

/// A batch, and what the host has of each of its records.
struct Records<'a> {
    batch: &'a Batch,
    time: Option<&'a Column>,
    tag: Option<&'a Column>,
    /// The number of the shape that they have, if it is known.
    shape: Option<usize>,
}

impl ColumnFilter for Lua {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        if settings.code.trim().is_empty() {
            bail!("settings: `code` is missing: the script");
        }
        if settings.call.is_empty() {
            bail!("settings: `call` is missing: the function that is called for each record");
        }
        let (lua, natives) = start(&settings).map_err(|error| err!("settings.code: {error}"))?;
        let function = lua.globals().get::<_, Value>(settings.call.as_str());
        let function = match function.map_err(|error| err!("settings.call: {}", said(error)))? {
            Value::Function(function) => function,
            _ => bail!("settings.call: the script has no function `{}`", settings.call),
        };
        let convert = Convert {
            ints: settings::words(&settings.type_int_key),
            arrays: settings::words(&settings.type_array_key),
            has_null: settings.enable_flb_null,
        };
        Ok(Self { lua, function, convert, settings, natives, shapes: Vec::new() })
    }

    fn fields(&self) -> Fields {
        Fields::All
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let mut rewriter = Rewriter::<Script>::new(batch);
        let (mut errors, mut first) = (0, None);
        let records = Records {
            batch,
            time: batch.column("@timestamp"),
            tag: batch.column("@tag"),
            shape: self.shape(batch),
        };
        for row in 0..batch.len() {
            let done = self.record(&records, row, &mut rewriter);
            let Err(reason) = done else { continue };
            errors += 1;
            if self.settings.protected_mode {
                rewriter.pass(row);
                first.get_or_insert(reason);
            } else {
                changes.reject(row, reason);
            }
        }
        if errors > 0 {
            host::count("errors", errors);
        }
        if let Some(reason) = first {
            host::warn(&format!(
                "the function `{}` failed on {errors} records of a batch, first with: {reason}",
                self.settings.call
            ));
        }
        rewriter.finish(changes);
        Ok(())
    }
}

/// Runs the script, which defines the function.
fn start(settings: &Settings) -> Result<(omnilua::Lua, Natives), String> {
    // Next to what LuaJIT speaks, which is in Fluent Bit: its numbers are those of Lua 5.1, and it has escapes and `goto` of 5.2.
    let lua = omnilua::Lua::try_new_versioned(LuaVersion::V52).map_err(said)?;
    library::install(&lua).map_err(said)?;
    let native = |name: &str| lua.globals().get::<_, Value>(name).map_err(said);
    let natives = (native("next")?, native("type")?, native("getmetatable")?);
    if settings.enable_flb_null {
        lua.globals().set("flb_null", null()).map_err(said)?;
    }
    library::run(&lua, &settings.code)?;
    Ok((lua, natives))
}

impl Lua {
    /// The shape of the records of a batch, where there is one and it is worth it.
    fn shape(&mut self, batch: &Batch) -> Option<usize> {
        // With `type_int_key` members change that the script leaves alone.
        if !self.convert.ints.is_empty() {
            return None;
        }
        if let Some(known) = self.shapes.iter().position(|shape| shape.is_of(batch)) {
            return Some(known);
        }
        if batch.len() < FEW {
            return None;
        }
        let shape = Shape::of(&self.lua, &self.natives, batch).ok()??;
        if self.shapes.len() == MAX_SHAPES {
            self.shapes.remove(0);
        }
        self.shapes.push(shape);
        Some(self.shapes.len() - 1)
    }

    /// Runs the function over a record, and has become of it what it says.
    fn record(
        &self,
        records: &Records<'_>,
        row: usize,
        rewriter: &mut Rewriter<'_, Script>,
    ) -> Result<(), String> {
        let Records { batch, time, tag, shape } = records;
        let nanos = match time.and_then(|column| column.value(row)) {
            Some(Field::Timestamp(nanos)) => nanos,
            _ => 0,
        };
        let tag = match tag.and_then(|column| column.value(row)) {
            Some(Field::Text(tag)) => tag,
            _ => "",
        };
        let shape = shape.map(|number| &self.shapes[number]);
        let made = shape.map_or(Ok(None), |shape| shape.table(&self.lua, &self.convert, batch, row));
        let mut before = None;
        let (table, tables) = match made.map_err(said)? {
            Some(made) => (made.table, Some(made.tables)),
            None => {
                let Node::Object(members) = &mut before.insert(rewriter.before(row)).record else {
                    rewriter.pass(row);
                    return Ok(());
                };
                members.remove("@timestamp");
                members.remove("@tag");
                (self.convert.table(&self.lua, members).map_err(said)?, None)
            }
        };
        let (value, time) = match self.call(tag, nanos, table)? {
            Answer::Keep => {
                rewriter.pass(row);
                return Ok(());
            }
            Answer::Drop => {
                rewriter.discard();
                return Ok(());
            }
            Answer::Become(value, time) => (value, time),
        };
        if let (Some(shape), Some(tables), Value::Table(table)) = (shape, tables, &value)
            && let Some(changes) = shape.changes(&self.convert, (batch, row), table, tables)?
        {
            rewriter.change(row, changes.columns, changes.new, time);
            return Ok(());
        }
        let after = convert::records(&self.convert, &value)?.into_iter();
        let before = before.unwrap_or_else(|| rewriter.before(row));
        rewriter.put(row, &before, after.map(|record| timed(record, time)).collect());
        Ok(())
    }

    /// What the function says of a record.
    fn call(&self, tag: &str, nanos: i64, record: Table) -> Result<Answer, String> {
        let tag = self.lua.create_string(tag).map_err(said)?;
        let time = self.time(nanos).map_err(said)?;
        let answer = self.function.call::<_, (Value, Value, Value)>((tag, time, record));
        let (code, time, record) = answer.map_err(said)?;
        let code = number(&code).ok_or("the function answers no code")? as i64;
        match code {
            -1 => Ok(Answer::Drop),
            0 => Ok(Answer::Keep),
            1 | 2 => {
                let time = if code == 1 { instant(&time, nanos)? } else { None };
                Ok(Answer::Become(record, time))
            }
            code => Err(format!("the function answers the code {code}; there are -1, 0, 1 and 2")),
        }
    }

    fn time(&self, nanos: i64) -> omnilua::Result<Value> {
        if !self.settings.time_as_table {
            return Ok(Value::Number(seconds(nanos)));
        }
        let table = self.lua.create_table()?;
        table.raw_set("sec", nanos.div_euclid(SECOND) as f64)?;
        table.raw_set("nsec", nanos.rem_euclid(SECOND) as f64)?;
        Ok(Value::Table(table))
    }
}

/// An instant as a script sees it.
fn seconds(nanos: i64) -> f64 {
    nanos.div_euclid(SECOND) as f64 + nanos.rem_euclid(SECOND) as f64 / 1e9
}

/// A number that a function answers; a text that reads as one is one, as LuaJIT has it.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::String(text) => {
            let number: f64 = std::str::from_utf8(&text.as_bytes().ok()?).ok()?.trim().parse().ok()?;
            Some(number).filter(|number| number.is_finite())
        }
        _ => None,
    }
}

/// A record with its time if that is a new one, which it may hold itself: a time in its own name is one, and anything else stands
/// there under another.
fn timed(record: Node, time: Option<i64>) -> (Node, Option<i64>) {
    let Node::Object(mut members) = record else { return (record, time) };
    let own = match members.remove("@timestamp") {
        None => None,
        Some(Node::Text(text)) if parse_rfc3339(&text).is_some() => parse_rfc3339(&text),
        Some(other) => {
            members.insert("_@timestamp".to_owned(), other);
            None
        }
    };
    (Node::Object(members), own.or(time))
}

/// The time that a function answers; none where it is the one that it got.
fn instant(time: &Value, came: i64) -> Result<Option<i64>, String> {
    let number = |value: &Value| number(value).ok_or("the function answers no time");
    let (whole, nanos) = match time {
        Value::Table(table) => {
            let member = |name: &str| table.raw_get::<_, Value>(name).map_err(said);
            (number(&member("sec")?)?, number(&member("nsec")?)?)
        }
        time => {
            let time = number(time)?;
            if time == seconds(came) {
                return Ok(None);
            }
            (time.floor(), ((time - time.floor()) * 1e9).round())
        }
    };
    let is_time = whole.abs() < 9.2e9 && (0.0..=1e9).contains(&nanos);
    if !is_time {
        return Err("the function answers no time of the years 1677 to 2262".to_owned());
    }
    let at = whole as i64 * SECOND + nanos as i64;
    Ok((at != came).then_some(at))
}

flitch_sdk::export!(Lua);

#[cfg(test)]
mod tests;
