use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

/// What a client, a record or a file name may hold.
const HOSTILE: &str =
    "a\u{1b}[2J\u{1b}]0;x\u{7}\r\n2026-01-01T00:00:00Z ERROR forged\u{9b}31m\u{202e}\u{7f}z";

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn say_hostile_things() {
    let error = io::Error::other(HOSTILE);
    tracing::warn!(text = HOSTILE, display = %HOSTILE, debug = ?HOSTILE, %error, r#type = 1, "said {HOSTILE}");
    let span = tracing::info_span!("span", peer = %HOSTILE);
    span.in_scope(|| tracing::warn!(error = &error as &dyn std::error::Error, "{HOSTILE}"));
}

#[test]
fn nothing_in_a_field_ends_its_line_or_reaches_the_terminal_as_a_command() {
    let written = Written::default();
    let (writer, fields) = (written.clone(), Fields);
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).fmt_fields(fields);
    tracing::subscriber::with_default(subscriber.with_ansi(false).finish(), say_hostile_things);
    let lines = written.lines();
    assert!(lines.iter().all(|line| !line.contains(escape::is_unsafe)), "{lines:#?}");
    // Two events; the second lines of their messages are set in.
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines[1].starts_with("    2026") && lines[3].starts_with("    2026"), "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("2026")).count(), 2, "{lines:#?}");
    assert!(lines[1].contains("display=a\\u{1b}[2J") && lines[1].ends_with("type=1"), "{lines:#?}");
}

#[test]
fn names_of_fields_are_set_off_on_a_terminal() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).fmt_fields(Fields);
    let subscriber = subscriber.with_ansi(true).finish();
    tracing::subscriber::with_default(subscriber, || tracing::info!(source = "web", "ready"));
    assert!(written.lines()[0].contains("ready \u{1b}[3msource\u{1b}[0m\u{1b}[2m=\u{1b}[0m\"web\""));
}

#[test]
fn lines_of_json_hold_the_same_values_and_no_commands() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true);
    let subscriber = subscriber.with_writer(move || JsonLines(writer.clone())).finish();
    tracing::subscriber::with_default(subscriber, say_hostile_things);
    let lines = written.lines();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| !line.contains(escape::is_unsafe)), "{lines:#?}");
    let value: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(value["text"], HOSTILE);
}
