use flitch_tests::guests;

#[test]
fn the_filter_in_c_is_a_component() {
    let bytes = std::fs::read(guests::c_filter()).unwrap();
    // The preamble of a component, where a core module has version 1 and layer 0.
    assert_eq!(bytes[..8], [0, b'a', b's', b'm', 0x0d, 0, 1, 0]);
}
