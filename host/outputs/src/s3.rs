//! Amazon S3, and what speaks its protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use object_store::TagSet;
use object_store::aws::{AmazonS3Builder, Checksum};

use crate::aws::{Found, default_region, domain};
use crate::object::{
    Connector, Extras, FORMATS, Listing, ObjectOutput, checks, descriptors, http, retries, store_settings,
};
use crate::{Output, OutputContext, OutputKind};
use flitch_core::batch::encode::Format;
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;

store_settings! {
    /// Writes objects to a bucket of Amazon S3, or of a store that speaks its protocol (MinIO, Ceph, R2): a line of JSON
    /// (NDJSON) for each record, or as `encoding` says.
    pub struct S3Settings {
        /// The bucket. It must be there.
        pub bucket: String,
        /// Its region. Not set: `AWS_REGION` or `AWS_DEFAULT_REGION` of the environment, that of the profile, else
        /// `us-east-1`.
        #[serde(default)]
        pub region: Option<String>,
        /// Another store than Amazon's: `https://minio.example.com:9000`.
        #[serde(default)]
        pub endpoint: Option<String>,
        /// Whether the bucket stands in the path (`https://host/bucket/…`) and not in the name of the host. With
        /// `endpoint` and `false` the endpoint has the bucket in its name already.
        #[serde(default = "yes")]
        pub force_path_style: bool,
        /// The id of the key that signs requests. Without it the environment is asked (`AWS_ACCESS_KEY_ID`; web identity:
        /// `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`), then the profile, the environment for containers and pods
        /// (`AWS_CONTAINER_CREDENTIALS_…`), and the machine (IMDS). Credentials that end are renewed.
        #[serde(default)]
        pub access_key_id: Option<String>,
        /// The key.
        #[serde(default)]
        pub secret_access_key: Option<Secret>,
        /// What goes with a key that ends.
        #[serde(default)]
        pub session_token: Option<Secret>,
        /// A profile of `~/.aws/config` and `~/.aws/credentials` (or `AWS_CONFIG_FILE`, `AWS_SHARED_CREDENTIALS_FILE`): its
        /// keys, its `credential_process`, or its `role_arn` by `source_profile`, `credential_source` or
        /// `web_identity_token_file`. Logins of SSO are not read. Not set: `AWS_PROFILE` of the environment, else `default`
        /// where there is one.
        #[serde(default)]
        pub profile: Option<String>,
        /// How the store encrypts objects: `AES256`, `aws:kms` or `aws:kms:dsse`. Not set: as the bucket says.
        #[serde(default)]
        pub server_side_encryption: Option<ServerSideEncryption>,
        /// The key of KMS that it is encrypted with.
        #[serde(default)]
        pub ssekms_key_id: Option<String>,
        /// The storage class: `STANDARD_IA`, `GLACIER_IR`. Not set: as the bucket says.
        #[serde(default)]
        pub storage_class: Option<String>,
        /// Tags of objects, names and values.
        #[serde(default)]
        pub tags: BTreeMap<String, String>,
    }
}

fn yes() -> bool {
    true
}

/// How a store encrypts objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
pub enum ServerSideEncryption {
    /// With keys of S3.
    #[serde(rename = "AES256")]
    Aes256,
    /// With a key of KMS.
    #[serde(rename = "aws:kms")]
    Kms,
    /// With a key of KMS, twice.
    #[serde(rename = "aws:kms:dsse")]
    KmsDsse,
}

impl S3Settings {
    /// Whether the keys make sense by themselves and together.
    fn verify(&self) -> anyhow::Result<()> {
        checks::bucket("bucket", &self.bucket)?;
        let words = [
            ("access_key_id", self.access_key_id.as_deref()),
            ("secret_access_key", self.secret_access_key.as_ref().map(Secret::expose)),
            ("session_token", self.session_token.as_ref().map(Secret::expose)),
            ("region", self.region.as_deref().filter(|region| !region.is_empty())),
            ("ssekms_key_id", self.ssekms_key_id.as_deref()),
        ];
        words.iter().try_for_each(|(key, word)| word.map_or(Ok(()), |word| checks::word(key, word)))?;
        anyhow::ensure!(
            self.access_key_id.is_some() == self.secret_access_key.is_some(),
            wrong!("access_key_id", " and `secret_access_key` go together")
        );
        anyhow::ensure!(
            self.session_token.is_none() || self.access_key_id.is_some(),
            wrong!("session_token", " goes with `access_key_id`")
        );
        self.endpoint.as_deref().map_or(Ok(()), checks::endpoint)?;
        let is_kms = matches!(
            self.server_side_encryption,
            Some(ServerSideEncryption::Kms | ServerSideEncryption::KmsDsse)
        );
        anyhow::ensure!(
            self.ssekms_key_id.is_none() || is_kms,
            wrong!("ssekms_key_id", " is for `server_side_encryption: aws:kms`")
        );
        anyhow::ensure!(
            self.profile.is_none() || self.access_key_id.is_none(),
            wrong!("profile", " and `access_key_id` are two ways in: leave one of them out")
        );
        Ok(())
    }

    fn builder(&self) -> anyhow::Result<AmazonS3Builder> {
        self.verify()?;
        let found = match self.access_key_id {
            // Who brings a key needs no more than a region of the files, and none of those that are not in order.
            Some(_) => Found::of(None).ok(),
            None => Some(Found::of(self.profile.as_deref())?),
        };
        let region = self.region.clone().filter(|region| !region.is_empty());
        let region = region.or_else(|| found.as_ref()?.region.clone()).unwrap_or_else(default_region);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&region)
            .with_virtual_hosted_style_request(!self.force_path_style)
            .with_retry(retries())
            .with_http_connector(Connector::creating(self.timeout.0, self.ca_file.as_deref())?);
        match (&self.endpoint, domain(&region)) {
            (Some(endpoint), _) => builder = builder.with_endpoint(endpoint).with_allow_http(true),
            (None, "amazonaws.com") => {}
            // The library knows one domain.
            (None, domain) => {
                let bucket = if self.force_path_style { String::new() } else { format!("{}.", self.bucket) };
                builder = builder.with_endpoint(format!("https://{bucket}s3.{region}.{domain}"));
            }
        }
        match (&self.access_key_id, &self.secret_access_key) {
            (Some(id), Some(secret)) => {
                builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose());
                if let Some(token) = &self.session_token {
                    builder = builder.with_token(token.expose());
                }
            }
            _ => builder = found.iter().fold(builder, |builder, found| found.set(builder)),
        }
        if let Some(encryption) = &self.server_side_encryption {
            let name = match encryption {
                ServerSideEncryption::Aes256 => "AES256",
                ServerSideEncryption::Kms => "aws:kms",
                ServerSideEncryption::KmsDsse => "aws:kms:dsse",
            };
            builder = builder.with_config("aws_server_side_encryption".parse()?, name);
        }
        if let Some(key) = &self.ssekms_key_id {
            builder = builder.with_config("aws_sse_kms_key_id".parse()?, key);
        }
        Ok(builder)
    }
}

impl OutputKind for S3Settings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        let builder = self.builder()?;
        let with_checksums = builder.clone().with_checksum_algorithm(Checksum::SHA256);
        let with_checksums = Arc::new(with_checksums.build().context("the store cannot be used")?);
        let store = Arc::new(builder.build().context("the store cannot be used")?);
        let mut tags = TagSet::default();
        self.tags.iter().for_each(|(name, value)| tags.push(name, value));
        let listing =
            Listing { store: store.clone(), client: http(self.timeout.0, self.ca_file.as_deref())? };
        let (storage_class, uploads) = (self.storage_class.clone(), Arc::new(listing));
        let extras = Extras {
            storage_class,
            tags,
            with_parts: true,
            uploads: Some(uploads),
            with_checksums: Some(with_checksums),
        };
        Ok(Arc::new(ObjectOutput::new(store, &self.common(), extras, cx)?))
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

#[cfg(test)]
mod tests;
