use arrow_array::Array;

use super::*;

#[test]
fn a_text_over_several_lines_becomes_one_line() {
    let array =
        StringArray::from(vec![Some("{\n \"a b\": \"\\\" \\\\\",\r\n\"c\": [1, 2] }"), None, Some("1")]);
    let checked = check(array, 0).unwrap();
    assert_eq!(checked.value(0), r#"{"a b":"\" \\","c":[1,2]}"#);
    assert!(checked.is_null(1));
    assert_eq!(checked.value(2), "1");
}

#[test]
fn what_is_no_json_is_refused_with_its_row() {
    let array = StringArray::from(vec![Some("1"), Some("{\"a\":}")]);
    let error = check(array, 0).unwrap_err();
    assert!(error.starts_with("row 1 is not JSON"), "{error}");
}
