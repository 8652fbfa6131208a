//! What the demo shows while it runs.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LINES;
use super::reader::{Reader, Seen};
use super::senders::Progress;
use crate::receipt::Accounts;
use crate::telemetry::Exporter;

/// Most characters of a sample that is shown.
const SAMPLE: usize = 96;

/// Draws the table over itself on a terminal, and a line each second anywhere else.
pub struct Table {
    is_terminal: bool,
    seconds: u64,
    begin: Instant,
    /// Lines that the last drawing took.
    drawn: usize,
    last: Option<(Instant, [Counts; 3])>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    sent: u64,
    received: u64,
    delivered: u64,
    read: u64,
}

impl Table {
    /// An empty table for a run of so many seconds.
    pub fn new(is_terminal: bool, seconds: u64) -> Table {
        Table { is_terminal, seconds, begin: Instant::now(), drawn: 0, last: None }
    }

    /// How often to show it.
    pub fn period(&self) -> Duration {
        Duration::from_millis(if self.is_terminal { 250 } else { 1000 })
    }

    /// Shows how far everything is.
    pub fn show(&mut self, progress: &[Arc<Progress>; 3], reader: &Reader) -> io::Result<()> {
        let seen = reader.seen();
        let now = Instant::now();
        let counts = [0, 1, 2].map(|i| {
            let accounts = Exporter::get().ledger(LINES[i].source).read();
            let (received, delivered) = (accounts.received, accounts.delivered);
            Counts { sent: progress[i].sent(), received, delivered, read: seen[i].distinct + seen[i].again }
        });
        let (before, then) = self.last.map_or((self.begin, [Counts::default(); 3]), |last| last);
        let elapsed = now.duration_since(before).as_secs_f64().max(0.001);
        let rate = |value: fn(&Counts) -> u64, i: usize| {
            number(((value(&counts[i]) - value(&then[i])) as f64 / elapsed) as u64)
        };
        let at = now.duration_since(self.begin).as_secs_f64().min(self.seconds as f64);
        let mut text = String::new();
        if self.is_terminal {
            if self.drawn > 0 {
                // Up to the first line, and clear from there.
                let _ = write!(text, "\x1b[{}A\x1b[J", self.drawn);
            }
            self.table(&mut text, at, &rate, &counts, &seen);
            self.drawn = text.lines().count();
        } else {
            let all = |value: fn(&Counts) -> u64| number(counts.iter().map(value).sum());
            let _ = writeln!(
                text,
                "{at:4.1} s   sent {}   taken in {}   delivered {}   read back {}",
                all(|c| c.sent),
                all(|c| c.received),
                all(|c| c.delivered),
                all(|c| c.read)
            );
        }
        self.last = Some((now, counts));
        let mut stdout = io::stdout();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    fn table(
        &self,
        text: &mut String,
        at: f64,
        rate: &dyn Fn(fn(&Counts) -> u64, usize) -> String,
        counts: &[Counts; 3],
        seen: &[Seen; 3],
    ) {
        let _ = writeln!(text, "\x1b[1mflitch demo\x1b[0m  {at:.1} of {} s", self.seconds);
        let _ = writeln!(
            text,
            "\n\x1b[2m{:<8} {:<8} {:>10} {:>11}   {:<25} {:<11} {:>11} {:>11} {:>11}\x1b[0m",
            "source",
            "type",
            "sent/s",
            "taken in/s",
            "filters in WASM",
            "topic",
            "delivered/s",
            "read back/s",
            "read back"
        );
        for (i, line) in LINES.iter().enumerate() {
            let _ = writeln!(
                text,
                "{:<8} {:<8} {:>10} {:>11}   {:<25} {:<11} {:>11} {:>11} {:>11}",
                line.source,
                line.kind,
                rate(|c| c.sent, i),
                rate(|c| c.received, i),
                line.filters,
                line.topic,
                rate(|c| c.delivered, i),
                rate(|c| c.read, i),
                number(counts[i].read)
            );
        }
        text.push('\n');
        for (line, seen) in LINES.iter().zip(seen) {
            let sample: String = seen.sample.chars().take(SAMPLE).collect();
            let more = if seen.sample.chars().count() > SAMPLE { "..." } else { "" };
            let _ = writeln!(text, "\x1b[2m{:<11}\x1b[0m {}{more}", line.topic, sample.trim_end());
        }
    }

    /// The sums at the end.
    pub fn sums(&self, sent: &[u64], accounts: &[Accounts; 3], read: &[Seen; 3], took: Duration) -> String {
        let mut text = format!(
            "\nThe sums after {:.1} s:\n\n{:<8} {:>10} = {:>10} + {:>8} + {:>12} + {:>9}   {:>10} {:>6}\n",
            took.as_secs_f64(),
            "source",
            "sent",
            "delivered",
            "dropped",
            "dead letters",
            "in flight",
            "read back",
            "twice"
        );
        for (i, line) in LINES.iter().enumerate() {
            let a = &accounts[i];
            let _ = writeln!(
                text,
                "{:<8} {:>10} = {:>10} + {:>8} + {:>12} + {:>9}   {:>10} {:>6}",
                line.source,
                number(sent[i]),
                number(a.delivered),
                number(a.dropped),
                number(a.dead_lettered),
                number(a.in_flight()),
                number(read[i].distinct),
                number(read[i].again)
            );
        }
        text
    }
}

/// A number with commas: 1,234,567.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
