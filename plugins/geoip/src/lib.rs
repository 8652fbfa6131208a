//! Adds the place and network of an IP address, from a table that the host keeps.

use flitch_sdk::parse::{OnMissing, Source, below, check_prefix, excerpt, set_present};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, TextBuilder, bail, host, path};
use serde::Deserialize;
use std::net::IpAddr;

/// The settings of `geoip`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The table, by its name under `tables` in the host's configuration.
    pub table: String,
    /// The field that holds the address.
    pub field: String,
    /// What is looked up.
    pub want: Vec<Want>,
    /// The language of names.
    pub language: Language,
    /// The path below which the fields are written; at the top if there is none.
    pub prefix: String,
    /// What becomes of a record whose address is missing or not in the table.
    pub on_missing: OnMissing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: String::new(),
            field: String::new(),
            want: vec![Want::Country, Want::City],
            language: Language::En,
            prefix: "geo".to_owned(),
            on_missing: OnMissing::Pass,
        }
    }
}

/// What is known of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// The code of the continent.
    Continent,
    /// Code and name of the country.
    Country,
    /// Code and name of the first subdivision.
    Region,
    /// The name of the city.
    City,
    /// The postal code.
    Postal,
    /// The coordinates.
    Location,
    /// The time zone.
    TimeZone,
    /// Number and organization of the network.
    Asn,
}

/// A language of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub enum Language {
    #[serde(rename = "en")]
    En,
    #[serde(rename = "de")]
    De,
    #[serde(rename = "es")]
    Es,
    #[serde(rename = "fr")]
    Fr,
    #[serde(rename = "ja")]
    Ja,
    #[serde(rename = "pt-BR")]
    PtBr,
    #[serde(rename = "ru")]
    Ru,
    #[serde(rename = "zh-CN")]
    ZhCn,
}

impl Language {
    fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Es => "es",
            Self::Fr => "fr",
            Self::Ja => "ja",
            Self::PtBr => "pt-BR",
            Self::Ru => "ru",
            Self::ZhCn => "zh-CN",
        }
    }
}

impl Want {
    /// The fields, and where MaxMind's tables have them.
    fn fields(self, language: &str) -> Vec<(&'static str, String)> {
        let named = |path: &str| format!("{path}.names.{language}");
        let fixed = |path: &str| path.to_owned();
        match self {
            Self::Continent => vec![("continent_code", fixed("continent.code"))],
            Self::Country => vec![("country_code", fixed("country.iso_code")), ("country", named("country"))],
            Self::Region => {
                vec![("region_code", fixed("subdivisions.0.iso_code")), ("region", named("subdivisions.0"))]
            }
            Self::City => vec![("city", named("city"))],
            Self::Postal => vec![("postal_code", fixed("postal.code"))],
            Self::Location => vec![
                ("lat", fixed("location.latitude")),
                ("lon", fixed("location.longitude")),
                ("accuracy_radius", fixed("location.accuracy_radius")),
            ],
            Self::TimeZone => vec![("time_zone", fixed("location.time_zone"))],
            Self::Asn => vec![
                ("asn", fixed("autonomous_system_number")),
                ("as_org", fixed("autonomous_system_organization")),
            ],
        }
    }
}

/// The filter.
#[derive(Debug)]
pub struct Geoip {
    table: String,
    field: String,
    /// The fields, and where they stand in the table.
    names: Vec<String>,
    paths: Vec<String>,
    on_missing: OnMissing,
}

impl ColumnFilter for Geoip {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        for (name, value) in [("table", &settings.table), ("field", &settings.field)] {
            if value.is_empty() {
                bail!("settings: `{name}` is missing");
            }
        }
        if settings.want.is_empty() {
            bail!("settings: `want` is empty");
        }
        check_prefix(&settings.prefix)?;
        let wanted = settings.want.iter().flat_map(|want| want.fields(settings.language.code()));
        let (names, paths): (Vec<_>, Vec<_>) =
            wanted.map(|(name, path)| (below(&settings.prefix, name), path)).unzip();
        if let Some((one, other)) = path::contradiction(names.iter().map(String::as_str)) {
            bail!("settings: of `{one}` and `{other}` one would replace the other");
        }
        // Asking for nothing shows whether the table is there, and has such columns.
        host::lookup(&settings.table, &TextBuilder::default().finish(&settings.field), &paths)
            .map_err(|error| error.at("settings"))?;
        Ok(Self {
            table: settings.table,
            field: settings.field,
            names,
            paths,
            on_missing: settings.on_missing,
        })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let rows = batch.len();
        let column = batch.column(&self.field);
        let source = |row| column.map_or(Source::Absent, |column| Source::of(column, row));
        let mut keys = TextBuilder::with_capacity(rows, rows * 16);
        let mut last = (String::new(), None);
        for row in 0..rows {
            let Source::Text(text) = source(row) else {
                keys.push_absent();
                continue;
            };
            // Most clients send more than one line.
            if last.0 != *text {
                last = (text.clone().into_owned(), address(&text).map(|address| address.to_string()));
            }
            keys.push_option(last.1.as_deref());
        }
        let mut found = host::lookup(&self.table, &keys.finish(&self.field), &self.paths)?;
        if self.on_missing == OnMissing::Reject {
            for row in (0..rows).filter(|row| !found.iter().any(|column| column.is_present(*row))) {
                let reason = match source(row) {
                    Source::Absent => format!("the field `{}` is missing", self.field),
                    Source::Text(text) => {
                        format!(
                            "the field `{}`: the table {} does not know {}",
                            self.field,
                            self.table,
                            excerpt(&text)
                        )
                    }
                    Source::Bytes(_) | Source::Other(_) => format!("the field `{}` is no text", self.field),
                };
                changes.reject(row, reason);
            }
            let going_on = changes.going_on(rows);
            found.iter_mut().for_each(|column| *column = column.take(&going_on));
        }
        for column in &mut found {
            if let Some(place) = self.paths.iter().position(|path| *path == column.name) {
                column.name.clone_from(&self.names[place]);
            }
        }
        set_present(changes, found);
        Ok(())
    }
}

/// The address that a text begins with: by itself, with a port, or as the first of a list.
fn address(text: &str) -> Option<IpAddr> {
    let first = text.split(',').next()?.trim().trim_matches('"');
    if let Some(inside) = first.strip_prefix('[') {
        return inside.split(']').next()?.parse().ok();
    }
    let without_port =
        || first.rsplit_once(':').and_then(|(address, _)| address.parse::<std::net::Ipv4Addr>().ok());
    first.parse().ok().or_else(|| without_port().map(IpAddr::V4))
}

flitch_sdk::export!(Geoip);

#[cfg(test)]
mod tests;
