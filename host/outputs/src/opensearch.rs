//! OpenSearch, whose bulk requests are those of Elasticsearch.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::elasticsearch::ElasticsearchSettings;
use super::{Output, OutputContext, OutputKind};
use flitch_core::batch::encode::{Format, Framing};

/// The settings of an OpenSearch are those of an Elasticsearch.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct OpensearchSettings(pub ElasticsearchSettings);

impl JsonSchema for OpensearchSettings {
    fn schema_name() -> Cow<'static, str> {
        "OpensearchSettings".into()
    }

    /// That of what is inside, and no reference to it: the type stands beside its keys.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ElasticsearchSettings::json_schema(generator)
    }
}

impl OutputKind for OpensearchSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        self.0.open(cx)
    }

    fn formats(&self) -> &'static [Format] {
        &[Format::Ndjson]
    }

    fn framing(&self) -> Framing {
        self.0.framing()
    }

    fn descriptors(&self) -> u64 {
        self.0.descriptors()
    }
}
