//! What scripts find beside Lua 5.2: the names that LuaJIT keeps of 5.1, its `bit`, and of `os` what needs no clock.

use crate::convert::said;
use flitch_sdk::host;
use flitch_sdk::time::days_from_civil;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use omnilua::{Lua, LuaError, LuaString, Result, Table, Variadic};

/// What scripts print is a line in the log. What would read files is gone.
const PRELUDE: &str = include_str!("prelude.lua");

/// Gives the interpreter what scripts find in it.
///
/// # Errors
/// Lua's own, when memory is short.
pub fn install(lua: &Lua) -> Result<()> {
    let log = lua.create_function(|_, text: LuaString| {
        host::info(&String::from_utf8_lossy(&text.as_bytes()?));
        Ok(())
    })?;
    let seconds = lua.create_function(|_, parts: Variadic<f64>| seconds(&parts))?;
    let fields = lua.create_function(fields)?;
    let format = lua.create_function(|lua, (format, at): (LuaString, f64)| {
        let format = String::from_utf8_lossy(&format.as_bytes()?).into_owned();
        let text = jiff::fmt::strtime::format(&format, &time(at)?);
        lua.create_string(text.map_err(|error| wrong(&format!("os.date: {error}")))?)
    })?;
    let natives = lua.create_table()?;
    natives.set("log", log)?;
    natives.set("seconds", seconds)?;
    natives.set("fields", fields)?;
    natives.set("format", format)?;
    lua.load(PRELUDE).set_name("=prelude").into_function()?.call::<_, ()>(natives)?;
    lua.globals().set("bit", bits(lua)?)
}

fn wrong(message: &str) -> omnilua::Error {
    LuaError::runtime(format_args!("{message}")).into()
}

/// A time in seconds since 1970.
fn time(seconds: f64) -> Result<Zoned> {
    let time = Timestamp::from_second(seconds.floor() as i64);
    Ok(time.map_err(|error| wrong(&error.to_string()))?.to_zoned(TimeZone::UTC))
}

/// Seconds since 1970 of a year, month, day, hour, minute and second, each of which may lie outside of its range, as C's `mktime`
/// has it.
fn seconds(parts: &[f64]) -> Result<f64> {
    let [year, month, day, hour, minute, second] = parts else { return Err(wrong("os.time: six numbers")) };
    let months = year * 12.0 + (month - 1.0);
    if !(-120_000.0..=120_000.0).contains(&months) {
        return Err(wrong("os.time: the year lies outside of -9999 to 9999"));
    }
    let months = months as i64;
    let days = days_from_civil(months.div_euclid(12), months.rem_euclid(12) as u32 + 1, 1) as f64;
    Ok((((days + day - 1.0) * 24.0 + hour) * 60.0 + minute) * 60.0 + second)
}

/// The table of `os.date("*t")`.
fn fields(lua: &Lua, at: f64) -> Result<Table> {
    let time = time(at)?;
    let table = lua.create_table()?;
    for (name, value) in [
        ("year", f64::from(time.year())),
        ("month", f64::from(time.month())),
        ("day", f64::from(time.day())),
        ("hour", f64::from(time.hour())),
        ("min", f64::from(time.minute())),
        ("sec", f64::from(time.second())),
        ("wday", f64::from(time.weekday().to_sunday_one_offset())),
        ("yday", f64::from(time.day_of_year())),
    ] {
        table.set(name, value)?;
    }
    table.set("isdst", false)?;
    Ok(table)
}

/// What two numbers of 32 bits make, or one.
type Pair = fn(u32, u32) -> u32;
type Single = fn(u32) -> u32;

/// LuaJIT's `bit` (<https://bitop.luajit.org/api.html>): numbers count modulo 2^32, and answers are signed.
fn bits(lua: &Lua) -> Result<Table> {
    let bit = lua.create_table()?;
    let of = |number: f64| number.round_ties_even().rem_euclid(4_294_967_296.0) as u32;
    let answer = |bits: u32| f64::from(bits as i32);
    let folds: [(&str, Pair); 3] = [("band", |a, b| a & b), ("bor", |a, b| a | b), ("bxor", |a, b| a ^ b)];
    for (name, fold) in folds {
        let all = move |_: &Lua, (first, more): (f64, Variadic<f64>)| {
            Ok(answer(more.iter().fold(of(first), |bits, more| fold(bits, of(*more)))))
        };
        bit.set(name, lua.create_function(all)?)?;
    }
    let moves: [(&str, Pair); 5] = [
        ("lshift", |bits, by| bits << by),
        ("rshift", |bits, by| bits >> by),
        ("arshift", |bits, by| (bits as i32 >> by) as u32),
        ("rol", u32::rotate_left),
        ("ror", u32::rotate_right),
    ];
    for (name, moved) in moves {
        let by = move |_: &Lua, (bits, by): (f64, f64)| Ok(answer(moved(of(bits), of(by) & 31)));
        bit.set(name, lua.create_function(by)?)?;
    }
    let singles: [(&str, Single); 3] =
        [("tobit", |bits| bits), ("bnot", |bits| !bits), ("bswap", u32::swap_bytes)];
    for (name, single) in singles {
        bit.set(name, lua.create_function(move |_: &Lua, bits: f64| Ok(answer(single(of(bits)))))?)?;
    }
    let tohex = move |_: &Lua, (bits, digits): (f64, Option<f64>)| {
        let digits = digits.unwrap_or(8.0) as i64;
        let text = format!("{:08x}", of(bits));
        let text = &text[8 - digits.unsigned_abs().min(8) as usize..];
        Ok(if digits < 0 { text.to_uppercase() } else { text.to_owned() })
    };
    bit.set("tohex", lua.create_function(tohex)?)?;
    Ok(bit)
}

/// Runs a script, without what editors and shells have before it.
///
/// # Errors
/// The script's own.
pub fn run(lua: &Lua, code: &str) -> std::result::Result<(), String> {
    let code = code.strip_prefix('\u{feff}').unwrap_or(code);
    // A line that names an interpreter is a comment; its end stays, so that lines keep their numbers.
    let code = if code.starts_with('#') { code.find('\n').map_or("", |end| &code[end..]) } else { code };
    lua.load(code).set_name("=code").exec().map_err(|error| placed(lua, code, said(error)))
}

/// What is wrong with a script, with its line. The interpreter leaves that out where it misses the name of a parameter, or the
/// arguments of a call: then it is the first line with which it says the same.
#[cold]
fn placed(lua: &Lua, code: &str, wrong: String) -> String {
    if wrong.starts_with("code:") {
        return wrong;
    }
    let mut end = 0;
    for (number, line) in code.split_inclusive('\n').enumerate() {
        end += line.len();
        let says = lua.load(&code[..end]).set_name("=code").into_function().err().map(said);
        if says.is_some_and(|says| says == wrong) {
            return format!("code:{}: {wrong}", number + 1);
        }
    }
    wrong
}
