//! Takes syslog messages apart, of RFC 5424 and of RFC 3164.

mod message;
mod rfc3164;
mod rfc5424;
mod settings;
mod when;

use flitch_sdk::parse::{Policy, Row, below, check_name, check_prefix, set_present};
use flitch_sdk::zone::Zone;
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, NumberColumn, Result, Value, View, bail, path};
use message::{FACILITIES, Message, SEVERITIES};
use rfc5424::Rigour;
pub use settings::{Codes, Format, Settings};

/// The filter.
#[derive(Debug)]
pub struct Syslog {
    format: Format,
    zone: Zone,
    codes: Codes,
    target: String,
    names: Names,
    policy: Policy,
}

/// The fields, below the prefix.
#[derive(Debug)]
struct Names {
    facility: String,
    severity: String,
    version: String,
    hostname: String,
    appname: String,
    procid: String,
    msgid: String,
    structured: String,
    message: String,
}

impl ColumnFilter for Syslog {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let zone = Zone::named(&settings.time_zone).map_err(|error| error.at("settings.time_zone"))?;
        check_prefix(&settings.prefix)?;
        let name = |name| below(&settings.prefix, name);
        let names = Names {
            facility: name("facility"),
            severity: name("severity"),
            version: name("version"),
            hostname: name("hostname"),
            appname: name("appname"),
            procid: name("procid"),
            msgid: name("msgid"),
            structured: name("structured_data"),
            message: name("message"),
        };
        if settings.target.is_empty() {
            bail!("settings.target: it is empty");
        }
        if settings.target != "@timestamp" {
            check_name(&settings.target, false)?;
        }
        if settings.keep_source && path::overlap(&settings.field, &names.message) {
            bail!(
                "settings.keep_source: `{}` gets what is left of the message; write a `prefix`",
                names.message
            );
        }
        let policy = settings.policy();
        policy.check(names.all().into_iter().chain([settings.target.as_str()]))?;
        Ok(Self {
            format: settings.format,
            zone,
            codes: settings.codes,
            target: settings.target,
            names,
            policy,
        })
    }

    fn fields(&self) -> Fields {
        let arrival = (self.format != Format::Rfc5424).then_some("@timestamp");
        Fields::only([self.policy.field.as_str()].into_iter().chain(arrival))
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let arrivals = match batch.column("@timestamp").map(flitch_sdk::Column::view) {
            Some(View::Timestamp(column)) => Some(column),
            _ => None,
        };
        let columns = self.policy.parse(batch, changes, |text, row| self.parse(text, arrivals, row));
        set_present(changes, columns);
        Ok(())
    }
}

impl Names {
    fn all(&self) -> [&str; 9] {
        [
            &self.facility,
            &self.severity,
            &self.version,
            &self.hostname,
            &self.appname,
            &self.procid,
            &self.msgid,
            &self.structured,
            &self.message,
        ]
    }
}

impl Syslog {
    /// Sets the parts of a message. `arrivals` says when the records came, for times without a year.
    fn parse(
        &self,
        text: &str,
        arrivals: Option<NumberColumn<'_, i64>>,
        row: &mut Row<'_>,
    ) -> Result<(), String> {
        // What ends a line, or a string of C: senders leave both.
        let text = text.trim_end_matches(['\n', '\r', '\0']);
        let message = parse(text, self.format)?;
        let time = match message.time {
            None => None,
            Some(time) => {
                let arrival = arrivals.and_then(|arrivals| arrivals.get(row.source)).unwrap_or(0);
                let instant = time.instant(&self.zone, arrival);
                Some(instant.ok_or("the time lies outside of the years 1677 to 2262")?)
            }
        };
        self.write(&message, time, row);
        Ok(())
    }

    fn write(&self, message: &Message<'_>, time: Option<i64>, row: &mut Row<'_>) {
        let Syslog { codes, target, names, .. } = self;
        let mut set = |name: &str, value: Option<Value<'_>>| {
            if let Some(value) = value {
                row.set(name, value);
            }
        };
        set(target, time.map(Value::Timestamp));
        if let Some(priority) = message.priority {
            let code = |number: u8, names: &[&'static str]| match codes {
                Codes::Name => Value::Text(names[usize::from(number)]),
                Codes::Number => Value::Int64(number.into()),
            };
            set(&names.facility, Some(code(priority >> 3, &FACILITIES)));
            set(&names.severity, Some(code(priority & 7, &SEVERITIES)));
        }
        set(&names.version, message.version.map(Value::Int64));
        set(&names.hostname, message.hostname.map(Value::Text));
        set(&names.appname, message.appname.map(Value::Text));
        set(&names.procid, message.procid.map(Value::Text));
        set(&names.msgid, message.msgid.map(Value::Text));
        set(&names.message, message.text.map(Value::Text));
        for element in &message.elements {
            let mut path = names.structured.clone();
            path::push(&mut path, element.id);
            if element.parameters.is_empty() {
                set(&path, Some(Value::Json("{}")));
            }
        }
        for (id, name, value) in message.parameters() {
            let mut path = names.structured.clone();
            path::push(&mut path, id);
            path::push(&mut path, name);
            set(&path, Some(value.value()));
        }
    }
}

/// The parts of a message.
fn parse(text: &str, format: Format) -> Result<Message<'_>, String> {
    let (priority, rest) = message::priority(text)?;
    match format {
        Format::Rfc3164 => rfc3164::read(rest, priority),
        Format::Auto if priority.is_none() || !rfc5424::is_one(rest) => rfc3164::read(rest, priority),
        _ if priority.is_none() => Err("there is no priority such as <34> at its beginning".to_owned()),
        Format::Auto => rfc5424::read(rest, priority, Rigour::Loose),
        Format::Rfc5424 => rfc5424::read(rest, priority, Rigour::Strict),
    }
}

flitch_sdk::export!(Syslog);

#[cfg(test)]
mod tests;
