//! Pages of the documentation that are written from what they are about: `docs/sources.md` and `docs/outputs.md` say what each
//! type promises, by the table of the guarantees, and on which real part that was tried, and `docs/metrics.md` what is measured.

use super::kinds::{SECTIONS, read};
use super::*;
use flitch_core::telemetry::Metric;

/// A type: what its tests run against, the file of those tests, and the shortest configuration of it.
struct Page {
    name: &'static str,
    against: &'static str,
    tests: &'static str,
    example: &'static str,
}

const SOURCES: [Page; 6] = [
    Page {
        name: "file",
        against: "real files; nginx and logrotate, which rotate and cut them",
        tests: "file.rs",
        example: "{ type: file, include: [/var/log/nginx/access.log] }",
    },
    Page {
        name: "forward",
        against: "a Docker daemon, and the fluent-logger libraries for Python and JavaScript",
        tests: "forward.rs",
        example: "{ type: forward, listen: \"0.0.0.0:24224\" }",
    },
    Page {
        name: "http",
        against: "curl's requests and recorded ones of other clients, and the exporter of OpenTelemetry's SDK for Python",
        tests: "http.rs",
        example: "{ type: http, listen: 8080 }",
    },
    Page {
        name: "kafka",
        against: "Apache Kafka in KRaft mode, with TLS and SASL; hosts that join, leave and are killed",
        tests: "kafka_source.rs",
        example: "{ type: kafka, brokers: \"localhost:9092\", topics: logs, group: edge }",
    },
    Page {
        name: "event_hubs",
        against: "Apache Kafka with the user, the TLS and the limits of Event Hubs, for which there is no part to be had",
        tests: "event_hubs.rs",
        example: "{ type: event_hubs, connection_string: \"${EVENT_HUBS}\", hub: clicks, group: readers }",
    },
    Page {
        name: "generator",
        against: "nothing: it makes records",
        tests: "demo.rs",
        example: "{ type: generator, format: nginx }",
    },
];

const OUTPUTS: [Page; 14] = [
    Page {
        name: "kafka",
        against: "Apache Kafka in KRaft mode, one node and three, with TLS and SASL; leaders that move and die",
        tests: "brokers.rs",
        example: "{ type: kafka, brokers: \"localhost:9092\", topic: \"logs.{@tag}\" }",
    },
    Page {
        name: "event_hubs",
        against: "Apache Kafka with the user, the TLS and the limits of Event Hubs, for which there is no part to be had, behind a proxy \
                  that cuts what rests, and with a quota",
        tests: "event_hubs.rs",
        example: "{ type: event_hubs, connection_string: \"${EVENT_HUBS}\", hub: clicks }",
    },
    Page {
        name: "s3",
        against: "versitygw, an S3 server, and moto for missing rights; Parquet files are read by pyarrow and DuckDB",
        tests: "s3.rs",
        example: "{ type: s3, bucket: logs, region: eu-central-1 }",
    },
    Page {
        name: "azure_blob",
        against: "Azurite, Microsoft's emulator",
        tests: "azure_blob.rs",
        example: "{ type: azure_blob, container: logs, connection_string: \"${AZURE_STORAGE}\" }",
    },
    Page {
        name: "gcs",
        against: "fake-gcs-server, which keeps objects and judges preconditions, behind a front that speaks the XML API and judges \
                  tokens",
        tests: "gcs.rs",
        example: "{ type: gcs, bucket: logs }",
    },
    Page {
        name: "adx",
        against: "a stand-in for the service that Microsoft's own client for Python has judged, over Azurite's blobs and queues",
        tests: "adx.rs",
        example: "{ type: adx, cluster: \"https://logs.westeurope.kusto.windows.net\", auth: { type: managed_identity }, \
                  database: logs, table: web, mapping: web }",
    },
    Page {
        name: "elasticsearch",
        against: "OpenSearch",
        tests: "opensearch.rs",
        example: "{ type: elasticsearch, nodes: \"https://es-1.example.com:9200\", index: \"logs-{@timestamp:%Y.%m.%d}\" }",
    },
    Page {
        name: "opensearch",
        against: "OpenSearch",
        tests: "opensearch.rs",
        example: "{ type: opensearch, nodes: \"https://os-1.example.com:9200\", index: \"logs-{@timestamp:%Y.%m.%d}\" }",
    },
    Page {
        name: "http",
        against: "HTTP servers of the tests' own, one with TLS",
        tests: "http_output.rs",
        example: "{ type: http, url: \"https://logs.example.com/in\" }",
    },
    Page {
        name: "forward",
        against: "the FluentServer of @fluent-org/logger, and a second flitch",
        tests: "forward_output.rs",
        example: "{ type: forward, servers: [\"aggregator:24224\"] }",
    },
    Page {
        name: "webhdfs",
        against: "Apache Hadoop, a NameNode and a DataNode",
        tests: "webhdfs.rs",
        example: "{ type: webhdfs, endpoints: \"http://namenode:9870\", root: /logs }",
    },
    Page {
        name: "file",
        against: "real files, and disks that fail",
        tests: "outputs.rs",
        example: "{ type: file, path: \"/srv/logs/{@tag}.ndjson\" }",
    },
    Page { name: "stdout", against: "real pipes", tests: "demo.rs", example: "{ type: stdout }" },
    Page {
        name: "blackhole",
        against: "nothing: it keeps nothing",
        tests: "attacks.rs",
        example: "{ type: blackhole }",
    },
];

/// The cells of a row of a table.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect()
}

/// The page of a section.
fn page(section: &str, title: &str, types: &[&str], pages: &[Page]) -> String {
    let (guarantees, reference) = (read("docs/guarantees.md"), read("docs/config.md"));
    let (_, table) = guarantees.split_once(&format!("\n## {title}\n")).expect(title);
    let mut rows = table.lines().filter(|line| line.starts_with('|'));
    let heads = cells(rows.next().expect("a table"));
    let rows: Vec<&str> = table.split("\n## ").next().unwrap_or_default().lines().collect();
    let mut text = format!(
        "# {title}\n\nWhat each type promises, and against what its tests run. All keys are in [config.md](config.md#{section}), \
         and what holds for all of them in [guarantees.md](guarantees.md).\n"
    );
    for name in types {
        let page = pages.iter().find(|page| page.name == *name);
        let page = page.unwrap_or_else(|| panic!("host/src/config/tests/pages.rs says nothing of `{name}`"));
        assert!(
            repository().join("tests/e2e").join(page.tests).is_file(),
            "{name}: there is no {}",
            page.tests
        );
        let (_, about) = reference.split_once(&format!("\n### {section}: `type: {name}`\n\n")).expect(name);
        let about = about.split("\n\n").next().unwrap_or_default();
        text += &format!("\n## `{name}`\n\n{about}\n\n```yaml\n{section}:\n  name: {}\n```\n", page.example);
        for row in rows.iter().filter(|row| row.starts_with(&format!("| `{name}`"))) {
            let cells = cells(row);
            text += &format!("\n**{}**\n\n", cells[0]);
            for (head, cell) in heads.iter().zip(&cells).skip(1) {
                text += &format!("- {}: {cell}\n", upper(head));
            }
        }
        text += &format!(
            "\nTried against {} ([tests/e2e/{}](../tests/e2e/{})).\n",
            page.against, page.tests, page.tests
        );
    }
    text
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[test]
fn the_pages_of_sources_and_outputs_say_what_the_guarantees_say() {
    for ((section, title, types), pages) in SECTIONS.into_iter().zip([&SOURCES[..], &OUTPUTS[..]]) {
        let path = repository().join(format!("docs/{section}.md"));
        expect(
            &path,
            &page(section, title, types, pages),
            "FLITCH_BLESS=1 cargo test -p flitch --lib config::tests",
        );
    }
}

/// The list of all metrics.
fn metrics() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         <!-- Written from the doc comments in host/core/src/telemetry/names.rs by `FLITCH_BLESS=1 cargo test -p flitch --lib \
         config::tests`; do not edit. -->\n\n\
         The admin listener shows them at `/metrics` in the text format of Prometheus: `curl http://127.0.0.1:9598/metrics` \
         ([`admin`](config.md#admin)). They begin anew with the process. Labels name the part (`source`, `output`, `filter`, \
         `table`, …); a gauge of a part goes with it. A histogram is three series, `…_bucket`, `…_sum` and `…_count`. What the \
         counts of records add up to is in [guarantees.md](guarantees.md#accounts).\n\n\
         Worth an alert: `flitch_part_failures_total` and `flitch_records_dead_lettered_total` where they grow, \
         `flitch_dead_letters_deleted_total` above 0 (records are lost then), `flitch_dead_letters_failing`, \
         `flitch_buffer_failing` and `flitch_breaker_open` where they stay 1, and `flitch_buffer_bytes` near the `max_bytes` of \
         the buffer. `/readyz` and `/api/status` say the reason.\n\n\
         | metric | kind | what it says |\n|---|---|---|\n",
    );
    for metric in Metric::ALL {
        let kind = format!("{:?}", metric.kind()).to_lowercase();
        text += &format!("| `{}` | {kind} | {} |\n", metric.name(), metric.help());
    }
    text
}

#[test]
fn the_page_of_metrics_says_what_the_listener_says_of_each() {
    let path = repository().join("docs/metrics.md");
    expect(&path, &metrics(), "FLITCH_BLESS=1 cargo test -p flitch --lib config::tests");
    let all = metrics();
    let named: Vec<&str> = all.split('`').filter(|word| word.starts_with("flitch_")).collect();
    let is_one = |name: &&&str| Metric::ALL.iter().any(|metric| metric.name() == **name);
    assert_eq!(named.iter().find(|name| !is_one(name)), None);
}
