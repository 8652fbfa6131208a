//! The sums that hold after every fault: each record that came in is delivered, dropped on purpose,
//! dead-lettered, handed back to its sender, or still in flight.

use std::collections::BTreeMap;
use std::fmt;

/// One sample of `/metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// What `/metrics` said.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
}

/// The terms of the sum over all sources, in records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Taken in by sources.
    pub received: u64,
    /// Made by the router or a filter that hands one record to several places.
    pub copied: u64,
    /// Taken by outputs.
    pub delivered: u64,
    /// Dropped on purpose, by a filter, the router or a full buffer.
    pub dropped: u64,
    /// Written to the dead letters.
    pub dead_lettered: u64,
    /// Given back to the source, which will send them again or has told its sender to.
    pub returned: u64,
    /// Put into buffers that keep them beyond the process.
    pub stored: u64,
    /// Given out by such buffers.
    pub restored: u64,
    /// Inside.
    pub in_flight: u64,
}

impl Metrics {
    /// Reads Prometheus' text format. Lines it cannot read are an error: the listener is ours.
    pub fn parse(text: &str) -> Result<Metrics, String> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).ok_or_else(|| format!("not a sample: {line}")));
        Ok(Metrics { samples: samples.collect::<Result<_, _>>()? })
    }

    /// The sum of all samples of that name whose labels include these; 0 where there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// [`Metrics::sum`] as a count.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.sum(name, labels) as u64
    }

    /// Whether there is any such sample.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    /// All samples.
    pub fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter()
    }

    /// All samples of that name whose labels include these.
    pub fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            let has = |(key, value): &(&str, &str)| sample.labels.get(*key).is_some_and(|v| v == value);
            sample.name == name && labels.iter().all(has)
        })
    }

    /// The terms of the sum.
    pub fn sums(&self) -> Sums {
        let count = |name: &str| self.count(name, &[]);
        Sums {
            received: count("flitch_records_received_total"),
            copied: count("flitch_records_copied_total"),
            delivered: count("flitch_records_delivered_total"),
            dropped: count("flitch_records_dropped_total"),
            dead_lettered: count("flitch_records_dead_lettered_total"),
            returned: count("flitch_records_returned_total"),
            stored: count("flitch_records_stored_total"),
            restored: count("flitch_records_restored_total"),
            in_flight: count("flitch_records_in_flight"),
        }
    }
}

impl Sums {
    /// Whether both sides are equal.
    pub fn hold(&self) -> bool {
        let out = self.delivered + self.dropped + self.dead_lettered + self.returned + self.stored;
        self.received + self.copied + self.restored == out + self.in_flight
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "received {} + copied {} + restored {} = delivered {} + dropped {} + dead-lettered {} + returned {} \
             + stored {} + in flight {}",
            self.received,
            self.copied,
            self.restored,
            self.delivered,
            self.dropped,
            self.dead_lettered,
            self.returned,
            self.stored,
            self.in_flight
        )
    }
}

/// `name{key="value",…} number`; a value escapes `\`, `"` and line feeds with a backslash.
fn sample(line: &str) -> Option<Sample> {
    let (name, mut rest) = match line.find(['{', ' ']) {
        Some(end) => line.split_at(end),
        None => return None,
    };
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(key.to_owned(), value);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A quoted value whose opening quote is behind us, and what follows its closing one.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            c => value.push(c),
        }
    }
    None
}
