use super::*;

#[test]
fn every_case_comes_out_as_it_should() {
    flitch_sdk::testing::cases::run::<Geoip, _>("cases");
}

#[test]
fn an_address_is_found_with_its_port_and_in_a_list() {
    for (text, wanted) in [
        ("10.0.0.1", "10.0.0.1"),
        (" 10.0.0.1:8080", "10.0.0.1"),
        ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("\"[2001:db8::1]\"", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ] {
        assert_eq!(address(text), wanted.parse().ok(), "{text}");
    }
    for text in ["", "host", "10.0.0", "[", "[x]", "unknown, 10.0.0.1", ":80", "::1:x"] {
        assert_eq!(address(text), None, "{text}");
    }
}
