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

fn written(template: &Template, value: Option<Scalar<'_>>) -> Option<String> {
    let mut out = Vec::new();
    let written = template.write(&mut Clocks::default(), &mut out, |_| value.clone());
    (written == Written::Whole).then(|| String::from_utf8(out).unwrap())
}

#[test]
fn a_format_takes_a_text_that_is_a_time_and_nothing_else() {
    let day = Template::parse("{t:%Y-%m-%d}").unwrap();
    let text = |text: &'static str| Some(Scalar::Text(text.into()));
    let midnight = written(&day, text("2026-11-20T00:30:00+01:00"));
    assert_eq!(midnight.as_deref(), Some("2026-11-19"));
    assert_eq!(written(&day, text("2026-11-20 12:30:00,5Z")).as_deref(), Some("2026-11-20"));
    for none in [
        text("2026-11-20 12:30:00"),
        text("yesterday"),
        Some(Scalar::Int(1)),
        Some(Scalar::Json("[1]")),
        None,
    ] {
        assert_eq!(written(&day, none.clone()), None, "{none:?}");
        let with_default = Template::parse("{t:%Y-%m-%d|unknown}").unwrap();
        assert_eq!(written(&with_default, none).as_deref(), Some("unknown"));
    }
}

#[test]
fn a_slash_parts_folders_in_a_format_and_a_default_and_none_in_a_value() {
    let path = |source: &str| Template::parse(source).unwrap().for_paths();
    let time = || Some(Scalar::Time(0));
    assert_eq!(written(&path("logs/{t:%Y/%m/%d}/"), time()), None, "its end is empty");
    assert_eq!(written(&path("logs/{t:%Y/%m//%d}/x"), time()).as_deref(), Some("logs/1970/01/01/x"));
    assert_eq!(written(&path("logs/{t|no/team}/x"), None).as_deref(), Some("logs/no/team/x"));
    assert_eq!(written(&path("{t}/x"), Some(Scalar::Text("a/b\0c".into()))).as_deref(), Some("a_b_c/x"));
    assert_eq!(written(&path("{t|../..}/x"), None), None);
}

#[test]
fn a_time_that_is_formatted_outside_of_braces_is_found() {
    let wrong = |source: &str| Template::parse(source).unwrap().wrong_as_place();
    assert!(wrong("date=%Y-%m-%d/").unwrap().contains("`{@timestamp:%Y}`"));
    assert!(wrong("date=%F/hour=%H/").unwrap().contains("`{@timestamp:%F}`"));
    assert!(wrong("app/{host}-%d").unwrap().contains("`{@timestamp:%d}`"));
    for source in ["date={@timestamp:%Y-%m-%d}/50%/", "a%20b%2Fc/", "50%man", "100%"] {
        assert_eq!(wrong(source), None, "{source}");
    }
}

#[test]
fn a_field_or_a_time_as_others_write_it_is_found() {
    let wrong = |source: &str| Template::parse(source).unwrap().wrong_as_place();
    for (source, right) in [
        ("logs/{{ host }}/", "`{host}`"),
        ("logs/{{host}}.log", "`{host}`"),
        ("logs-%{app}", "`{app}`"),
        ("logs-%{+YYYY.MM.dd}", "`{@timestamp:%Y.%m.%d}`"),
    ] {
        assert!(wrong(source).unwrap().contains(right), "{source}: {:?}", wrong(source));
    }
    for source in ["logs/{host}/{app}", "logs/{{", "50%/{host}", "<logs-{{now/d}}>"] {
        assert_eq!(wrong(source), None, "{source}");
    }
}
