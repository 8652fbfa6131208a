//! Servers that flitch talks to, real ones wherever they can be had.

pub mod azurite;
pub mod consumer;
pub mod docker;
pub mod gcs;
pub mod hdfs;
pub mod kafka;
pub mod kusto;
pub mod logrotate;
pub mod mock_kafka;
pub mod moto;
pub mod nginx;
pub mod opamp;
pub mod opensearch;
pub mod registry;
pub mod s3;
