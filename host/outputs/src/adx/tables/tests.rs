use arrow_array::{ArrayRef, StringArray};

use super::*;
use flitch_core::batch::Kind;

const LIMITS: Limits =
    Limits { queued: (100, Duration::from_secs(30)), streamed: (1, Duration::from_secs(1)) };

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn records(tags: &[&str], names: &[Option<&str>]) -> Records {
    let column = |name: &str, array: StringArray| -> (_, ArrayRef) {
        (Arc::new(Kind::Text.field(name)), Arc::new(array))
    };
    let columns = vec![
        column("@tag", StringArray::from(tags.to_vec())),
        column("k", StringArray::from(names.to_vec())),
    ];
    Records::of(tags.len(), columns, vec![]).unwrap()
}

fn keys(routes: &Routes, records: &Records) -> Vec<Option<String>> {
    let keys = routes.keys(records);
    let text = |row| Some(String::from_utf8(keys.row(row)?.to_vec()).unwrap().replace(BETWEEN, "|"));
    (0..records.rows()).map(text).collect()
}

#[test]
fn each_record_goes_where_the_entry_of_its_tag_says_and_nowhere_without_one() {
    let (logs, a, b) = (template("logs"), template("a"), template("b_{k}"));
    let entry = |tag, table, mode| Entry {
        path: "tables[0].".to_owned(),
        tag: Some(tag),
        database: &logs,
        table,
        mapping: Some("m"),
        mode,
    };
    let entries = [entry("x", &a, Mode::Queued), entry("y", &b, Mode::Auto)];
    let routes = Routes::new(&entries, LIMITS).unwrap();
    let found = keys(
        &routes,
        &records(&["x", "y", "z", "y", "x"], &[Some("1"), Some("2"), Some("3"), Some("a/b"), None]),
    );
    let key = |text: &str| Some(text.to_owned());
    assert_eq!(found, [key("0|logs|a|_"), key("1|logs|b_2|_"), None, None, key("0|logs|a|_")]);
    assert_eq!(keys(&routes, &records(&["z", "z"], &[None, None])), [None, None]);
    assert_eq!(routes.limits("1\u{1f}logs\u{1f}b\u{1f}_".as_bytes()), LIMITS.streamed);
    assert_eq!(routes.limits("0\u{1f}logs\u{1f}a\u{1f}_".as_bytes()), LIMITS.queued);
    let place = routes.place("1\u{1f}logs\u{1f}b_2\u{1f}0123.json.gz").unwrap();
    let expected =
        Place { database: "logs", table: "b_2", mapping: Some("m"), mode: Mode::Auto, content: "0123" };
    assert_eq!(place, expected);

    let any = [entry("x", &a, Mode::Queued), entry("*", &b, Mode::Queued)];
    let routes = Routes::new(&any, LIMITS).unwrap();
    let found = keys(&routes, &records(&["x", "z"], &[Some("1"), Some("2")]));
    assert_eq!(found, [key("0|logs|a|_"), key("1|logs|b_2|_")]);

    let twice = [entry("x", &a, Mode::Queued), entry("x", &b, Mode::Queued)];
    assert!(Routes::new(&twice, LIMITS).unwrap_err().to_string().contains("tables[0].tag"));
}

#[test]
fn what_becomes_of_a_name_does_not_depend_on_other_rows() {
    let (logs, table) = (template("logs"), template("{k}"));
    let entry = Entry {
        path: String::new(),
        tag: None,
        database: &logs,
        table: &table,
        mapping: None,
        mode: Mode::Queued,
    };
    let routes = Routes::new(&[entry], LIMITS).unwrap();
    for bad in
        [None, Some(""), Some("."), Some(".."), Some("a b"), Some("a\u{1f}b"), Some("a\u{1f}_"), Some("ä")]
    {
        assert_eq!(keys(&routes, &records(&["t"], &[bad])), [None], "{bad:?}");
        let found = keys(&routes, &records(&["t", "t", "t"], &[Some("a"), bad, Some("b-1.c")]));
        assert_eq!(
            found,
            [Some("0|logs|a|_".to_owned()), None, Some("0|logs|b-1.c|_".to_owned())],
            "{bad:?}"
        );
    }
    for spaced in ["my table", "my {k}"] {
        let spaced = template(spaced);
        let entry = Entry {
            path: String::new(),
            tag: None,
            database: &spaced,
            table: &table,
            mapping: None,
            mode: Mode::Queued,
        };
        assert!(Routes::new(&[entry], LIMITS).unwrap_err().to_string().contains("`database`"));
    }
}
