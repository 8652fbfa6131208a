//! Settings that no output can be opened with.

use super::*;

#[test]
fn an_index_that_no_record_can_be_written_to_is_refused() {
    let open = |index: &str| {
        let mut settings = settings("http://es:9200", "");
        settings.index = Template::parse(index).unwrap();
        settings.check(&context_with(Encoding::default(), Framing::Messages)).map_err(|e| e.to_string())
    };
    let long = "x".repeat(255);
    let good = [
        "logs",
        ".logs",
        "logs-ä",
        "{app}-x",
        "{app|Other}",
        "logs-{@timestamp:%Y.%m}",
        "<a-{{now/d}}>",
        &long,
    ];
    for good in good {
        assert_eq!(open(good), Ok(()), "{good}");
    }
    let too_long = format!("{long}{{app}}");
    for (bad, why) in [
        ("Logs-{app}", "capital"),
        ("logs-{@timestamp}", "capital"),
        ("logs-{@timestamp:%b}", "capital"),
        ("_logs", "begin with"),
        ("-{app}", "begin with"),
        ("+x", "begin with"),
        ("..", "dots"),
        ("my logs", "no blank"),
        ("a/{b}", "`\\ /"),
        ("a\\b", "`\\ /"),
        ("a:b", "# :`"),
        ("logs-*", "`\\ /"),
        ("<a", "`\\ /"),
        (&too_long, "255"),
    ] {
        let said = open(bad).unwrap_err();
        assert!(said.starts_with("`index`") && said.contains(bad) && said.contains(why), "{bad}: {said}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_key() {
    let refused = |text: &str, encoding: Encoding| {
        let settings: ElasticsearchSettings = serde_json::from_str(text).unwrap();
        let cx = OutputContext { encoder: Encoder::new(encoding, Framing::Messages).unwrap(), ..context() };
        settings.check(&cx).unwrap_err().to_string()
    };
    for (text, key) in [
        (r#"{ "nodes": [], "index": "a" }"#, "`nodes`"),
        (r#"{ "nodes": "es:9200", "index": "a" }"#, "`nodes`"),
        (r#"{ "nodes": "http://ada:hunter2@es:9200", "index": "a" }"#, "`auth`"),
        (r#"{ "nodes": "http://es:9200/?a=b", "index": "a" }"#, "`nodes`"),
        (r#"{ "nodes": "http://es:9200", "index": "" }"#, "`index`"),
        (r#"{ "nodes": "http://es:9200", "index": "a", "id": "one" }"#, "`id`"),
        (r#"{ "nodes": "http://es:9200", "index": "a", "id": "{k}", "id_fields": ["k"] }"#, "`id_fields`"),
        (r#"{ "nodes": "http://es:9200", "index": "a", "id": "{k}", "auto_id": true }"#, "`auto_id`"),
        (r#"{ "nodes": "http://es:9200", "index": "a", "op": "index", "data_stream": true }"#, "`op`"),
        (r#"{ "nodes": "http://es:9200", "index": "a", "max_records": 0 }"#, "`max_records`"),
        (r#"{ "nodes": "http://es:9200", "index": "a", "tls": {} }"#, "`tls`"),
        (r#"{ "nodes": "https://es:9200", "index": "a", "tls": { "ca": "/no/such" } }"#, "`tls.ca`"),
        (
            r#"{ "nodes": "http://es:9200", "index": "a", "auth": { "basic": { "username": "a:b", "password": "c" } } }"#,
            "`auth.username`",
        ),
        (
            r#"{ "nodes": "http://es:9200", "index": "a", "auth": { "sigv4": { "region": "r", "access_key_id": "c" } } }"#,
            "`auth.access_key_id`",
        ),
    ] {
        let said = refused(text, Encoding::default());
        assert!(said.contains(key) && !said.contains("hunter2"), "{text}: {said}");
    }
    let timeless = Encoding { timestamp: serde_json::from_str("false").unwrap(), ..Encoding::default() };
    let said = refused(r#"{ "nodes": "http://es:9200", "index": "a", "data_stream": true }"#, timeless);
    assert!(said.contains("`encoding`"), "{said}");
}
