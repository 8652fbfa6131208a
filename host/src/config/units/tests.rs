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
