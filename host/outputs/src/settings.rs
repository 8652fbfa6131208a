//! The outputs that a configuration can name.

use super::OutputKind;
use flitch_core::kinds::kinds;

kinds! {
    /// Where records go, by `type`.
    pub enum OutputSettings: OutputKind, kept by crate::contract::keep {
        Kafka(kafka::KafkaSettings),
        EventHubs(event_hubs::EventHubsSettings),
        S3(s3::S3Settings),
        AzureBlob(azure_blob::AzureBlobSettings),
        Gcs(gcs::GcsSettings),
        Adx(adx::AdxSettings),
        Elasticsearch(elasticsearch::ElasticsearchSettings),
        Opensearch(opensearch::OpensearchSettings),
        Forward(forward::ForwardSettings),
        Http(http::HttpSettings),
        Webhdfs(webhdfs::WebhdfsSettings),
        File(file::FileSettings),
        Stdout(stdout::StdoutSettings),
        Blackhole(blackhole::BlackholeSettings),
    }
}
