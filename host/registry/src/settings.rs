//! The settings of plugins that are not on the machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::net::http_head::AuthSettings;
use flitch_core::net::tls::ClientTls;
use flitch_core::setting::wrong;
use flitch_core::units::{Bytes, Span};

use crate::reference::is_host;
use crate::signature::Key;

/// Plugins from registries (`plugin: oci://registry.example.com/team/parse:1.2@sha256:…`): whose they may be, and how they are
/// had. What is said here of a registry is said under its host, with the port where it has one: `registry.example.com:5000`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsSettings {
    /// Keys of those whose signatures count. A plugin needs one signature by one of them: so a key is replaced by having both
    /// here for a while.
    pub trust: Vec<TrustSettings>,
    /// Whether a plugin of a registry, or of an OCI layout, must be signed by one of the keys. Not set: it must where there is
    /// a key. Files and stock plugins need no signature.
    pub require_signature: Option<bool>,
    /// Registries that have the same as another one, each with its repositories below the path that may stand behind its
    /// host: `{ ghcr.io: ["mirror.example.com/ghcr"] }`. They are asked first, in order, and the registry itself last.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// What is kept below `data_dir/registry` of what was pulled, so that a start needs no registry.
    pub cache: CacheSettings,
    /// How flitch proves to a registry who it is: `{ username, password }`, or `{ bearer }`. What is not here is looked for
    /// in `docker_config`.
    pub credentials: BTreeMap<String, AuthSettings>,
    /// Docker's file with credentials (`auths`, `credHelpers`, `credsStore`). Not set: `config.json` in `DOCKER_CONFIG` or
    /// `~/.docker`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_config: Option<PathBuf>,
    /// TLS of registries where it is not that of the system: an authority of your own, a certificate to show.
    pub tls: BTreeMap<String, ClientTls>,
    /// Registries that are spoken with without TLS. Passwords for them go over the network as they are.
    pub plain_http: Vec<String>,
    /// Most bytes of a plugin.
    pub max_bytes: Bytes,
    /// Longest time in which a registry may say nothing.
    pub timeout: Span,
}

/// A key whose signatures count.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustSettings {
    /// The file of a public key of P-256 in PEM, as `cosign generate-key-pair` writes it to `cosign.pub`; or its
    /// text. A relative path is from the folder of the configuration file.
    pub key: String,
    /// The registry, or the repositories, whose plugins it may sign, with all that is below: `registry.example.com/team`;
    /// `package:` for those that the server sends which manages this flitch, `package:parse` for one of them. Not set: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
}

/// What is kept of what was pulled.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Most bytes of it; what was used longest ago goes first, and nothing that runs.
    pub max_bytes: Bytes,
}

impl Default for CacheSettings {
    fn default() -> Self {
        CacheSettings { max_bytes: Bytes(1 << 30) }
    }
}

impl Default for PluginsSettings {
    fn default() -> Self {
        PluginsSettings {
            trust: Vec::new(),
            require_signature: None,
            mirrors: BTreeMap::new(),
            cache: CacheSettings::default(),
            credentials: BTreeMap::new(),
            docker_config: None,
            tls: BTreeMap::new(),
            plain_http: Vec::new(),
            max_bytes: Bytes(128 << 20),
            timeout: Span(Duration::from_secs(30)),
        }
    }
}

impl PluginsSettings {
    /// Whether a plugin must be signed.
    pub fn requires_signature(&self) -> bool {
        self.require_signature.unwrap_or(!self.trust.is_empty())
    }

    /// Whether the settings make sense, as far as can be told without reading the keys.
    ///
    /// # Errors
    /// What is wrong; the text names the setting.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            !self.trust.is_empty() || self.require_signature != Some(true),
            wrong!(
                "require_signature",
                ": there is no key in `trust` by which a plugin could be signed; add `trust: [{{ key: cosign.pub }}]`"
            )
        );
        ensure!(
            self.cache.max_bytes.0 >= self.max_bytes.0,
            wrong!(
                "cache.max_bytes",
                ": {} is less than one plugin may have (`max_bytes`, {})",
                self.cache.max_bytes,
                self.max_bytes
            )
        );
        let hosts = (self.credentials.keys().map(|host| ("credentials", host)))
            .chain(self.tls.keys().map(|host| ("tls", host)))
            .chain(self.mirrors.keys().map(|host| ("mirrors", host)));
        for (key, host) in hosts {
            ensure!(
                is_host(host),
                wrong!("{key}", ": `{host}` is no host of a registry, such as `registry.example.com:5000`")
            );
        }
        for (number, host) in self.plain_http.iter().enumerate() {
            ensure!(is_host(host), wrong!("plain_http[{number}]", ": `{host}` is no host of a registry"));
            ensure!(
                !self.tls.contains_key(host),
                wrong!("plain_http[{number}]", ": `tls` has `{host}` too; take one away")
            );
        }
        for (host, mirrors) in &self.mirrors {
            for mirror in mirrors {
                let (at, _) = mirror.split_once('/').unwrap_or((mirror, ""));
                ensure!(
                    is_host(at),
                    wrong!(
                        "mirrors",
                        ": `{mirror}` of `{host}` is no host with a path, such as `mirror.example.com/ghcr`"
                    )
                );
            }
        }
        for (host, auth) in &self.credentials {
            let is_whole = matches!(
                (&auth.bearer, &auth.username, &auth.password),
                (Some(_), None, None) | (None, Some(_), Some(_))
            );
            ensure!(
                is_whole,
                wrong!("credentials", ": `{host}` takes `bearer`, or `username` and `password`")
            );
        }
        Ok(())
    }

    /// The keys, each with where it counts.
    ///
    /// # Errors
    /// One cannot be read; the text names the setting.
    pub(crate) fn keys(&self, folder: &Path) -> anyhow::Result<Vec<(Key, Option<String>)>> {
        let key = |(number, trust): (usize, &TrustSettings)| {
            let at = || wrong!("trust[{number}].key", " cannot be used");
            let (text, name) = match trust.key.contains("-----BEGIN") {
                true => (trust.key.clone(), format!("trust[{number}]")),
                false => {
                    let path = folder.join(&trust.key);
                    let text = flitch_core::named_file::read_text(&path);
                    (
                        text.with_context(|| format!("cannot read {}", path.display())).with_context(at)?,
                        trust.key.clone(),
                    )
                }
            };
            let key = Key::from_pem(&text, &name)
                .map_err(|why| anyhow::anyhow!("{name} {why}"))
                .with_context(at)?;
            Ok((key, trust.only.clone()))
        };
        self.trust.iter().enumerate().map(key).collect()
    }
}
