//! The exporters of OpenTelemetry's own SDK.

use std::process::Command;

use flitch_tests::flitch::Flitch;
use flitch_tests::{cache, ports, process};
use serde_json::Value;

use crate::support::*;

/// Logs by the standard library's `logging`, through the SDK and its exporter; ends when all is exported.
const SCRIPT: &str = r"
import logging, sys
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
port, compression, headers = sys.argv[1], sys.argv[2], dict([sys.argv[3].split('=', 1)])
exporter = OTLPLogExporter(endpoint=f'http://127.0.0.1:{port}/v1/logs', compression=Compression(compression), headers=headers)
provider = LoggerProvider(resource=Resource.create({'service.name': 'shop', 'deployment.environment': 'test'}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=100))
log = logging.getLogger('shop.orders')
log.addHandler(LoggingHandler(logger_provider=provider))
log.setLevel(logging.INFO)
for n in range(int(sys.argv[4]), int(sys.argv[5])):
    log.warning('n=%07d', n, extra={'order': n, 'tags': ['a', 'b'], 'price': 2.5})
provider.shutdown()
";

fn export(port: u16, compression: &str, header: &str, from: usize, to: usize) {
    let mut python = Command::new("python3");
    python.arg("-c").arg(SCRIPT).args([
        &port.to_string(),
        compression,
        header,
        &from.to_string(),
        &to.to_string(),
    ]);
    process::run(python.env("PYTHONPATH", cache().join("otlp-py"))).unwrap();
}

#[test]
fn what_the_sdk_of_python_exports_arrives_with_the_names_of_the_data_model() {
    let port = ports::free();
    let source = format!("{{ type: http, listen: \"127.0.0.1:{port}\", auth: {{ bearer: [t0ken] }} }}");
    let mut flitch =
        Flitch::start(FLITCH, &pipeline(&source, &[], "out: { type: file, path: \"{dir}/all.ndjson\" }"));
    export(port, "gzip", "authorization=Bearer t0ken", 0, 1500);
    export(port, "none", "authorization=Bearer t0ken", 1500, 2000);
    let sums = flitch.settled(DEADLINE);
    assert_eq!((sums.received, sums.delivered), (2000, 2000), "{sums}");
    let text = std::fs::read_to_string(flitch.at("all.ndjson")).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut numbers: Vec<u64> =
        records.iter().map(|record| record["attributes"]["order"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..2000));
    for record in &records {
        let order = record["attributes"]["order"].as_u64().unwrap();
        assert_eq!(record["body"], format!("n={order:07}"));
        assert_eq!((&record["severity_text"], &record["severity_number"]), (&"WARN".into(), &13.into()));
        assert_eq!(record["attributes"]["tags"], serde_json::json!(["a", "b"]));
        assert_eq!(record["attributes"]["price"], 2.5);
        assert_eq!(record["resource"]["attributes"]["service.name"], "shop");
        assert_eq!(record["resource"]["attributes"]["deployment.environment"], "test");
        assert_eq!(record["scope"]["name"], "shop.orders");
        assert!(record["@timestamp"].as_str() > Some("2020"), "{record}");
        assert_eq!(record["@tag"], "in");
    }
    assert!(flitch.terminate(DEADLINE).success(), "{}", flitch.log());
}
