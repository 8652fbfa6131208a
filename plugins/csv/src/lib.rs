//! Takes a line of delimited values apart into fields.

mod cells;
mod settings;

use cells::{Cells, Grammar};
use flitch_sdk::parse::{Becomes, Found, Kind, NOWHERE, Part, Policy, Reader, Sinks};
use flitch_sdk::{Batch, Changes, ColumnFilter, Fields, Result, bail};
pub use settings::{Empty, FewerCells, MoreCells, Settings};

/// The filter.
#[derive(Debug)]
pub struct Csv {
    parts: Vec<Part>,
    grammar: Grammar,
    settings: Settings,
    policy: Policy,
    cells: Cells,
}

impl ColumnFilter for Csv {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let delimiter = settings::character("delimiter", &settings.delimiter)?;
        let quote = match settings.quote.as_str() {
            "" => None,
            quote => Some(settings::character("quote", quote)?),
        };
        if quote == Some(delimiter) {
            bail!("settings: `delimiter` and `quote` are the same");
        }
        let parts = settings.parts()?;
        Part::check_names(&parts, &settings.prefix)?;
        Ok(Self {
            parts,
            grammar: Grammar { delimiter, quote, trim: settings.trim },
            policy: settings.checked_policy()?,
            settings,
            cells: Cells::default(),
        })
    }

    fn fields(&self) -> Fields {
        Fields::only([&self.policy.field])
    }

    fn apply(&mut self, batch: &Batch, changes: &mut Changes) -> Result<()> {
        let policy = self.policy.clone();
        let sinks = Sinks::new(&self.parts, batch, &self.policy.field, self.settings.dash);
        let mut reader = Lines { filter: self, sinks, rows: 0, headers: Vec::new() };
        policy.run(batch, changes, &mut reader);
        let Lines { filter, sinks, headers, .. } = reader;
        sinks.finish(&filter.parts, &filter.settings.prefix, changes);
        changes.drop_going_on(batch.len(), &headers);
        Ok(())
    }
}

/// The lines of one batch.
struct Lines<'a> {
    filter: &'a mut Csv,
    sinks: Sinks<'a>,
    rows: u32,
    /// Rows among those that go on that are headers.
    headers: Vec<u32>,
}

impl Reader for Lines<'_> {
    fn read(&mut self, _row: usize, data: &str, from: usize, to: usize) -> Result<Found, String> {
        let Csv { parts, grammar, settings, cells, .. } = &mut *self.filter;
        let text = &data[from..to];
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        grammar.split(text, parts.len(), cells)?;
        let (found, wanted) = (cells.spans.len(), parts.len());
        if found < wanted && settings.fewer_cells == FewerCells::Reject {
            return Err(format!("the text has {found} of {wanted} cells"));
        }
        if found > wanted && settings.more_cells == MoreCells::Reject {
            return Err(format!("the text has more than {wanted} cells"));
        }
        if settings.drop_header && is_header(text, cells, &settings.columns) {
            self.headers.push(self.rows);
            self.skip();
            return Ok(Found::Something);
        }
        let row = self.sinks.row();
        row.fill(NOWHERE);
        for (number, (place, span)) in row.iter_mut().zip(&cells.spans).enumerate() {
            let is_text = parts[number].becomes == Becomes::Field(Kind::Text);
            let is_empty = span.0 == span.1 && !cells.quoted[number];
            if !is_empty || (is_text && settings.empty != Empty::Absent) {
                *place = *span;
            }
        }
        let text = cells.text(text);
        let added = self.sinks.add(text);
        added.map_err(|wrong| wrong.describe(parts, text, self.sinks.row()))?;
        self.rows += 1;
        Ok(Found::Something)
    }

    fn skip(&mut self) {
        self.sinks.push_absent();
        self.rows += 1;
    }
}

/// Whether the cells are the names of the columns.
fn is_header(text: &str, cells: &Cells, columns: &[String]) -> bool {
    let text = cells.text(text);
    let cell = |(from, to): &(usize, usize)| &text[*from..*to];
    let names = columns.iter().filter(|name| !name.is_empty()).count();
    let mut pairs = cells.spans.iter().map(cell).zip(columns);
    names > 0
        && cells.spans.len() == columns.len()
        && pairs.all(|(cell, name)| name.is_empty() || cell == name)
}

flitch_sdk::export!(Csv);

#[cfg(test)]
mod tests;
