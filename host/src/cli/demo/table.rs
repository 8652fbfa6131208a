//! What the demo shows while it runs.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LINES;
use super::reader::{Reader, Seen};
use super::senders::Progress;
use crate::admin::Exporter;
use flitch_core::receipt::Accounts;

/// Columns of a terminal that does not say how many it has.
const WIDTH: usize = 80;
/// Columns that the table needs to tell everything; on fewer it leaves out what does not change.
const WIDE: usize = 116;

/// Draws the table over itself on a terminal, and a line each second anywhere else.
pub struct Table {
    is_terminal: bool,
    /// Whether parts of it are bold or dim.
    is_styled: bool,
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
    pub fn new(is_terminal: bool, is_styled: bool, seconds: u64) -> Table {
        Table { is_terminal, is_styled, seconds, begin: Instant::now(), drawn: 0, last: None }
    }

    /// How often to show it.
    pub fn period(&self) -> Duration {
        Duration::from_millis(if self.is_terminal { 250 } else { 1000 })
    }

    /// Shows the whole run, with the rates that it had on average.
    pub fn show_all(&mut self, progress: &[Arc<Progress>; 3], reader: &Reader) -> io::Result<()> {
        self.last = None;
        self.show(progress, reader)
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
                let _ = write!(text, "\r\x1b[{}A\x1b[J", self.drawn);
            }
            let width = terminal_size::terminal_size().map_or(WIDTH, |(terminal_size::Width(w), _)| w.into());
            let lines = self.table(width, at, &rate, &counts, &seen);
            self.drawn = lines.len();
            lines.iter().for_each(|line| {
                let _ = writeln!(text, "{line}");
            });
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

    fn bold(&self, text: &str) -> String {
        if self.is_styled { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn dim(&self, text: &str) -> String {
        if self.is_styled { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The lines of the table, none of them wider than `width`, so that none takes two lines of the terminal.
    fn table(
        &self,
        width: usize,
        at: f64,
        rate: &dyn Fn(fn(&Counts) -> u64, usize) -> String,
        counts: &[Counts; 3],
        seen: &[Seen; 3],
    ) -> Vec<String> {
        let is_wide = width >= WIDE;
        let row = |[source, kind, sent, taken, filters, topic, delivered, read, all]: [&str; 9]| {
            let row = if is_wide {
                format!(
                    "{source:<8} {kind:<8} {sent:>10} {taken:>11}   {filters:<25} {topic:<11} {delivered:>11} {read:>11} {all:>11}"
                )
            } else {
                format!("{source:<8} {sent:>10} {taken:>11} {delivered:>11} {read:>11} {all:>11}")
            };
            cut(&row, width)
        };
        let head = [
            "source",
            "type",
            "sent/s",
            "taken in/s",
            "filters in WASM",
            "topic",
            "delivered/s",
            "read back/s",
            "read back",
        ];
        let of = cut(&format!("  {at:.1} of {} s", self.seconds), width.saturating_sub(11));
        let mut lines =
            vec![self.bold(&cut("flitch demo", width)) + &of, String::new(), self.dim(&row(head))];
        for (i, line) in LINES.iter().enumerate() {
            lines.push(row([
                line.source,
                line.kind,
                &rate(|c| c.sent, i),
                &rate(|c| c.received, i),
                line.filters,
                line.topic,
                &rate(|c| c.delivered, i),
                &rate(|c| c.read, i),
                &number(counts[i].read),
            ]));
        }
        lines.push(String::new());
        for (line, seen) in LINES.iter().zip(seen) {
            let topic = cut(&format!("{:<11} ", line.topic), width);
            let sample = cut(seen.sample.trim_end(), width.saturating_sub(12));
            lines.push(self.dim(&topic) + &sample);
        }
        lines
    }

    /// The sums at the end.
    pub fn sums(&self, sent: &[u64], accounts: &[Accounts; 3], read: &[Seen; 3], took: Duration) -> String {
        let mut text = format!(
            "\nThe sums after {:.1} s:\n\n{:<7} {:>9} = {:>9} + {:>8} + {:>6} + {:>9}   {:>9} {:>5}\n",
            took.as_secs_f64(),
            "source",
            "sent",
            "delivered",
            "dropped",
            "dead",
            "in flight",
            "read back",
            "twice"
        );
        for (i, line) in LINES.iter().enumerate() {
            let a = &accounts[i];
            let _ = writeln!(
                text,
                "{:<7} {:>9} = {:>9} + {:>8} + {:>6} + {:>9}   {:>9} {:>5}",
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

/// The first `width` characters, and a mark where there were more. Control characters would move the cursor.
fn cut(text: &str, width: usize) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().count() <= width {
        return text.chars().map(shown).collect();
    }
    let mut short: String = text.chars().map(shown).take(width.saturating_sub(1)).collect();
    if width > 0 {
        short.push('…');
    }
    short
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal shows of a line.
    fn shown(line: &str) -> usize {
        let plain =
            ["\x1b[1m", "\x1b[2m", "\x1b[0m"].iter().fold(line.to_owned(), |l, code| l.replace(code, ""));
        assert!(!plain.contains('\x1b'), "{plain:?}");
        plain.chars().count()
    }

    #[test]
    fn no_line_of_the_table_is_wider_than_the_terminal() {
        let sample = format!("{{\"text\":\"{}\n\"}}", "é".repeat(300));
        let seen = [(); 3].map(|()| Seen { sample: sample.clone(), ..Seen::default() });
        let counts = [Counts { sent: 1, received: 1, delivered: 1, read: 123_456_789 }; 3];
        let rate = |_: fn(&Counts) -> u64, _| "1,234,567".to_owned();
        for width in [0, 1, 20, 79, 80, 115, 116, 120, 400] {
            let lines = Table::new(true, true, 10).table(width, 9.96, &rate, &counts, &seen);
            assert_eq!(lines.len(), 10);
            let widest = lines.iter().map(|line| shown(line)).max().unwrap();
            assert!(widest <= width.max(11), "{widest} of {width}");
            assert_eq!(lines.iter().any(|line| line.contains("dissect, match")), width >= WIDE);
            let plain = Table::new(true, false, 10).table(width, 9.96, &rate, &counts, &seen);
            assert!(plain.iter().all(|line| !line.contains('\x1b')), "{plain:?}");
        }
        let sums = Table::new(true, true, 10).sums(
            &[1_234_567; 3],
            &[Accounts { delivered: 1_234_567, ..Accounts::default() }; 3],
            &seen,
            Duration::from_secs(10),
        );
        assert!(sums.lines().all(|line| shown(line) <= WIDTH), "{sums}");
    }
}
