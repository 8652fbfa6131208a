//! The names that other collectors have for what is called otherwise here: Vector, Fluent Bit and Fluentd, Logstash and
//! Filebeat, the OpenTelemetry Collector, Telegraf. Who comes from one of them is told the name here, or where the thing went.

/// Names elsewhere, and those here that mean the same: where several are given, what is known at the place decides. All are
/// written as [`plain`] writes them.
const NAMES: &[(&[&str], &[&str])] = &[
    // The file as a whole, and pipelines.
    (&["inputs", "input", "receivers", "source", "sources", "filebeat_inputs"], &["sources", "from"]),
    (&["transforms", "transform", "processors", "processor"], &["filters"]),
    (&["sinks", "sink", "exporters", "exporter", "output", "outputs", "match"], &["outputs", "to"]),
    (&["service"], &["pipelines"]),
    (&["enrichment_tables"], &["tables"]),
    (&["api", "telemetry", "metrics", "http_server"], &["admin"]),
    (&["path_data", "storage_path"], &["data_dir"]),
    (&["type", "name"], &["plugin"]),
    (&["options", "config", "params"], &["settings"]),
    (&["condition", "if", "where"], &["when"]),
    // Files.
    (&["path", "paths", "file", "files", "filename", "filenames"], &["include", "path"]),
    (&["exclude_path", "exclude_paths", "exclude_files"], &["exclude"]),
    (&["start_at", "start_position", "read_from_head", "from_beginning"], &["read_from"]),
    (&["ignore_older_secs", "exclude_older_than"], &["ignore_older"]),
    (&["encoding", "from_encoding", "character_encoding"], &["charset"]),
    (&["max_line_bytes", "max_log_size", "message_max_bytes", "buffer_max_size"], &["max_line"]),
    (&["harvester_limit", "max_concurrent_files"], &["max_open_files"]),
    (&["path_key", "file_key", "include_file_path", "include_file_name"], &["file_field"]),
    (&["host_key", "hostname_key"], &["host_field"]),
    (&["offset_key", "include_file_record_offset"], &["offset_field"]),
    (&["key", "log_key", "message_key", "raw_log_key"], &["message_field"]),
    (&["refresh_interval", "glob_minimum_cooldown_ms", "discover_interval"], &["scan_interval"]),
    (&["codec", "format", "decoding", "encoding", "data_format"], &["codec", "encoding", "format"]),
    // Lines that belong together.
    (&["pattern", "start_pattern", "start_state", "format_firstline", "line_start_pattern"], &["start"]),
    (&["starts_when"], &["start"]),
    (&["flush_timeout", "flush_interval", "flush_ms", "timeout_ms", "expire_after_ms"], &["timeout"]),
    (&["group_by", "stream_identity_key"], &["by"]),
    (&["parser"], &["preset"]),
    (&["multiline_parser"], &["preset", "multiline"]),
    // Listeners.
    (&["port", "bind", "host", "address", "endpoint", "unix_path", "service_address"], &["listen"]),
    (&["unix_perm", "socket_file_mode"], &["unix_mode"]),
    (&["buffer_max_size", "chunk_size_limit"], &["max_message", "max_body"]),
    // Servers, and who asks them.
    (&["bootstrap_servers", "metadata_broker_list", "hosts", "host", "endpoint"], &["brokers"]),
    (&["hosts", "host", "endpoints", "endpoint", "urls", "url", "node"], &["nodes"]),
    (&["hosts", "host", "endpoint", "address", "server", "upstream"], &["servers"]),
    (&["uri", "urls", "endpoint", "endpoints", "host", "hosts"], &["url", "cluster", "endpoints"]),
    (&["username", "user", "http_user", "password", "http_passwd", "api_key", "token"], &["auth"]),
    (&["shared_key"], &["security"]),
    (&["headers", "header"], &["request_headers"]),
    (&["ca_file", "ca_path", "certificate_authorities"], &["ca", "client_ca"]),
    (&["crt_file", "cert_file", "certificate"], &["cert"]),
    (&["key_file", "private_key"], &["key"]),
    (&["key_pass", "key_passphrase"], &["key_password"]),
    (&["verify_certificate", "verify_hostname", "insecure_skip_verify"], &["verify"]),
    // Kafka.
    (&["topics", "topic_id", "default_topic"], &["topic"]),
    (&["topic"], &["topics"]),
    (&["group_id", "consumer_group"], &["group"]),
    (&["auto_offset_reset", "initial_offset", "start_offset"], &["start"]),
    (&["librdkafka_options", "rdkafka"], &["options"]),
    (&["required_acks", "request_required_acks"], &["acks"]),
    (&["key_field", "message_key", "message_key_field", "partition_key"], &["key"]),
    // How outputs write.
    (&["key_prefix", "prefix", "path", "s3_key_format", "s3_prefix", "blob_prefix"], &["key"]),
    (&["total_file_size", "batch_size", "max_size", "size", "limit_size"], &["max_bytes"]),
    (&["upload_timeout", "flush_interval", "timeout_secs", "batch_timeout"], &["max_age"]),
    (&["max_events", "batch_max_events", "bulk_max_size"], &["max_records", "rows"]),
    (&["document_id", "id_key"], &["id"]),
    (&["action", "write_operation", "op_type"], &["op"]),
    (&["target"], &["stream"]),
    (&["compress", "compression", "content_encoding"], &["compression", "gzip"]),
    (&["retry_limit", "retry_on_failure", "max_retries", "retry_max_times"], &["retry"]),
    (&["only_fields", "include_fields", "include"], &["only"]),
    (&["except_fields", "exclude_fields", "exclude", "remove_keys"], &["except"]),
    // Conditions.
    (&["eq", "equal"], &["equals"]),
    (&["ge", "gte", "gt"], &["at_least"]),
    (&["le", "lte", "lt"], &["at_most"]),
    (&["pattern", "match", "matches", "contains"], &["regex"]),
    (&["and"], &["all"]),
    (&["or"], &["any"]),
    // Types, and what a key may say.
    (&["tail", "in_tail", "filelog", "filestream", "log", "imfile"], &["file"]),
    (&["kubernetes_logs", "docker_logs", "container"], &["file", "cri"]),
    (&["fluent", "fluent_forward", "fluentforward", "in_forward", "out_forward"], &["forward"]),
    (&["http_server", "in_http", "http_listener_v2", "opentelemetry", "otlp"], &["http"]),
    (&["kafka_consumer"], &["kafka"]),
    (&["azure_event_hubs", "azureeventhub", "eventhub"], &["event_hubs"]),
    (&["demo_logs", "dummy"], &["generator"]),
    (&["es", "elastic"], &["elasticsearch"]),
    (&["aws_s3", "awss3"], &["s3"]),
    (&["azure_kusto", "kusto", "azuredataexplorer"], &["adx"]),
    (&["google_cloud_storage", "googlecloudstorage", "gcp_cloud_storage"], &["gcs"]),
    (&["console", "debug"], &["stdout"]),
    (&["null", "nop", "drop"], &["blackhole"]),
    (&["json", "ndjson", "json_lines", "jsonl"], &["json", "ndjson"]),
    (&["plain", "line", "none"], &["lines", "text"]),
    (&["filesystem", "file"], &["disk"]),
];

/// What has no name here, a key that is known where this is said (empty for any), and what to do in its place.
const OTHERWISE: &[(&[&str], &str, &str)] = &[
    (
        &["match", "negate", "mode", "what", "condition_pattern", "halt_before", "continue_through"],
        "continue",
        "`start` matches the first line of each record, or `continue` the lines that belong to the one before",
    ),
    (
        &["db", "pos_file", "sincedb_path", "storage", "fingerprint", "file_identity"],
        "include",
        "positions are kept below `data_dir` by themselves, and a file is known again by whatever name it goes",
    ),
    (
        &["logstash_format", "logstash_prefix", "logstash_dateformat"],
        "index",
        "an index for each day is a template: `index: \"logstash-{@timestamp:%Y.%m.%d}\"`",
    ),
    (
        &["batch", "request", "bulk"],
        "max_bytes",
        "requests are bounded by `max_bytes`, `max_records` and `max_age`",
    ),
    (
        &["include", "includes"],
        "pipelines",
        "all stands in one file; values may come from others: `${file:/path}`",
    ),
    (&["env"], "pipelines", "variables come from the environment: `${NAME:-default}` in a value"),
    (
        &["inputs", "input", "match", "from", "to", "outputs", "filters"],
        "",
        "what goes where is said by a pipeline: `pipelines: { NAME: { from: [SOURCE], filters: [FILTER], to: [OUTPUT] } }`",
    ),
    (
        &["parser", "parsers", "parse", "operators", "processors"],
        "",
        "a text is taken apart by a filter, which a pipeline names: `filters: { NAME: { plugin: json } }`, or `regex`, `grok`, \
         `csv`, `syslog`, `logfmt`",
    ),
    (
        &["acknowledgements", "acknowledgments"],
        "",
        "sources wait for their outputs in any case; of one that may miss records say `best_effort: true`",
    ),
    (
        &["mem_buf_limit", "storage_type", "queue_type", "sending_queue"],
        "",
        "what waits is bounded by the buffer of each output: `buffer: { type: disk, max_bytes: 1GiB }`",
    ),
    (
        &["time_key", "json_date_key", "timestamp_key", "time_format"],
        "",
        "a time is read by the filter `timestamp`, and written as an output says: `encoding: { timestamp: NAME }`",
    ),
    (&["enabled"], "", "what is written down is in force: leave `enabled` out"),
];

/// The name here of what is called `wrong` elsewhere, where it is one of those that are known.
pub fn name<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let wrong = plain(wrong);
    let ours =
        NAMES.iter().filter(|(theirs, _)| theirs.contains(&wrong.as_str())).flat_map(|(_, ours)| *ours);
    ours.copied().find_map(|ours| known.iter().find(|name| **name == ours)).copied()
}

/// What to do in place of a key that is called `wrong` elsewhere and is not known here.
pub fn otherwise(wrong: &str, known: &[&str]) -> Option<&'static str> {
    let wrong = plain(wrong);
    let mut all = OTHERWISE.iter().filter(|(_, place, _)| place.is_empty() || known.contains(place));
    all.find(|(theirs, ..)| theirs.contains(&wrong.as_str())).map(|(.., told)| *told)
}

/// As names are written here.
fn plain(name: &str) -> String {
    name.trim_start_matches('@').to_lowercase().replace(['-', '.', ' '], "_")
}

#[cfg(test)]
mod tests;
