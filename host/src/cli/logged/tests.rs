use super::*;

#[test]
fn a_word_that_is_no_level_is_refused_and_not_taken_for_a_part_of_the_program() {
    for wrong in ["warning", "verbose", "info,verbose", " critical ", "debug;info", "trace1", "7"] {
        let said = filter(wrong).unwrap_err();
        assert!(said.contains("is no level: there are off, error, warn"), "{wrong}: {said}");
    }
    for wrong in ["flitch=loud", "info,flitch=debug=x"] {
        assert!(!filter(wrong).unwrap_err().is_empty(), "{wrong}");
    }
}

#[test]
fn levels_and_parts_with_levels_are_taken_however_they_are_written() {
    let right = [
        "warn",
        "INFO",
        "off",
        "3",
        "info,flitch::sources=debug",
        "info,rdkafka=trace",
        "flitch",
        "flitch_sources",
        "rdkafka::client",
        "info,[pull]=debug",
        "info,",
        "",
    ];
    for right in right {
        assert!(filter(right).is_ok(), "{right}");
    }
}
