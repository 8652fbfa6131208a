//! Who flitch is to the nodes.

use std::sync::Arc;

use anyhow::Context;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, StaticCredentialProvider};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::WriteError;
use crate::object::{classify, pause};
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;

/// How flitch proves to the nodes who it is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "NodeAuth", tag = "type")]
pub enum AuthSettings {
    /// By name and password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// By a key of Elasticsearch's API.
    ApiKey {
        /// The key as Elasticsearch shows it, encoded; or its id and itself, with a colon between them.
        api_key: Secret,
    },
    /// By signatures of AWS (Signature Version 4), for Amazon OpenSearch Service.
    #[serde(rename = "sigv4")]
    SigV4 {
        /// The region: `eu-central-1`.
        region: String,
        /// The service that signatures are for: `es`, or `aoss` for OpenSearch Serverless, where collections for time series
        /// want `auto_id` too.
        #[serde(default = "service")]
        service: String,
        /// The id of the key that signs. Without it the environment is asked, then the machine, as `type: s3` does, and
        /// credentials that end are renewed.
        #[serde(default)]
        access_key_id: Option<String>,
        /// The key.
        #[serde(default)]
        secret_access_key: Option<Secret>,
        /// What goes with a key that ends.
        #[serde(default)]
        session_token: Option<Secret>,
    },
}

fn service() -> String {
    "es".to_owned()
}

/// Puts credentials into requests.
#[derive(Debug)]
pub(super) enum Auth {
    None,
    Header(HeaderValue),
    Aws {
        credentials: Arc<dyn CredentialProvider<Credential = AwsCredential>>,
        region: String,
        service: String,
    },
}

impl Auth {
    /// Nothing is connected to.
    ///
    /// # Errors
    /// The text names the key that is wrong.
    pub fn new(settings: Option<&AuthSettings>) -> anyhow::Result<Auth> {
        let header = |text: String| {
            let mut header = HeaderValue::try_from(text)
                .ok()
                .context(wrong!("auth", " has a character that no header takes"))?;
            header.set_sensitive(true);
            Ok(Auth::Header(header))
        };
        match settings {
            None => Ok(Auth::None),
            Some(AuthSettings::Basic { username, password }) => {
                anyhow::ensure!(
                    !username.contains(':'),
                    wrong!("auth.username", " has a colon in it, which no name has")
                );
                header(format!(
                    "Basic {}",
                    BASE64_STANDARD.encode(format!("{username}:{}", password.expose()))
                ))
            }
            Some(AuthSettings::ApiKey { api_key }) => {
                let key = api_key.expose();
                anyhow::ensure!(!key.is_empty(), wrong!("auth.api_key", " is empty"));
                match key.contains(':') {
                    true => header(format!("ApiKey {}", BASE64_STANDARD.encode(key))),
                    false => header(format!("ApiKey {key}")),
                }
            }
            Some(AuthSettings::SigV4 {
                region,
                service,
                access_key_id,
                secret_access_key,
                session_token,
            }) => {
                let credentials = match (access_key_id, secret_access_key) {
                    (Some(id), Some(key)) => {
                        let token = session_token.as_ref().map(|token| token.expose().to_owned());
                        let credential =
                            AwsCredential { key_id: id.clone(), secret_key: key.expose().to_owned(), token };
                        Arc::new(StaticCredentialProvider::new(credential))
                    }
                    (None, None) => {
                        anyhow::ensure!(
                            session_token.is_none(),
                            wrong!("auth.session_token", " goes with `access_key_id`")
                        );
                        crate::aws::credentials(region)?
                    }
                    _ => anyhow::bail!(wrong!("auth.access_key_id", " and `secret_access_key` go together")),
                };
                Ok(Auth::Aws { credentials, region: region.clone(), service: service.clone() })
            }
        }
    }

    /// Puts what proves who we are among the headers of a request.
    ///
    /// # Errors
    /// There are no credentials.
    pub async fn put(
        &self,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
        body: &Bytes,
    ) -> Result<(), WriteError> {
        match self {
            Auth::None => {}
            Auth::Header(value) => drop(headers.insert(AUTHORIZATION, value.clone())),
            Auth::Aws { credentials, region, service } => {
                let found = async { credentials.get_credential().await.map_err(|error| classify(&error)) };
                let credential = pause::heeding(found).await?;
                let to = (method, url);
                crate::aws::sign(&credential, (service, region), to, headers, body)
                    .map_err(|reason| WriteError::Denied { reason })?;
            }
        }
        Ok(())
    }
}
