use super::*;

fn text(template: &Template, clocks: &mut Clocks, value: Option<Scalar<'static>>) -> Option<String> {
    let mut out = Vec::new();
    let written = template.write(clocks, &mut out, |_| value.clone());
    (written == Written::Whole).then(|| String::from_utf8(out).unwrap())
}

#[test]
fn a_fraction_of_whatever_length_is_each_records_own() {
    for format in ["%f", "%.3f", "%3f", "%N", "%6N", "%S%.f"] {
        let template = Template::parse(&format!("{{t:{format}}}")).unwrap();
        let mut clocks = Clocks::default();
        let [one, other] = [111_000_000, 222_000_000]
            .map(|ns| text(&template, &mut clocks, Some(Scalar::Time(ns))).unwrap());
        assert!(one != other && one.contains("111") && other.contains("222"), "{format}: {one}, {other}");
    }
}

#[test]
fn a_second_is_formatted_once_and_the_next_one_anew() {
    let template = Template::parse("{t:%H:%M:%S}").unwrap();
    let mut clocks = Clocks::default();
    for (ns, expected) in [(-1, "23:59:59"), (0, "00:00:00"), (SECOND - 1, "00:00:00"), (SECOND, "00:00:01")]
    {
        assert_eq!(text(&template, &mut clocks, Some(Scalar::Time(ns))).as_deref(), Some(expected));
    }
}

#[test]
fn a_format_is_written_anew_where_it_shows_something_else_and_only_there() {
    const HOUR: i64 = 3_600 * SECOND;
    for (format, lasts) in [
        ("%Y-%m-%d", DAY),
        ("%j %a", DAY),
        ("fixed", DAY),
        ("%Y/%m/%d/%H", HOUR),
        ("%I", HOUR),
        ("%p", HOUR),
        ("%H%M", 60 * SECOND),
        ("%s", SECOND),
        ("%T", SECOND),
        ("%H:%M:%S%.f", 1),
        ("%3f", 1),
    ] {
        assert_eq!(Format::new(format).unwrap().lasts, lasts, "{format}");
        let template = Template::parse(&format!("{{t:{format}}}")).unwrap();
        let mut clocks = Clocks::default();
        // One after the other, over a day's end and back, each as if it stood alone.
        for ns in [0, LATE, DAY - 1, DAY, DAY + 61 * SECOND, DAY + HOUR, -1, -DAY, 12 * HOUR, 0] {
            let alone = format_utc(format, ns).unwrap();
            assert_eq!(
                text(&template, &mut clocks, Some(Scalar::Time(ns))).unwrap(),
                alone,
                "{format} at {ns}"
            );
        }
    }
}

#[test]
fn the_first_field_that_is_missing_is_named_and_counts_as_empty() {
    let template = Template::parse("<{a|none}{b}{c}>").unwrap();
    let mut out = Vec::new();
    match template.write(&mut Clocks::default(), &mut out, |_| Some(Scalar::Json("null"))) {
        Written::Without(field) => assert_eq!(field.name(), "b"),
        other => panic!("{other:?}"),
    }
    assert_eq!(out, b"<none>");
}
