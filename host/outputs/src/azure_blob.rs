//! Azure Blob Storage.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use object_store::CredentialProvider;
use object_store::azure::{AzureConfigKey, AzureCredential, MicrosoftAzureBuilder};
use reqwest::Url;

use crate::object::{Extras, FORMATS, ObjectOutput, checks, descriptors, pause, retries, store_settings};
use crate::{Output, OutputContext, OutputKind};
use flitch_core::batch::encode::Format;
use flitch_core::net::entra::{AuthSettings, Entra, Refusal};
use flitch_core::net::lent::Lent;
use flitch_core::secret::Secret;
use flitch_core::setting::wrong;
use flitch_core::tasks;

store_settings! {
    /// Writes block blobs to a container of Azure Blob Storage: a line of JSON (NDJSON) for each record, or as `encoding`
    /// says.
    pub struct AzureBlobSettings {
        /// The container. It must be there.
        pub container: String,
        /// The storage account. It may stand in `connection_string` instead.
        #[serde(default)]
        pub account: Option<String>,
        /// Another address than `https://<account>.blob.core.windows.net`: of a sovereign cloud, or an emulator
        /// (`http://127.0.0.1:10000/devstoreaccount1`).
        #[serde(default)]
        pub endpoint: Option<String>,
        /// Account, key or SAS, and address in one, as the portal shows it:
        /// `DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net`, or
        /// `BlobEndpoint=https://ACCOUNT.blob.core.windows.net/;SharedAccessSignature=…`.
        #[serde(default)]
        pub connection_string: Option<Secret>,
        /// A key of the account.
        #[serde(default)]
        pub account_key: Option<Secret>,
        /// A shared access signature for the container or the account, with the rights to create and to write.
        #[serde(default)]
        pub sas_token: Option<Secret>,
        /// As whom tokens of Microsoft Entra are asked for: `managed_identity`, `workload_identity`, `client_secret` or
        /// `azure_cli`. Not set, and without a key or a SAS: by what of `AZURE_CLIENT_ID`, `AZURE_TENANT_ID`,
        /// `AZURE_FEDERATED_TOKEN_FILE` and `AZURE_CLIENT_SECRET` the environment has, else the identity of the machine.
        #[serde(default)]
        pub auth: Option<AzureAuth>,
        /// The client of that identity; for `managed_identity` where the machine has several.
        #[serde(default)]
        pub client_id: Option<String>,
        /// The secret of that client, for `auth: client_secret`.
        #[serde(default)]
        pub client_secret: Option<Secret>,
        /// Its tenant.
        #[serde(default)]
        pub tenant_id: Option<String>,
    }
}

/// As whom tokens are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AzureAuth {
    /// The identity that Azure gave to the machine: a virtual machine, one with the agent of Azure Arc, App Service.
    ManagedIdentity,
    /// The identity that Kubernetes gave to the pod (`AZURE_FEDERATED_TOKEN_FILE`).
    WorkloadIdentity,
    /// A client with a secret.
    ClientSecret,
    /// Who is logged in with `az`.
    AzureCli,
}

impl AzureAuth {
    fn name(self) -> &'static str {
        match self {
            AzureAuth::ManagedIdentity => "managed_identity",
            AzureAuth::WorkloadIdentity => "workload_identity",
            AzureAuth::ClientSecret => "client_secret",
            AzureAuth::AzureCli => "azure_cli",
        }
    }
}

/// Whom tokens of the machine are for.
const STORAGE: &str = "https://storage.azure.com";

/// What is taken from the environment where the settings have no credentials.
const ENVIRONMENT: [(&str, AzureConfigKey); 5] = [
    ("AZURE_CLIENT_ID", AzureConfigKey::ClientId),
    ("AZURE_CLIENT_SECRET", AzureConfigKey::ClientSecret),
    ("AZURE_TENANT_ID", AzureConfigKey::AuthorityId),
    ("AZURE_AUTHORITY_HOST", AzureConfigKey::AuthorityHost),
    ("AZURE_FEDERATED_TOKEN_FILE", AzureConfigKey::FederatedTokenFile),
];

/// The pairs of a connection string, by their names in lower case.
fn pairs(text: &str) -> anyhow::Result<HashMap<String, &str>> {
    let parts = text.split(';').filter(|part| !part.trim().is_empty());
    let pairs = parts.map(|part| part.trim().split_once('='));
    let pairs: Option<_> = pairs
        .map(|pair| pair.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim())))
        .collect();
    pairs.context(wrong!("connection_string", " is none: it is a list of `Name=value` with `;` between them"))
}

impl AzureBlobSettings {
    /// Where the blobs go: `https://ACCOUNT.blob.core.windows.net`, or what stands in its place.
    ///
    /// # Errors
    /// Nothing says so; the text names the key.
    pub fn address(&self) -> anyhow::Result<String> {
        let string = self.string()?;
        let account = self.account_in(&string)?;
        let endpoint = self.endpoint_in(&string, &account);
        Ok(endpoint.unwrap_or_else(|| format!("https://{account}.blob.core.windows.net")))
    }

    fn string(&self) -> anyhow::Result<HashMap<String, &str>> {
        self.connection_string.as_ref().map_or_else(|| Ok(HashMap::new()), |text| pairs(text.expose()))
    }

    fn account_in(&self, string: &HashMap<String, &str>) -> anyhow::Result<String> {
        let of_string = |name: &str| string.get(name).map(|value| (*value).to_owned());
        let named = self.account.clone().or_else(|| of_string("accountname"));
        let Some(account) = named.or_else(|| account_of(&of_string("blobendpoint")?)) else {
            anyhow::bail!(wrong!(
                "account",
                " is missing, and no `connection_string` with `AccountName` or a `BlobEndpoint` of Azure is there"
            ));
        };
        checks::word("account", &account)?;
        Ok(account)
    }

    fn endpoint_in(&self, string: &HashMap<String, &str>, account: &str) -> Option<String> {
        let of_string = |name: &str| string.get(name).map(|value| (*value).to_owned());
        self.endpoint.clone().or_else(|| of_string("blobendpoint")).or_else(|| {
            let suffix = of_string("endpointsuffix")?;
            let protocol = of_string("defaultendpointsprotocol").unwrap_or_else(|| "https".to_owned());
            Some(format!("{protocol}://{account}.blob.{suffix}"))
        })
    }

    fn builder(&self) -> anyhow::Result<MicrosoftAzureBuilder> {
        checks::container("container", &self.container)?;
        let string = self.string()?;
        let account = self.account_in(&string)?;
        let mut builder = MicrosoftAzureBuilder::new()
            .with_container_name(&self.container)
            .with_account(&account)
            .with_retry(retries())
            .with_http_connector(crate::object::Connector::new(self.timeout.0, self.ca_file.as_deref())?);
        if let Some(endpoint) = self.endpoint_in(&string, &account) {
            checks::endpoint(&endpoint)?;
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned()).with_allow_http(true);
        }
        self.with_credentials(builder, &string)
    }

    /// The store with what flitch proves by who it is: a key of the account, a SAS, the machine, or whatever else the settings
    /// and the environment name.
    fn with_credentials(
        &self,
        builder: MicrosoftAzureBuilder,
        string: &HashMap<String, &str>,
    ) -> anyhow::Result<MicrosoftAzureBuilder> {
        let of_string = |name: &str| string.get(name).map(|value| (*value).to_owned());
        let key = self.account_key.as_ref().map(|key| key.expose().to_owned());
        let key = key.or_else(|| of_string("accountkey"));
        let sas = self.sas_token.as_ref().map(|sas| sas.expose().to_owned());
        let sas = sas.or_else(|| of_string("sharedaccesssignature"));
        let ways = [key.is_some(), sas.is_some(), self.auth.is_some()];
        self.check_ways(ways.into_iter().filter(|is_named| *is_named).count())?;
        if let Some(key) = key {
            return Ok(builder.with_access_key(key));
        }
        if let Some(sas) = sas {
            return Ok(builder.with_config(AzureConfigKey::SasKey, sas.trim_start_matches('?')));
        }
        if let Some(client_id) = self.managed(environment) {
            let audience = STORAGE.to_owned();
            let auth = AuthSettings::ManagedIdentity { client_id, endpoint: None };
            return Ok(builder.with_credentials(Arc::new(Managed::new(Entra { auth, audience }))));
        }
        self.check_workload()?;
        Ok(self.with_identity(builder))
    }

    /// Whether the keys that say who flitch is name one way alone, of which all is there.
    fn check_ways(&self, named: usize) -> anyhow::Result<()> {
        anyhow::ensure!(
            named <= 1,
            wrong!("auth", ", a key of the account and a SAS exclude each other: keep one of them")
        );
        anyhow::ensure!(
            self.auth == Some(AzureAuth::ClientSecret) || self.client_secret.is_none(),
            wrong!("client_secret", " is for `auth: client_secret`")
        );
        if self.auth == Some(AzureAuth::ClientSecret) {
            let is_whole =
                self.client_id.is_some() && self.client_secret.is_some() && self.tenant_id.is_some();
            anyhow::ensure!(
                is_whole,
                wrong!("auth", ": `client_secret` needs `client_id`, `client_secret` and `tenant_id`")
            );
        }
        Ok(())
    }

    /// Whether `auth: workload_identity` finds in the environment what it needs of it.
    fn check_workload(&self) -> anyhow::Result<()> {
        if self.auth != Some(AzureAuth::WorkloadIdentity) {
            return Ok(());
        }
        let given = |set: &Option<String>, name| set.is_some() || environment(name).is_some();
        let needed = [
            ("AZURE_FEDERATED_TOKEN_FILE", environment("AZURE_FEDERATED_TOKEN_FILE").is_some()),
            ("AZURE_CLIENT_ID (or `client_id`)", given(&self.client_id, "AZURE_CLIENT_ID")),
            ("AZURE_TENANT_ID (or `tenant_id`)", given(&self.tenant_id, "AZURE_TENANT_ID")),
        ];
        if let Some((name, _)) = needed.iter().find(|(_, is_there)| !is_there) {
            anyhow::bail!(wrong!("auth", ": `workload_identity` needs {name}, and the environment has none"));
        }
        Ok(())
    }

    /// The store with what the environment says, and what the settings say in its place.
    fn with_identity(&self, mut builder: MicrosoftAzureBuilder) -> MicrosoftAzureBuilder {
        for (name, key) in ENVIRONMENT {
            let is_secret = key == AzureConfigKey::ClientSecret && self.auth.is_some();
            if let Some(value) = environment(name).filter(|_| !is_secret) {
                builder = builder.with_config(key, value);
            }
        }
        if let Some(auth) = self.auth {
            builder = builder.with_credential_type(auth.name());
        }
        if let Some(id) = &self.client_id {
            builder = builder.with_client_id(id);
        }
        if let Some(secret) = &self.client_secret {
            builder = builder.with_client_secret(secret.expose());
        }
        if let Some(tenant) = &self.tenant_id {
            builder = builder.with_tenant_id(tenant);
        }
        builder
    }

    /// Whether tokens are those of the machine; of which client, where it has several.
    fn managed(&self, env: impl Fn(&str) -> Option<String>) -> Option<Option<String>> {
        let of_environment = || {
            let is_there = |names: &[&str]| names.iter().all(|name| env(name).is_some());
            let has_secret = is_there(&["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"]);
            !has_secret && !is_there(&["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"])
        };
        let is_managed = match self.auth {
            Some(auth) => auth == AzureAuth::ManagedIdentity,
            None => of_environment(),
        };
        is_managed.then(|| self.client_id.clone().or_else(|| env("AZURE_CLIENT_ID")))
    }
}

/// A variable of the environment that is set and not empty.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The account that an address of Azure names: `https://ACCOUNT.blob.core.windows.net`.
fn account_of(endpoint: &str) -> Option<String> {
    let url = Url::parse(endpoint).ok()?;
    let (account, _) = url.domain()?.split_once(".blob.")?;
    Some(account.to_owned())
}

/// Tokens of the machine's identity, as all of flitch gets them.
#[derive(Debug)]
struct Managed {
    entra: Entra,
    lent: Lent<Arc<AzureCredential>>,
}

impl Managed {
    fn new(entra: Entra) -> Managed {
        Managed { entra, lent: Lent::default() }
    }

    async fn fetch(&self) -> anyhow::Result<(Arc<AzureCredential>, Option<SystemTime>)> {
        let entra = self.entra.clone();
        let token = tasks::blocking(move || entra.token()).await??;
        let end = token.end();
        Ok((Arc::new(AzureCredential::BearerToken(token.token)), Some(end)))
    }
}

impl CredentialProvider for Managed {
    type Credential = AzureCredential;

    fn get_credential<'p, 'a>(
        &'p self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<AzureCredential>>> + Send + 'a>>
    where
        'p: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let what = "the token of the machine's identity";
            self.lent.get(what, self.fetch()).await.map_err(|error| {
                let source = format!("the identity of the machine: {error:#}").into();
                match error.downcast_ref::<Refusal>() {
                    Some(refusal) if !refusal.passes() => {
                        object_store::Error::Unauthenticated { path: String::new(), source }
                    }
                    refusal => {
                        pause::note(refusal.and_then(|refusal| refusal.after));
                        object_store::Error::Generic { store: "identity", source }
                    }
                }
            })
        })
    }
}

impl OutputKind for AzureBlobSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        let store = self.builder()?.build().context("the store cannot be used")?;
        let extras = Extras { with_parts: false, ..Extras::default() };
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

#[cfg(test)]
mod tests;
