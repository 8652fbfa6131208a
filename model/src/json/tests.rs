use super::*;
use proptest::prelude::*;

#[test]
fn of_members_with_one_name_the_last_stays_in_its_place() {
    for (object, expected) in [
        (r#"{"a":1,"b":{"a":2,"a":3},"c":[1,{"x":","}]}"#, r#"{"a":1,"b":{"a":2,"a":3},"c":[1,{"x":","}]}"#),
        (r#"{"a":1,"b\"":2,"a":{"a":[]}}"#, r#"{"b\"":2,"a":{"a":[]}}"#),
        (r#"{"a":"}","a":"\\"}"#, r#"{"a":"\\"}"#),
        ("{}", "{}"),
    ] {
        let mut text = object.as_bytes().to_vec();
        keep_last_members(&mut text);
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }
}

#[test]
fn numbers_have_one_form_wherever_they_stand() {
    let mut out = Vec::new();
    write_with_plain_numbers(
        br#"[1e-07, 1.50,-0,12,1E2,"1e-07\"1e-07",{"5e0":100000000000000000000000.5}]"#,
        &mut out,
    );
    let expected = r#"[1e-7, 1.5,-0.0,12,100.0,"1e-07\"1e-07",{"5e0":100000000000000000000000.5}]"#;
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn the_first_byte_that_needs_an_escape_is_found_at_each_place_and_length() {
    for length in 0..70 {
        for fill in [b' ', b'a', 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'] {
            let text = vec![fill; length];
            assert_eq!(plain_prefix(&text), length);
            for place in 0..length {
                for special in (0..0x20).chain([b'"', b'\\']) {
                    let mut text = text.clone();
                    text[place] = special;
                    assert_eq!(plain_prefix(&text), place, "{special} at {place} of {length}");
                }
            }
        }
    }
}

#[test]
fn an_escaped_string_reads_back() {
    let text: String = (0..300).filter_map(char::from_u32).collect();
    let mut out = Vec::new();
    write_string(text.as_bytes(), &mut out);
    assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), text);
}

proptest! {
    /// Settings, and JSON that filters take apart, are read by a library, and numbers of records by this crate.
    #[test]
    fn a_library_reads_the_float_that_is_written_here(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let mut text = Vec::new();
        write_float(value, &mut text);
        let read: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        prop_assert_eq!(read.as_f64().map(f64::to_bits), Some(bits), "{}", String::from_utf8_lossy(&text));
    }
}
