use super::*;

#[test]
fn sizes_and_times_read_and_write_the_same() {
    for text in ["16MiB", "1kB", "3B", "2GiB"] {
        assert_eq!(text.parse::<Bytes>().unwrap().to_string(), text);
    }
    for text in ["250ms", "90s", "2h", "1d"] {
        assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
    }
}

#[test]
fn a_unit_that_is_none_is_refused_with_an_example() {
    assert!("16 parsecs".parse::<Bytes>().unwrap_err().contains("16MiB"));
    assert!("5".parse::<Span>().unwrap_err().contains("250ms"));
}

#[test]
fn times_may_be_written_out_and_a_size_in_other_letters_is_told_how_to_write_it() {
    for (text, same) in
        [("10 seconds", "10s"), ("1 minute", "1m"), ("5 min", "5m"), ("2 hours", "2h"), ("1.5s", "1500ms")]
    {
        assert_eq!(text.parse::<Span>().unwrap(), same.parse().unwrap());
    }
    for (text, help) in [
        ("64M", "write 64MiB or 64MB"),
        ("64 mb", "write 64MB"),
        ("1.5gib", "write 1.5GiB"),
        ("8k", "write 8KiB or 8kB"),
        ("64 parsecs", "write a number with a unit, such as 16MiB"),
        ("lots", "write a number with a unit"),
    ] {
        let error = text.parse::<Bytes>().unwrap_err();
        assert!(error.contains(help) && error.contains("the units are B, kB"), "{error}");
    }
}

#[test]
fn nothing_is_refused_but_where_it_means_something() {
    #[derive(Deserialize)]
    struct Settings {
        #[serde(deserialize_with = "or_zero")]
        wait: Span,
    }
    for zero in ["0", "\"0s\"", "\"0.0ms\""] {
        assert!(
            serde_json::from_str::<Span>(zero).unwrap_err().to_string().contains("more than 0"),
            "{zero}"
        );
        let settings = serde_json::from_str::<Settings>(&format!("{{\"wait\":{zero}}}"));
        assert_eq!(settings.unwrap().wait, Span(Duration::ZERO));
    }
    assert!(
        serde_json::from_str::<Bytes>("0").is_err() && serde_json::from_str::<Bytes>("\"0MiB\"").is_err()
    );
}
