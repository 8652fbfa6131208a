//! Which hosts are Kusto's: a token goes to no other.
//!
//! The list is that of Microsoft's own clients (`wellKnownKustoEndpoints.json` of azure-kusto-python 6.0.4).

use std::net::IpAddr;

use reqwest::Url;

/// What the names of clusters end in: of the public cloud, Fabric and Synapse, and of sovereign clouds.
const SUFFIXES: &[&str] = &[
    ".kusto.windows.net",
    ".kustomfa.windows.net",
    ".kusto.azuresynapse.net",
    ".kusto.data.microsoft.com",
    ".kusto.fabric.microsoft.com",
    ".dxp.aad.azure.com",
    ".playfabapi.com",
    ".playfab.com",
    ".azureplayfab.com",
    ".api.securityplatform.microsoft.com",
    ".securitycenter.windows.com",
    ".arg.core.windows.net",
    ".kusto.usgovcloudapi.net",
    ".kustomfa.usgovcloudapi.net",
    ".arg.core.usgovcloudapi.net",
    ".kusto.azuresynapse.azure.cn",
    ".kusto.chinacloudapi.cn",
    ".kustomfa.chinacloudapi.cn",
    ".playfab.cn",
    ".arg.core.chinacloudapi.cn",
    ".kusto.core.eaglex.ic.gov",
    ".kustomfa.core.eaglex.ic.gov",
    ".kusto.core.microsoft.scloud",
    ".kustomfa.core.microsoft.scloud",
    ".kusto.sovcloud-api.fr",
    ".kustomfa.sovcloud-api.fr",
    ".kusto.sovcloud-api.de",
    ".kustomfa.sovcloud-api.de",
    ".kusto.sovcloud-api.sg",
    ".kustomfa.sovcloud-api.sg",
];

/// Whole names.
const HOSTS: &[&str] = &[
    "ade.applicationinsights.io",
    "ade.loganalytics.io",
    "adx.applicationinsights.azure.com",
    "adx.loganalytics.azure.com",
    "adx.monitor.azure.com",
    "adx.applicationinsights.azure.us",
    "adx.loganalytics.azure.us",
    "adx.monitor.azure.us",
    "adx.applicationinsights.azure.cn",
    "adx.loganalytics.azure.cn",
    "adx.monitor.azure.cn",
    "kusto.aria.microsoft.com",
    "eu.kusto.aria.microsoft.com",
    "api.securityplatform.microsoft.com",
];

/// Whether a token may go to a server: it is Kusto's and is spoken to by TLS, or it is one of `more` (a whole name, or a
/// suffix that begins with a dot), or it is this machine.
pub(super) fn is_trusted(url: &Url, more: &[String]) -> bool {
    let Some(host) = url.host_str().map(str::to_ascii_lowercase) else { return false };
    let is = |known: &str| match known.strip_prefix('.') {
        Some(_) => host.ends_with(known) && host.len() > known.len(),
        None => host == known,
    };
    let is_known = || SUFFIXES.iter().chain(HOSTS).any(|known| is(known));
    is_local(&host)
        || more.iter().any(|known| is(&known.to_ascii_lowercase()))
        || url.scheme() == "https" && is_known()
}

/// Whether a host is this machine.
pub(super) fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_no_host_that_only_looks_like_kustos() {
        let more = ["kusto.example.org".to_owned(), ".lab.example.org".to_owned()];
        let is_trusted = |url: &str| super::is_trusted(&Url::parse(url).unwrap(), &more);
        for good in [
            "https://logs.westeurope.kusto.windows.net",
            "https://ingest-Logs.westeurope.KUSTO.windows.net",
            "https://trd-1.z0.kusto.fabric.microsoft.com",
            "https://adx.monitor.azure.com",
            "https://kusto.example.org",
            "https://a.lab.example.org",
            "http://127.0.0.1:8080",
            "http://localhost",
            "http://[::1]:1",
        ] {
            assert!(is_trusted(good), "{good}");
        }
        for bad in [
            "https://kusto.windows.net.evil.example",
            "https://evilkusto.windows.net",
            "https://.kusto.windows.net",
            "http://logs.westeurope.kusto.windows.net",
            "https://logs.kusto.windows.net@evil.example",
            "https://evil.kusto.example.org",
            "https://lab.example.org",
            "https://localhost.evil.example",
            "https://127.0.0.1.evil.example",
        ] {
            assert!(!is_trusted(bad), "{bad}");
        }
    }
}
