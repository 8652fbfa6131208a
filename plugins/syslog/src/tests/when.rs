use super::*;
use flitch_sdk::time::format_rfc3339;

fn when(text: &str) -> String {
    let Some((when, rest)) = read(text) else { return "none".to_owned() };
    let zone = Zone::named("Europe/Berlin").unwrap();
    let arrival = parse_rfc3339(b"2026-07-01T00:00:00Z").unwrap();
    format!("{}|{rest}", format_rfc3339(when.instant(&zone, arrival).unwrap()))
}

#[test]
fn times_are_read_with_and_without_year_fraction_and_zone() {
    for (text, wanted) in [
        ("Oct 11 22:14:15 x", "2026-10-11T20:14:15Z| x"),
        ("oct  1 22:14:15", "2026-10-01T20:14:15Z|"),
        ("Jan  1 00:00:00.25 x", "2025-12-31T23:00:00.25Z| x"),
        ("Oct 11 2025 22:14:15: x", "2025-10-11T20:14:15Z| x"),
        ("2025 Oct 11 22:14:15 x", "2025-10-11T20:14:15Z| x"),
        ("*Oct 11 2025 22:14:15.5 UTC: x", "2025-10-11T22:14:15.5Z| x"),
        ("Oct 11 2025 22:14:15 CEST: x", "2025-10-11T20:14:15Z| x"),
        ("Oct 11 2025 22:14:15 XYZ: %SYS-5: x", "2025-10-11T20:14:15Z| %SYS-5: x"),
        ("Oct 11 22:14:15 UTC: x", "2026-10-11T22:14:15Z| x"),
        ("Oct 11 22:14:15 GMT x", "2026-10-11T22:14:15Z| x"),
        ("Oct 11 22:14:15 ERROR: x", "2026-10-11T20:14:15Z| ERROR: x"),
        ("Oct 11 2025 22:14:15 HOST x", "2025-10-11T20:14:15Z| HOST x"),
        ("2025-10-11T22:14:15.123456+01:00 x", "2025-10-11T21:14:15.123456Z| x"),
        ("2025-10-11T22:14:15 x", "2025-10-11T20:14:15Z| x"),
        ("Feb 29 10:00:00 x", "2024-02-29T09:00:00Z| x"),
    ] {
        assert_eq!(when(text), wanted, "{text}");
    }
}

#[test]
fn what_is_no_time_is_none() {
    for text in [
        "",
        "Oct",
        "Oct 11",
        "Okt 11 22:14:15",
        "Oct 32 22:14:15",
        "Oct 0 22:14:15",
        "Feb 30 22:14:15",
        "Oct 11 25:14:15",
        "Oct 11 22:14:15x",
        "Oct11 22:14:15",
        "Oct 11 22:14:15. x",
        "Feb 29 2025 10:00:00",
        "9999 Oct 11 22:14:15",
        "é",
    ] {
        assert_eq!(when(text), "none", "{text}");
    }
}

#[test]
fn a_year_at_the_end_of_the_range_is_none_or_read() {
    for arrival in [i64::MIN, -1, 0, i64::MAX] {
        let _ = When::Yearless(12, 31, 0, Clock::Local).instant(&Zone::named("+14:00").unwrap(), arrival);
    }
}
