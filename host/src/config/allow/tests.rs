use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::super::{schema, sent};
use super::*;

fn allow() -> AllowSettings {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    AllowSettings {
        read: vec!["/var/log".into(), "/etc/flitch/tls".into()],
        write: vec!["/var/spool/flitch".into()],
        hosts: texts(&[
            "kafka.example.com",
            "*.corp.example.com:9200",
            "10.0.0.7",
            "good.blob.core.windows.net",
            "good.queue.core.windows.net",
        ]),
        env: texts(&["FLEET_*", "HOME"]),
        sources: None,
        outputs: Some(texts(&[
            "kafka",
            "file",
            "http",
            "elasticsearch",
            "s3",
            "event_hubs",
            "blackhole",
            "forward",
            "azure_blob",
        ])),
    }
}

/// What is said of a configuration with these sources, outputs and filters.
fn said(source: &str, output: &str, filter: &str) -> String {
    let own = "manage: { opamp: { endpoint: \"ws://fleet\" } }\n";
    let outside = super::super::interpolate::Outside { variable: &|_| None, folder: Path::new("/") };
    let mut own = super::super::parse("flitch.yaml", own, &outside).unwrap().config;
    own.manage.allow = allow();
    let text = format!(
        "sources: {{ in: {source} }}\noutputs: {{ out: {output} }}\nfilters: {{ f: {filter} }}\n\
         pipelines: {{ main: {{ from: [in], filters: [f], to: [out] }} }}\n"
    );
    sent(&text, &own, Path::new("/etc/flitch")).err().map_or_else(String::new, |error| error.to_string())
}

const SOURCE: &str = "{ type: file, include: [/var/log/nginx/*.log] }";
const OUTPUT: &str = "{ type: kafka, brokers: [\"kafka.example.com:9092\"], topic: logs }";
const FILTER: &str = "{ plugin: dissect, settings: { preset: nginx_combined } }";

#[test]
fn what_is_allowed_goes_through() {
    assert_eq!(said(SOURCE, OUTPUT, FILTER), "");
    for output in [
        "{ type: file, path: \"/var/spool/flitch/{@tag}/out.ndjson\" }",
        "{ type: elasticsearch, nodes: [\"https://a.corp.example.com:9200\"], index: logs }",
        "{ type: http, url: \"http://10.0.0.7/in\" }",
        "{ type: blackhole }",
        "{ type: forward, servers: [\"10.0.0.7:24224\", { address: \"kafka.example.com:24224\" }] }",
        "{ type: kafka, brokers: [kafka.example.com], topic: logs, tls: { ca: /etc/flitch/tls/ca.pem } }",
    ] {
        assert_eq!(said(SOURCE, output, FILTER), "", "{output}");
    }
    let filter = "{ plugin: /var/log/mine.wasm, allow: { read: [/var/log/geo], env: [FLEET_A, HOME] } }";
    assert_eq!(said(SOURCE, OUTPUT, filter), "");
}

#[test]
fn what_is_not_allowed_is_told_with_its_place_and_the_setting_that_would_allow_it() {
    let cases = [
        ("{ type: file, include: [/etc/*] }", OUTPUT, FILTER, "1:", "allow.read"),
        ("{ type: file, include: [/var/log/../../etc/shadow] }", OUTPUT, FILTER, "1:", "`..`"),
        ("{ type: file, include: [\"/var/{log,lib}/x\"] }", OUTPUT, FILTER, "1:", "allow.read"),
        ("{ type: file, include: [log/*] }", OUTPUT, FILTER, "1:", "whole paths"),
        ("{ type: file, include: [/var/logs/x] }", OUTPUT, FILTER, "1:", "allow.read"),
        ("{ type: forward, listen: \"unix:///etc/x.sock\" }", OUTPUT, FILTER, "1:", "allow.write"),
        (SOURCE, "{ type: file, path: /etc/cron.d/x }", FILTER, "2:", "allow.write"),
        (SOURCE, "{ type: file, path: \"/var/spool/flitch{@tag}\" }", FILTER, "2:", "allow.write"),
        ("{ type: file, include: [\"/var/log/*/../../../etc/shadow\"] }", OUTPUT, FILTER, "1:", "`..`"),
        ("{ type: file, include: [\"/var/log\\\\/../etc/*\"] }", OUTPUT, FILTER, "1:", "`..`"),
        (
            SOURCE,
            "{ type: file, path: \"/var/spool/flitch/{@tag}/../../x\" }",
            FILTER,
            "2:",
            "which a server may not use",
        ),
        // A brace and a star are nothing but themselves in what is no template and no pattern.
        (
            SOURCE,
            "{ type: kafka, brokers: [kafka.example.com], topic: x, buffer: { type: disk, path: \"/var/spool/flitch/{/../../x\" } }",
            FILTER,
            "2:",
            "which a server may not use",
        ),
        (
            SOURCE,
            "{ type: kafka, brokers: [kafka.example.com], topic: x, tls: { ca: \"/var/log/*/../../../etc/shadow\" } }",
            FILTER,
            "2:",
            "which a server may not use",
        ),
        (
            SOURCE,
            OUTPUT,
            "{ plugin: dissect, allow: { read: [\"/var/log/[/../..\"] } }",
            "3:",
            "which a server may not use",
        ),
        (
            SOURCE,
            "{ type: elasticsearch, nodes: [\"https://evil.com a.corp.example.com:9200\"], index: x }",
            FILTER,
            "2:",
            "allow.hosts",
        ),
        (
            SOURCE,
            "{ type: elasticsearch, nodes: [\"https://evil.com%2f.corp.example.com:9200\"], index: x }",
            FILTER,
            "2:",
            "allow.hosts",
        ),
        (SOURCE, "{ type: stdout }", FILTER, "2:", "allow.outputs"),
        (SOURCE, "{ type: http, url: \"http://evil.example.com/\" }", FILTER, "2:", "`evil.example.com`"),
        (
            SOURCE,
            "{ type: http, url: \"http://10.0.0.7@evil.example.com/\" }",
            FILTER,
            "2:",
            "`evil.example.com`",
        ),
        (SOURCE, "{ type: http, url: \"http://evil.example.com#@10.0.0.7/\" }", FILTER, "2:", ""),
        (SOURCE, "{ type: http, url: \"http:evil.example.com/://10.0.0.7/\" }", FILTER, "2:", "allow.hosts"),
        (SOURCE, "{ type: forward, servers: [\"evil:24224\"] }", FILTER, "2:", "`evil`"),
        (SOURCE, "{ type: forward, servers: [{ address: \"evil:24224\" }] }", FILTER, "2:", "`evil`"),
        (SOURCE, "{ type: forward, servers: [\"10.0.0.7:1\", 24224] }", FILTER, "2:", "allow.hosts"),
        (
            SOURCE,
            "{ type: http, url: \"http://evil.example.com\\\\@10.0.0.7/\" }",
            FILTER,
            "2:",
            "evil.example.com",
        ),
        (
            SOURCE,
            "{ type: elasticsearch, nodes: [\"https://a.corp.example.com\"], index: x }",
            FILTER,
            "2:",
            "allow.hosts",
        ),
        (
            SOURCE,
            "{ type: elasticsearch, nodes: [\"https://xcorp.example.com:9200\"], index: x }",
            FILTER,
            "2:",
            "allow.hosts",
        ),
        (
            SOURCE,
            "{ type: kafka, brokers: [\"kafka.example.com,evil:1\"], topic: x }",
            FILTER,
            "2:",
            "`evil`",
        ),
        (
            SOURCE,
            "{ type: kafka, brokers: [kafka.example.com], topic: x, options: { debug: all } }",
            FILTER,
            "2:",
            "options",
        ),
        (
            SOURCE,
            "{ type: kafka, brokers: [kafka.example.com], topic: x, buffer: { type: disk, path: /etc/x } }",
            FILTER,
            "2:",
            "allow.write",
        ),
        (
            SOURCE,
            "{ type: kafka, brokers: [kafka.example.com], topic: x, tls: { ca: /etc/shadow } }",
            FILTER,
            "2:",
            "allow.read",
        ),
        (SOURCE, "{ type: s3, bucket: logs, region: eu-central-1 }", FILTER, "2:", "s3.amazonaws.com"),
        (
            SOURCE,
            "{ type: event_hubs, namespace: mine, hub: x, connection_string: \"Endpoint=sb://evil.servicebus.windows.net/;SharedAccessKeyName=a;SharedAccessKey=b\" }",
            FILTER,
            "2:",
            "allow.hosts",
        ),
        (
            SOURCE,
            "{ type: s3, bucket: logs, region: \"evil.example.com/?\", endpoint: \"http://10.0.0.7\" }",
            FILTER,
            "2:",
            "part of a host",
        ),
        (SOURCE, OUTPUT, "{ plugin: \"oci-layout:/opt/plugins:1\" }", "3:", "`/opt/plugins` is not below"),
        (SOURCE, OUTPUT, "{ plugin: \"oci://evil.example.com/team/parse:1\" }", "3:", "`evil.example.com`"),
        (SOURCE, OUTPUT, "{ plugin: /opt/evil.wasm }", "3:", "allow.read"),
        (SOURCE, OUTPUT, "{ plugin: dissect, shadow: { plugin: /opt/evil.wasm } }", "3:", "allow.read"),
        (SOURCE, OUTPUT, "{ plugin: dissect, allow: { read: [/] } }", "3:", "allow.read"),
        (SOURCE, OUTPUT, "{ plugin: dissect, allow: { env: [AWS_SECRET_ACCESS_KEY] } }", "3:", "allow.env"),
        (SOURCE, "{ type: http, url: \"http://10.0.0.7/${file:/etc/shadow}\" }", FILTER, "2:", "allow.read"),
        (
            SOURCE,
            "{ type: http, url: \"http://10.0.0.7/${base64:/etc/shadow}\" }",
            FILTER,
            "2:",
            "allow.read",
        ),
        (SOURCE, "{ type: http, url: \"http://10.0.0.7/${file:../x}\" }", FILTER, "2:", "`..`"),
        (
            SOURCE,
            "{ type: http, url: \"http://10.0.0.7/${AWS_SECRET_ACCESS_KEY:-x}\" }",
            FILTER,
            "2:",
            "allow.env",
        ),
    ];
    for (source, output, filter, place, wanted) in cases {
        let said = said(source, output, filter);
        assert!(
            said.contains(&format!("the server's configuration:{place}")),
            "{source} {output} {filter}: {said}"
        );
        assert!(said.contains(wanted), "{source} {output} {filter}: {said}");
    }
}

#[test]
fn a_link_out_of_a_folder_leads_out_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("in");
    std::fs::create_dir(&inside).unwrap();
    std::os::unix::fs::symlink("/etc", inside.join("link")).unwrap();
    let folders = [inside.clone()];
    assert!(below(&inside.join("new/file"), &folders, "read", "read").is_ok());
    assert!(below(&inside, &folders, "read", "read").is_ok());
    assert!(below(&inside.join("link/passwd"), &folders, "read", "read").is_err());
    assert!(below(&folder.path().join("inside"), &folders, "read", "read").is_err());
    // What is no pattern is taken as it stands.
    std::os::unix::fs::symlink("/etc", inside.join("a*")).unwrap();
    assert!(below(&inside.join("a*/passwd"), &folders, "read", "read").is_err());
}

#[test]
fn a_host_is_the_same_however_it_is_written() {
    let cases = [
        ("https://User:pw@Kafka.Example.com:9092/path?x=@y", ("kafka.example.com", Some(9092))),
        ("kafka.example.com.", ("kafka.example.com", None)),
        ("[::1]:9092", ("::1", Some(9092))),
        ("::1", ("::1", None)),
        ("sb://a.b/", ("a.b", None)),
    ];
    for (text, (name, port)) in cases {
        assert_eq!(host(text), Some((name.to_owned(), port)), "{text}");
    }
}

#[test]
fn a_text_is_of_no_allowed_host_if_who_connects_may_read_another_one_in_it() {
    let allowed = AllowSettings { hosts: vec!["good.example".to_owned()], ..AllowSettings::default() };
    for text in ["good.example", "good.example:9092", "https://good.example/x://evil.example?a=b@c"] {
        assert_eq!(is_host_allowed(text, &allowed), Ok(()), "{text}");
    }
    for text in [
        "https:evil.example/://good.example",
        "https:/evil.example/x://good.example",
        "https:\\evil.example\\://good.example/",
        "https:\t//evil.example/?://good.example",
        "https:\n//evil.example#://good.example",
        "https:///evil.example/://good.example",
        "good.example/ evil.example",
        "good.example?.evil.example:9092",
        "good.example#.evil.example:9092",
        "evil.example/@good.example",
        "https://evil.example\t@good.example\n.evil.example",
    ] {
        is_host_allowed(text, &allowed).unwrap_err();
        // What is held here to be a URL of another host is one, where it is any.
        let host = reqwest::Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
        assert_ne!(host.as_deref(), Some("good.example"), "{text}");
    }
}

#[test]
fn what_a_connection_string_and_other_settings_name_together_is_judged_as_it_is_connected_to() {
    let blobs = |account: &str, string: &str| {
        let output =
            format!("{{ type: azure_blob, container: logs{account}, connection_string: \"{string}\" }}");
        said(SOURCE, &output, FILTER)
    };
    let good = "AccountName=good;AccountKey=YQ==;EndpointSuffix=core.windows.net";
    assert_eq!(blobs("", good), "");
    assert_eq!(
        blobs(", account: good", "AccountKey=YQ==;BlobEndpoint=https://good.blob.core.windows.net"),
        ""
    );
    for (account, more) in [
        ("", "AccountName=good;EndpointSuffix=core.windows.net;EndpointSuffix=evil.example"),
        (
            "",
            "AccountName=good;DefaultEndpointsProtocol=https://evil.example/x;EndpointSuffix=core.windows.net",
        ),
        (", account: good", "QueueEndpoint=https://good.queue.core.windows.net;EndpointSuffix=evil.example"),
        (", account: good", "BlobEndpoint=https:evil.example/://good.blob.core.windows.net"),
    ] {
        let said = blobs(account, &format!("AccountKey=YQ==;{more}"));
        assert!(said.contains("the server's configuration:2:"), "{more}: {said}");
        assert!(said.contains("allow.hosts") && !said.contains("YQ=="), "{more}: {said}");
    }
}

/// Keys with a text under them that reaches nothing of this machine or of others.
const HARMLESS: &[&str] = &[
    "access_key_id",
    "account_key",
    "api_key",
    "basic",
    "bearer",
    "bearer_token",
    "by",
    "charset",
    "client_id",
    "client_secret",
    "columns",
    "continue",
    "database",
    "db",
    "delegation_token",
    "except",
    "exclude",
    "field",
    "file_field",
    "format",
    "group",
    "headers",
    "host_field",
    "hub",
    "id",
    "id_fields",
    "index",
    "key",
    "key_password",
    "mapping",
    "message_field",
    "metadata_field",
    "offset",
    "offset_field",
    "only",
    "partition",
    "password",
    "permission",
    "pipeline",
    "profile",
    "rename",
    "request_headers",
    "root",
    "routing",
    "sas_token",
    "secret_access_key",
    "self_hostname",
    "service",
    "session_token",
    "shared_key",
    "ssekms_key_id",
    "start",
    "storage_class",
    "table",
    "tag",
    "tag_prefix",
    "tags",
    "tenant_id",
    "time",
    "timestamp",
    "topic",
    "topics",
    "unix_mode",
    "username",
    "users",
];

#[test]
fn every_key_with_a_text_is_known_to_reach_something_or_nothing() {
    let root = schema::plain();
    let mut unknown = BTreeSet::new();
    for section in ["sources", "filters", "outputs", "tables"] {
        let values = &root["properties"][section]["additionalProperties"];
        gather(&root, values, section, &mut Vec::new(), &mut unknown);
    }
    assert!(unknown.is_empty(), "say in `reach` where these lead, or that they are harmless: {unknown:?}");
}

fn gather(root: &Json, node: &Json, section: &str, way: &mut Vec<String>, unknown: &mut BTreeSet<String>) {
    if way.len() > 6 {
        return;
    }
    if let Some(path) = node.get("$ref").and_then(Json::as_str) {
        // Of a size and a time too, and of nothing else for the form that it has: an address has one.
        if ["#/$defs/Bytes", "#/$defs/Span"].contains(&path) {
            return;
        }
        return gather(root, root.pointer(&path[1..]).unwrap(), section, way, unknown);
    }
    for forms in ["oneOf", "anyOf", "allOf"] {
        for form in node.get(forms).and_then(Json::as_array).into_iter().flatten() {
            gather(root, form, section, way, unknown);
        }
    }
    for (key, property) in node.get("properties").and_then(Json::as_object).into_iter().flatten() {
        way.push(key.clone());
        gather(root, property, section, way, unknown);
        way.pop();
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = node.get(inner).filter(|inner| inner.is_object()) {
            gather(root, inner, section, way, unknown);
        }
    }
    let is_text = node.get("type").is_some_and(|kind| {
        kind == "string" || kind.as_array().is_some_and(|all| all.contains(&"string".into()))
    });
    // Of one word among some it is known what it is.
    let is_free = is_text && ["enum", "const"].iter().all(|key| node.get(*key).is_none());
    let Some(last) = way.last().filter(|_| is_free) else { return };
    let keys: Vec<&str> = way.iter().map(String::as_str).collect();
    if reach(section, &keys) == Reach::Nothing && !HARMLESS.contains(&last.as_str()) {
        unknown.insert(format!("{section}: {}", keys.join(".")));
    }
}
