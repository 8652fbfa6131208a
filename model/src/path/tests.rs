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
