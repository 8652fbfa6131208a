//! Takes syslog messages apart, of RFC 5424 and of RFC 3164.

mod message;
mod rfc3164;
mod rfc5424;
mod settings;
mod when;

use flitch_sdk::parse::{Policy, Reader, below, check_name, check_prefix, set_present};
use flitch_sdk::zone::Zone;
use flitch_sdk::{
    Batch, Changes, ColumnFilter, ColumnSet, Fields, NumberColumn, Result, Value, View, bail, path,
};
use message::{FACILITIES, Message, SEVERITIES};
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
        let policy = Policy {
            field: settings.field,
            keep_source: settings.keep_source,
            on_mismatch: settings.on_mismatch,
            on_missing: settings.on_missing,
            error_field: settings.error_field,
        };
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
        let mut reader = Messages { filter: self, arrivals, columns: ColumnSet::default(), rows: 0 };
        self.policy.run(batch, changes, &mut reader);
        set_present(changes, reader.columns.finish(reader.rows));
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

/// The messages of one batch.
struct Messages<'a> {
    filter: &'a Syslog,
    /// When the records came, for times without a year.
    arrivals: Option<NumberColumn<'a, i64>>,
    columns: ColumnSet,
    rows: usize,
}

impl Reader for Messages<'_> {
    fn read(&mut self, row: usize, data: &str, from: usize, to: usize) -> Result<(), String> {
        let text = &data[from..to];
        let text = text.strip_suffix('\n').unwrap_or(text);
        let message = parse(text, self.filter.format)?;
        let time = match message.time {
            None => None,
            Some(time) => {
                let arrival = self.arrivals.and_then(|arrivals| arrivals.get(row)).unwrap_or(0);
                let instant = time.instant(&self.filter.zone, arrival);
                Some(instant.ok_or("the time lies outside of the years 1677 to 2262")?)
            }
        };
        self.write(&message, time);
        self.rows += 1;
        Ok(())
    }

    fn skip(&mut self) {
        self.rows += 1;
    }
}

/// The parts of a message.
fn parse(text: &str, format: Format) -> Result<Message<'_>, String> {
    let (priority, rest) = message::priority(text)?;
    match format {
        Format::Rfc3164 => rfc3164::read(rest, priority),
        Format::Auto if priority.is_none() || !rfc5424::is_one(rest) => rfc3164::read(rest, priority),
        _ if priority.is_none() => Err("there is no priority such as <34> at its beginning".to_owned()),
        _ => rfc5424::read(rest, priority),
    }
}

impl Messages<'_> {
    fn write(&mut self, message: &Message<'_>, time: Option<i64>) {
        let Syslog { codes, target, names, .. } = self.filter;
        let (row, columns) = (self.rows, &mut self.columns);
        columns.begin_row();
        let mut set = |name: &str, value: Option<Value<'_>>| {
            if let Some(value) = value {
                columns.set(row, name, value);
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
            for (name, value) in &element.parameters {
                let mut path = path.clone();
                path::push(&mut path, name);
                set(&path, Some(Value::Text(value)));
            }
        }
    }
}

flitch_sdk::export!(Syslog);
