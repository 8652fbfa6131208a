use super::*;

#[test]
fn a_dot_in_a_name_does_not_split_it() {
    let mut path = String::new();
    for member in ["labels", "app.kubernetes.io/name", r"back\slash", ""] {
        push(&mut path, member);
    }
    assert_eq!(path, r"labels.app\.kubernetes\.io/name.back\\slash.");
    assert_eq!(names(&path), ["labels", "app.kubernetes.io/name", r"back\slash", ""]);
}

#[test]
fn a_path_lies_below_those_of_its_names() {
    assert_eq!(and_above(r"a\.b.c\\.d").collect::<Vec<_>>(), [r"a\.b.c\\.d", r"a\.b.c\\", r"a\.b"]);
    assert_eq!(contradiction(["a", "b.c", "ab", "b"]), Some(("b.c", "b")));
    assert_eq!(contradiction(["a", "b.c", "b.d"]), None);
}

#[test]
fn only_whole_names_lie_below_a_path() {
    assert!(is_below("a.b.c", "a.b"));
    assert!(!is_below("a.bc", "a.b"));
    assert!(!is_below(r"a\.b", "a"));
    assert!(!is_below("a", "a"));
    assert!(overlap("a", "a") && overlap("a.b", "a") && overlap("a", "a.b") && !overlap("a.b", "a.c"));
}

#[test]
fn a_wildcard_is_no_name_of_a_field() {
    for path in ["a", "a.b", "a*", "*a.b", "a.**", "@rest", ""] {
        assert_eq!(check_exact(path), Ok(()), "{path}");
    }
    for (path, instead) in [
        ("a.*", "write `a`, with which goes all that lies below it"),
        ("a.b.*", "write `a.b`, with which goes all that lies below it"),
        ("*", "name each field"),
        ("a.*.b", "name each field"),
        ("*.*", "name each field"),
    ] {
        assert_eq!(check_exact(path), Err(format!("`{path}`: names of fields have no wildcards; {instead}")));
    }
}

#[test]
fn what_stands_at_the_top_of_a_record_may_lie_in_the_column_of_the_others_but_for_the_hosts_own_names() {
    for inner in ["a", "a.b", "", "@version", "@tags"] {
        assert!(is_above(REST, inner), "{inner}");
    }
    for own in [REST, TIMESTAMP, TAG] {
        assert!(!is_above(REST, own), "{own}");
    }
}
