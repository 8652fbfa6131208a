//! Runs a Lua function over each record, by the contract of Fluent Bit's filter `lua`
//! (<https://docs.fluentbit.io/manual/pipeline/filters/lua>).

mod convert;
mod library;
mod node;
mod settings;

use convert::{Convert, null, records, said};
use flitch_sdk::rewrite::{Before, Rewriter};
use flitch_sdk::time::{SECOND, parse_rfc3339};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, bail, err, host};
use node::{Node, Script};
use omnilua::{Function, LuaVersion, Value};
pub use settings::Settings;

/// The filter.
pub struct Lua {
    lua: omnilua::Lua,
    function: Function,
    convert: Convert,
    settings: Settings,
}

/// What a function says of a record.
enum Answer {
    /// It goes on as it came.
    Keep,
    /// It is dropped.
    Drop,
    /// It becomes these, each with its time if that is a new one.
    Become(Vec<(Node, Option<i64>)>),
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
        let lua = start(&settings).map_err(|error| err!("settings.code: {error}"))?;
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
        Ok(Self { lua, function, convert, settings })
    }

    fn fields(&self) -> Fields {
        Fields::All
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let mut rewriter = Rewriter::<Script>::new(batch);
        let (mut errors, mut first) = (0, None);
        for row in 0..batch.len() {
            let mut before = rewriter.before(row);
            let answer = self.call(&mut before);
            let done = match answer {
                Ok(Answer::Become(records)) => {
                    rewriter.put(row, &before, records);
                    Ok(())
                }
                Ok(Answer::Keep) => {
                    rewriter.pass(row);
                    Ok(())
                }
                Ok(Answer::Drop) => {
                    rewriter.discard();
                    Ok(())
                }
                Err(reason) => Err(reason),
            };
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
fn start(settings: &Settings) -> Result<omnilua::Lua, String> {
    // Next to what LuaJIT speaks, which is in Fluent Bit: its numbers are those of Lua 5.1, and it has escapes and `goto` of 5.2.
    let lua = omnilua::Lua::try_new_versioned(LuaVersion::V52).map_err(said)?;
    library::install(&lua).map_err(said)?;
    if settings.enable_flb_null {
        lua.globals().set("flb_null", null()).map_err(said)?;
    }
    library::run(&lua, &settings.code)?;
    Ok(lua)
}

impl Lua {
    /// What the function says of a record.
    fn call(&self, before: &mut Before<Node>) -> Result<Answer, String> {
        let Node::Object(members) = &mut before.record else { return Ok(Answer::Keep) };
        let nanos = match members.remove("@timestamp") {
            Some(Node::Time(nanos)) => nanos,
            _ => 0,
        };
        let tag = match members.remove("@tag") {
            Some(Node::Text(tag)) => tag,
            _ => Vec::new(),
        };
        let tag = self.lua.create_string(&tag).map_err(said)?;
        let time = self.time(nanos).map_err(said)?;
        let record = self.convert.table(&self.lua, members).map_err(said)?;
        let answer = self.function.call::<_, (Value, Value, Value)>((tag, time, record));
        let (code, time, record) = answer.map_err(said)?;
        let code = number(&code).ok_or("the function answers no code")? as i64;
        match code {
            -1 => Ok(Answer::Drop),
            0 => Ok(Answer::Keep),
            1 | 2 => {
                let time = if code == 1 { instant(&time, nanos)? } else { None };
                let records = records(&self.convert, &record)?.into_iter();
                Ok(Answer::Become(records.map(|record| timed(record, time)).collect()))
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
