//! End-to-end tests: the daemon as a process, between real servers.
//!
//! Every test ends with the same two questions: is everything that was acknowledged in Kafka, and do the
//! sums hold. Records may come twice where something failed; none may be missing.

mod adx;
mod attacks;
mod azure_blob;
mod brokers;
mod chaos;
mod config;
mod dead_letters;
mod demo;
mod disk_buffer;
mod disk_pressure;
mod docker;
mod event_hubs;
mod examples;
mod file;
mod filter_state;
mod filters;
mod fleet;
mod forward;
mod forward_output;
mod forward_security;
mod gcs;
mod harness;
mod http;
mod http_output;
mod http_security;
mod kafka_security;
mod kafka_source;
mod life;
mod multiline;
mod opensearch;
mod otlp;
mod outputs;
mod parquet;
mod pipeline_tests;
mod plugin;
mod plugin_record;
mod registry;
mod reload;
mod s3;
mod s3_refusals;
mod service_manager;
mod shadow;
mod support;
mod swap;
mod tables;
mod webhdfs;
mod workshop;
