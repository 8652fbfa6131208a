use super::*;

fn refused(names: &[&str], own: &[&str]) -> Option<(String, String)> {
    let keys = ["one_field", "other_field", "third_field"];
    let named: Vec<_> = keys.iter().zip(names).map(|(key, name)| Named { key, name }).collect();
    let error = check(&named, own).err()?;
    let wrong = error.downcast_ref::<flitch_core::setting::Wrong>().expect("it names a setting");
    Some((wrong.key().to_owned(), error.to_string()))
}

#[test]
fn names_that_are_in_nobodys_way_are_taken() {
    for names in [&["message", "file", "host"][..], &["a.b", "a.c", "ab"], &["a", "ab", "b.a"], &["line"]] {
        assert_eq!(refused(names, &["stream", "attrs"]), None, "{names:?}");
    }
}

#[test]
fn names_that_are_no_fields_or_those_of_others_are_refused_with_their_key() {
    for (names, key, why) in [
        (&[""][..], "one_field", "is empty"),
        (&["a", ""], "other_field", "is empty"),
        (&["@tag"], "one_field", "flitch's own"),
        (&["a", "@timestamp"], "other_field", "flitch's own"),
        (&["a..b"], "one_field", "between dots"),
        (&[".a"], "one_field", "between dots"),
        (&["a", "a"], "other_field", "which is the field `a` of `one_field`"),
        (&["a", "b", "a"], "third_field", "which is the field `a` of `one_field`"),
        (&["a.b", "a"], "other_field", "above or below the field `a.b` of `one_field`"),
        (&["a", "a.b.c"], "other_field", "above or below the field `a` of `one_field`"),
        (&["stream"], "one_field", "a field `stream` of its own"),
        (&["a", "attrs.x"], "other_field", "a field `attrs` of its own"),
    ] {
        let (at, says) = refused(names, &["stream", "attrs"]).unwrap_or_else(|| panic!("{names:?} is taken"));
        assert!(at == key && says.contains(why), "{names:?}: {at}: {says}");
    }
}
