use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn a_member_is_removed_and_the_others_stay_as_they_stand() {
    let text = r#"{"a":{"b":1e400,"c":[1, 2]},"\ud800":3}"#;
    assert_eq!(remove(text, &names(&["a", "b"])).unwrap(), r#"{"a":{"c":[1, 2]},"\ud800":3}"#);
    assert_eq!(remove(text, &names(&["a"])).unwrap(), r#"{"\ud800":3}"#);
    assert_eq!(remove(text, &names(&["x"])), None);
    assert_eq!(remove("[1]", &names(&["a"])), None);
}

#[test]
fn a_value_is_written_into_an_object_in_place_or_at_its_end() {
    let text = r#"{"a":1,"b":{"c":2}}"#;
    assert_eq!(set(text, &names(&["a"]), "7").unwrap(), r#"{"a":7,"b":{"c":2}}"#);
    assert_eq!(set(text, &names(&["b", "d\""]), "7").unwrap(), r#"{"a":1,"b":{"c":2,"d\"":7}}"#);
    assert_eq!(set(text, &names(&["a", "x", "y"]), "7").unwrap(), r#"{"a":{"x":{"y":7}},"b":{"c":2}}"#);
    assert_eq!(set("{}", &names(&["a"]), "7"), None);
    assert_eq!(set("[1]", &names(&["a"]), "7"), None);
}
