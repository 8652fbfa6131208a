use super::*;

fn text(field: &str, columns: &[(&str, Scalar<'static>)]) -> Option<String> {
    Whole::of(field, columns.iter().map(|(path, _)| *path)).of_row(|column| Some(columns[column].1.clone()))
}

#[test]
fn a_field_without_anything_below_it_is_no_object() {
    assert_eq!(text("o", &[]), None);
    assert_eq!(text("o", &[("o", Scalar::Json(r#"{"x":1}"#))]), None);
    let whole = Whole::of("o", ["o.x", "o.y.z"].into_iter());
    assert_eq!(whole.of_row(|_| None), None);
    assert_eq!(whole.of_row(|column| (column == 1).then_some(Scalar::Int(7))).unwrap(), r#"{"y":{"z":7}}"#);
}

#[test]
fn names_stand_as_json_writes_them_and_an_empty_one_is_a_name() {
    let columns = [("o.", Scalar::Int(1)), (r"o.a\.b.", Scalar::Int(2)), (r#"o."\ud800"#, Scalar::Int(3))];
    assert_eq!(text("o", &columns).unwrap(), r#"{"":1,"\"\ud800":3,"a.b":{"":2}}"#);
}

#[test]
fn members_come_by_their_names_in_whatever_order_the_columns_stand() {
    let columns = [("o.b.d", Scalar::Int(3)), ("o.a", Scalar::Int(1)), ("o.b.c", Scalar::Int(2))];
    let expected = r#"{"a":1,"b":{"c":2,"d":3}}"#;
    assert_eq!(text("o", &columns).unwrap(), expected);
    let [one, two, three] = columns;
    assert_eq!(text("o", &[three, two, one]).unwrap(), expected);
}

#[test]
fn what_lies_deeper_than_paths_go_is_one_name() {
    let path = format!("o{}", ".a".repeat(MAX_DEPTH + 2));
    let text = text("o", &[(&path, Scalar::Boolean(true))]).unwrap();
    assert!(text.ends_with(&format!(r#"{{"a.a.a":true{}"#, "}".repeat(MAX_DEPTH))), "{text}");
    assert_eq!(text.matches('{').count(), MAX_DEPTH);
}

#[test]
fn an_object_joins_the_members_of_its_path_and_another_value_gives_way_to_them() {
    let below = ("o.y.b", Scalar::Int(2));
    let object = Scalar::Json(r#"{"a":1}"#);
    assert_eq!(text("o", &[("o.y", object), below.clone()]).unwrap(), r#"{"y":{"a":1,"b":2}}"#);
    for other in [Scalar::Json("{}"), Scalar::Json("[1]"), Scalar::Text("t".into())] {
        assert_eq!(text("o", &[below.clone(), ("o", other)]).unwrap(), r#"{"y":{"b":2}}"#);
    }
}
