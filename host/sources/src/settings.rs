//! The sources that a configuration can name.

use super::SourceKind;
use flitch_core::kinds::kinds;

kinds! {
    /// Where records come from, by `type`.
    pub enum SourceSettings: SourceKind, kept by crate::contract::keep {
        File(file::FileSettings),
        Forward(forward::ForwardSettings),
        Http(http::HttpSettings),
        Kafka(kafka::KafkaSettings),
        EventHubs(event_hubs::EventHubsSettings),
        Generator(generator::GeneratorSettings),
    }
}
