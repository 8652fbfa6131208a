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

#[test]
fn a_member_has_one_path_however_its_name_is_written() {
    let text = r#" { "a" : 1e400 ,"\u0061.b": [1, 2],"\ud83dx":"\ud800","":{}} "#;
    let members = written(text).unwrap();
    let found: Vec<_> = members.iter().map(|member| (member.path().into_owned(), member.value)).collect();
    let wanted = [("a", "1e400"), (r"a\.b", "[1, 2]"), (r"\ud83dx", r#""\ud800""#), ("", "{}")];
    assert_eq!(found, wanted.map(|(path, value)| (path.to_owned(), value)));
    assert_eq!(of_written(members), r#"{"a":1e400,"\u0061.b":[1, 2],"\ud83dx":"\ud800","":{}}"#);
    assert_eq!(written("[1]"), None);
}

#[test]
fn objects_that_are_joined_have_each_name_once() {
    let both = |old, new| {
        let pairs = |text| written(text).unwrap().into_iter().map(|member| (member.path(), member)).collect();
        let (old, new): (Vec<_>, Vec<_>) = (pairs(old), pairs(new));
        of_written(joined(&old, &new))
    };
    assert_eq!(both(r#"{"a":1,"b":2}"#, r#"{"\u0062":3,"c":4}"#), r#"{"a":1,"\u0062":3,"c":4}"#);
    assert_eq!(both(r#"{"a":1,"a":2}"#, r#"{"c":4,"\u0063":5,"d":6}"#), r#"{"a":2,"\u0063":5,"d":6}"#);
    assert_eq!(both("{}", r#"{"c":4}"#), r#"{"c":4}"#);
}
