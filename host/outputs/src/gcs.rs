//! Google Cloud Storage.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use object_store::gcp::GoogleCloudStorageBuilder;

use crate::object::{Extras, FORMATS, ObjectOutput, checks, descriptors, retries, store_settings};
use crate::{Output, OutputContext, OutputKind};
use flitch_core::batch::encode::Format;
use flitch_core::setting::wrong;

store_settings! {
    /// Writes objects to a bucket of Google Cloud Storage: a line of JSON (NDJSON) for each record, or as `encoding` says.
    pub struct GcsSettings {
        /// The bucket. It must be there.
        pub bucket: String,
        /// Another address than `https://storage.googleapis.com`.
        #[serde(default)]
        pub endpoint: Option<String>,
        /// The key of a service account, a JSON file. Not set: what `GOOGLE_APPLICATION_CREDENTIALS` names, or `gcloud` has
        /// left, else the service account of the machine. Tokens are renewed.
        #[serde(default)]
        pub credentials_path: Option<PathBuf>,
        /// The storage class: `NEARLINE`. Not set: as the bucket says.
        #[serde(default)]
        pub storage_class: Option<String>,
    }
}

impl GcsSettings {
    fn builder(&self) -> anyhow::Result<GoogleCloudStorageBuilder> {
        match self.endpoint {
            // What stands there in Google's place may have rules of its own.
            Some(_) => checks::bucket("bucket", &self.bucket)?,
            None => checks::google_bucket("bucket", &self.bucket)?,
        }
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&self.bucket)
            .with_retry(retries())
            .with_http_connector(crate::object::Connector::new(self.timeout.0, self.ca_file.as_deref())?);
        if let Some(endpoint) = &self.endpoint {
            checks::endpoint(endpoint)?;
            builder = builder.with_base_url(endpoint.trim_end_matches('/'));
        }
        let environment = std::env::var_os("GOOGLE_APPLICATION_CREDENTIALS").filter(|path| !path.is_empty());
        match (&self.credentials_path, environment) {
            (Some(path), _) => {
                let readable = flitch_core::named_file::open(path);
                readable.with_context(|| wrong!("credentials_path", ": cannot read {}", path.display()))?;
                builder = builder.with_service_account_path(path.to_string_lossy());
            }
            (None, Some(path)) => builder = builder.with_application_credentials(path.to_string_lossy()),
            (None, None) => {}
        }
        Ok(builder)
    }
}

impl OutputKind for GcsSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        let store = self.builder()?.build().context("the store cannot be used")?;
        let extras =
            Extras { storage_class: self.storage_class.clone(), with_parts: true, ..Extras::default() };
        Ok(Arc::new(ObjectOutput::new(Arc::new(store), &self.common(), extras, cx)?))
    }

    fn builds(&self) -> bool {
        true
    }

    fn formats(&self) -> &'static [Format] {
        FORMATS
    }

    fn descriptors(&self) -> u64 {
        descriptors()
    }
}
