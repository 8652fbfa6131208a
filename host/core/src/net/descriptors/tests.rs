use super::*;

fn parts(connections: u64) -> Vec<(String, u64)> {
    vec![("sources.web".to_owned(), connections), ("sources.logs".to_owned(), 200)]
}

#[test]
fn what_may_be_open_at_once_is_held_against_the_limit_of_the_system() {
    assert_eq!(excess(parts(500), Some(1024)), None);
    let found = excess(parts(900), Some(1024)).unwrap();
    assert!((1100..1300).contains(&found.needed), "{found:?}");
    assert_eq!((found.most, &*found.largest.0), (1024, "sources.web"));
    assert_eq!(excess(parts(60_000), None), None, "there is no limit");
}

#[test]
fn the_limit_is_raised_as_far_as_it_goes() {
    assert_eq!(raise().unwrap(), most());
    assert_eq!(getrlimit(Resource::Nofile).current, most());
}

#[test]
fn a_limit_is_read_as_the_kernel_writes_it() {
    let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
        Max processes             96364                96364                processes \n\
        Max open files            1024                 unlimited            files     \n";
    let told = told_by(text).unwrap();
    assert_eq!((told.current, told.maximum), (Some(1024), None));
    assert!(told_by("Max open files            many").is_none());
    let (told, asked) = (limit(), getrlimit(Resource::Nofile));
    assert_eq!((told.current, told.maximum), (asked.current, asked.maximum));
}

#[test]
fn descriptors_that_are_to_be_had_are_let_go_again() {
    are_to_be_had(8).unwrap();
    are_to_be_had(0).unwrap();
}
