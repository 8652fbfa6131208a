use super::*;

#[test]
fn dates_and_days_agree_over_four_hundred_years() {
    let mut expected = (1899, 12, 31);
    for days in days_from_civil(1900, 1, 1)..days_from_civil(2300, 1, 1) {
        let (year, month, day) = civil_from_days(days);
        assert_eq!(days_from_civil(year, month, day), days);
        assert!((year, month, day) > expected && day <= days_in_month(year, month));
        expected = (year, month, day);
    }
    assert_eq!(days_from_civil(1970, 1, 1), 0);
    assert_eq!(days_from_civil(2026, 11, 20), 20_777);
}

#[test]
fn an_instant_is_read_in_every_form_that_loggers_write() {
    let expected = 1_605_515_507 * SECOND;
    for text in [
        "2020-11-16T08:31:47Z",
        "2020-11-16T08:31:47+00:00",
        "2020-11-16 08:31:47.000Z",
        "2020-11-16T09:31:47+01:00",
        "2020-11-16t03:01:47-0530",
    ] {
        assert_eq!(parse_lenient(text.as_bytes()), Some(expected), "{text}");
    }
    assert_eq!(parse_lenient(b"2020-11-16T08:31:47.123456789123Z"), Some(expected + 123_456_789));
    assert_eq!(parse_lenient(b"1969-12-31T23:59:59.5Z"), Some(-SECOND / 2));
}

#[test]
fn what_is_no_instant_is_refused() {
    for text in [
        "",
        "2020-11-16",
        "2020-11-16T08:31:47",
        "2020-02-30T00:00:00Z",
        "2020-13-01T00:00:00Z",
        "2020-11-16T24:00:00Z",
        "2020-11-16T08:31:47.Z",
        "2020-11-16T08:31:47+1:00",
        "2020-11-16T08:31:47Zz",
        "9999-11-16T08:31:47Z",
        "2020-11-16x08:31:47Z",
        "2020-11-16T08:31:47+01:000",
    ] {
        assert_eq!(parse_lenient(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn an_instant_is_written_with_the_digits_it_has() {
    assert_eq!(to_text(0), "1970-01-01T00:00:00Z");
    assert_eq!(to_text(-1), "1969-12-31T23:59:59.999999999Z");
    assert_eq!(to_text(1_605_515_507 * SECOND + 250_000_000), "2020-11-16T08:31:47.25Z");
    for nanos in [i64::MIN, i64::MAX, 951_782_400 * SECOND, 1] {
        assert_eq!(parse_lenient(to_text(nanos).as_bytes()), Some(nanos));
    }
}

#[test]
fn what_only_loggers_write_is_no_instant_to_whom_nobody_said_that_it_is_one() {
    for text in [
        "2020-11-16T08:31:47.123456789123Z",
        "2016-12-31T23:59:60Z",
        "2020-11-16_08:31:47Z",
        "2020-11-16T08:31:47,5Z",
        "2020-11-16T08:31:47+0100",
    ] {
        assert!(parse_lenient(text.as_bytes()).is_some(), "{text}");
        assert_eq!(parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(parse(b"2020-11-16T08:31:47.1234567890000Z"), Some(1_605_515_507_123_456_789));
    for nanos in [i64::MIN, i64::MAX, -1, 0, 1] {
        assert_eq!(parse(to_text(nanos).as_bytes()), Some(nanos));
    }
}
