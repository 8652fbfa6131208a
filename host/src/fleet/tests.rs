use super::*;

#[test]
fn a_part_that_fails_is_told_at_its_place_in_the_configuration() {
    assert_eq!(place("output events"), "outputs.events");
    assert_eq!(place("worker clicks-0"), "worker clicks-0");
}

#[test]
fn the_memory_of_this_process_is_known() {
    assert!(memory() > 1 << 20, "{}", memory());
}

#[test]
fn hexadecimal_digits_are_bytes() {
    assert_eq!(bytes("00ff10"), [0, 255, 16]);
}
