//! Who flitch is to AWS, where the settings do not say it: what the environment, the files of AWS's tools or the machine say.
//!
//! The order is that of AWS's own SDKs: keys of the environment, a token of web identity, a profile, a container, the machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use object_store::aws::{
    AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredential, AwsCredentialProvider,
};
use object_store::client::HttpRequest;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use self::container::Container;
use self::profile::{Files, From};
use self::provider::Profiled;
use crate::object::{Connector, default_timeout, retries};
use flitch_core::setting::wrong;

mod container;
mod profile;
mod provider;

/// What is taken from the environment where the settings have no key.
const ENVIRONMENT: [(&str, AmazonS3ConfigKey); 7] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
];

/// A variable of the environment that is set and not empty, without the blanks and line breaks around it that come from files.
fn environment(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    Some(value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// What stands behind the names of services in a region.
pub(crate) fn domain(region: &str) -> &'static str {
    // https://docs.amazonaws.cn/en_us/aws/latest/userguide/endpoints-arns.html
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// What is found of who flitch is.
#[derive(Debug)]
pub(crate) struct Found {
    /// The region of the environment or the profile.
    pub region: Option<String>,
    credentials: Credentials,
}

#[derive(Debug)]
enum Credentials {
    /// The environment, or the machine: as the library of stores finds them.
    Environment,
    /// A role that a token in a file may take.
    Configured(Vec<(AmazonS3ConfigKey, String)>),
    /// A profile, or what gives them out to a container.
    Provider(AwsCredentialProvider),
}

impl Found {
    /// Looks for them; `profile` is one that the settings name, and comes before all others then.
    ///
    /// # Errors
    /// A profile that somebody names is not there, or cannot be used; the text shows nothing that is secret.
    pub fn of(profile: Option<&str>) -> anyhow::Result<Found> {
        Found::of_files(profile, environment, Files::of(environment))
    }

    fn of_files(
        named: Option<&str>,
        env: impl Fn(&str) -> Option<String>,
        files: Files,
    ) -> anyhow::Result<Found> {
        let region = env("AWS_REGION").or_else(|| env("AWS_DEFAULT_REGION"));
        let of_environment = env("AWS_PROFILE");
        let name = named.or(of_environment.as_deref());
        let profiles = match files.profiles() {
            // Files of somebody else in a home that is ours by chance hold up nobody who does not ask for them.
            Err(_) if name.is_none() => BTreeMap::new(),
            profiles => profiles.with_context(|| wrong!("profile", ": its files cannot be read"))?,
        };
        let values = profiles.get(name.unwrap_or("default"));
        let region = region.or_else(|| values?.get("region").filter(|region| !region.is_empty()).cloned());
        let has_keys = env("AWS_ACCESS_KEY_ID").is_some() && env("AWS_SECRET_ACCESS_KEY").is_some();
        let has_token = env("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() && env("AWS_ROLE_ARN").is_some();
        let is_given = named.is_none() && (has_keys || has_token);
        if is_given {
            return Ok(Found { region, credentials: Credentials::Environment });
        }
        if name.is_none() && values.is_none() {
            return Ok(Found { region, credentials: Credentials::of_machine(env)? });
        }
        let name = name.unwrap_or("default");
        let credentials =
            match profile::from(&profiles, name).context(wrong!("profile", " cannot be used"))? {
                None => Credentials::of_machine(env)?,
                Some(From::WebIdentity { role, token_file }) => Credentials::Configured(vec![
                    (AmazonS3ConfigKey::WebIdentityTokenFile, token_file),
                    (AmazonS3ConfigKey::RoleArn, role.arn),
                    (AmazonS3ConfigKey::RoleSessionName, role.session),
                ]),
                Some(_) => {
                    let region = region.clone().unwrap_or_else(default_region);
                    Credentials::Provider(Arc::new(Profiled::new(
                        name,
                        files,
                        region,
                        env("AWS_ENDPOINT_URL_STS"),
                    )?))
                }
            };
        Ok(Found { region, credentials })
    }

    /// Tells a store of them.
    pub fn set(&self, builder: AmazonS3Builder) -> AmazonS3Builder {
        match &self.credentials {
            Credentials::Environment => with_environment(builder),
            Credentials::Configured(pairs) => {
                pairs.iter().fold(builder, |builder, (key, value)| builder.with_config(*key, value))
            }
            Credentials::Provider(provider) => builder.with_credentials(provider.clone()),
        }
    }
}

impl Credentials {
    /// Those of the container that flitch runs in, else of the machine.
    fn of_machine(env: impl Fn(&str) -> Option<String>) -> anyhow::Result<Credentials> {
        Ok(match Container::of(env)? {
            Some(container) => Credentials::Provider(Arc::new(container)),
            None => Credentials::Environment,
        })
    }
}

fn with_environment(builder: AmazonS3Builder) -> AmazonS3Builder {
    let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_else(default_region);
    // The library knows one domain; what the environment says comes behind, and counts.
    let builder = match domain(&region) {
        "amazonaws.com" => builder,
        domain => {
            builder.with_config(AmazonS3ConfigKey::StsEndpoint, format!("https://sts.{region}.{domain}"))
        }
    };
    let set = ENVIRONMENT.into_iter().filter_map(|(name, key)| Some((key, environment(name)?)));
    set.fold(builder, |builder, (key, value)| builder.with_config(key, value))
}

/// The region where nobody names one.
pub(crate) fn default_region() -> String {
    "us-east-1".to_owned()
}

/// What signs requests to AWS where the settings do not say it, for whatever service.
///
/// # Errors
/// The environment or a profile contradicts itself, or there is no TLS to ask over.
pub(crate) fn credentials(region: &str) -> anyhow::Result<AwsCredentialProvider> {
    credentials_of(&Found::of(None)?, region)
}

fn credentials_of(found: &Found, region: &str) -> anyhow::Result<AwsCredentialProvider> {
    let builder = AmazonS3Builder::new()
        .with_bucket_name("none")
        .with_region(region)
        .with_retry(retries())
        .with_http_connector(Connector::new(default_timeout().0, None)?);
    let store = found.set(builder).build().context("no credentials of AWS")?;
    Ok(store.credentials().clone())
}

/// Signs a request (Signature Version 4), and puts the signature among its headers.
///
/// # Errors
/// The URL or the body cannot be signed.
pub(crate) fn sign(
    credential: &AwsCredential,
    (service, region): (&str, &str),
    (method, url): (&Method, &Url),
    headers: &mut HeaderMap,
    body: &bytes::Bytes,
) -> Result<(), String> {
    let mut request = HttpRequest::new(body.clone().into());
    *request.method_mut() = method.clone();
    *request.uri_mut() = url.as_str().parse().map_err(|_| format!("{url} cannot be signed"))?;
    *request.headers_mut() = std::mem::take(headers);
    let signer = AwsAuthorizer::new(credential, service, region);
    signer.try_authorize(&mut request, None).map_err(|error| error.to_string())?;
    *headers = std::mem::take(request.headers_mut());
    Ok(())
}

#[cfg(test)]
mod tests;
