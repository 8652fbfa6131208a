//! Where a registry may send who asks it: registries keep content in stores of others, and a hostile one would have flitch
//! reach what only this machine can.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use reqwest::header::{HeaderMap, LOCATION};

/// Where an answer to a request for `at` leads.
///
/// # Errors
/// It may not; in words that go on behind "redirects".
pub fn target(at: &Url, head: &HeaderMap) -> Result<Url, String> {
    let location = head.get(LOCATION).ok_or("and does not say whereto")?;
    let location = location.to_str().map_err(|_| "to what is no text")?;
    allowed(at, location)
}

/// A URL that a server at `at` names.
///
/// # Errors
/// Nobody may be sent there.
pub fn allowed(at: &Url, text: &str) -> Result<Url, String> {
    let next = at.join(text).map_err(|_| "to what is no URL".to_owned())?;
    if is_same_server(at, &next) {
        return Ok(next);
    }
    let place = || format!("{}://{}", next.scheme(), next.host_str().unwrap_or_default());
    match next.scheme() {
        "https" => {}
        "http" if at.scheme() == "http" => {}
        "http" => return Err(format!("to {}, without TLS", place())),
        _ => return Err(format!("to {}", place())),
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err(format!("to {} as a user", place()));
    }
    if is_inside(&next) && !(is_inside(at) && next.host_str() == at.host_str()) {
        return Err(format!("to {}, which is no place outside of this network", place()));
    }
    Ok(next)
}

/// Whether both are of one server.
pub fn is_same_server(one: &Url, other: &Url) -> bool {
    let server =
        |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    server(one) == server(other) && other.username().is_empty() && other.password().is_none()
}

/// Whether a URL names this machine, or an address that only this network has: the metadata of clouds are there.
fn is_inside(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    // A name with a point at its end is the same name.
    let host = host.trim_end_matches('.');
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => is_inside_v4(address),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_multicast()
                || inner_v4(address).is_some_and(is_inside_v4)
        }
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

fn is_inside_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        // This network (RFC 1122), and what providers share among their customers (RFC 6598).
        || first == 0
        || (first == 100 && second & 0xc0 == 64)
}

/// The address of IPv4 to which one of IPv6 leads through a gateway: 64:ff9b::/96 (RFC 6052) and 2002::/16 (RFC 3056).
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_leads_to_other_stores_and_never_inside_or_out_of_tls() {
        let at = Url::parse("https://registry.example.com/v2/a/blobs/x").unwrap();
        for good in ["/v2/other", "https://cdn.example.net/x?sig=1", "https://registry.example.com:443/y"] {
            allowed(&at, good).unwrap();
        }
        for bad in [
            "http://registry.example.com/x",
            "http://cdn.example.net/x",
            "https://127.0.0.1/x",
            "https://localhost/x",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/x",
            "https://[::ffff:10.0.0.1]/x",
            "https://10.0.0.1/x",
            "https://0x7f.1/x",
            "https://2130706433/x",
            "https://0.0.0.0/x",
            "https://localhost./x",
            "https://127.0.0.1./x",
            "https://100.100.100.200/latest/meta-data",
            "https://255.255.255.255/x",
            "https://[64:ff9b::a9fe:a9fe]/x",
            "https://[2002:7f00:1::]/x",
            "https://user:secret@cdn.example.net/x",
            "file:///etc/passwd",
            "https://",
        ] {
            allowed(&at, bad).unwrap_err();
        }
        let plain = Url::parse("http://127.0.0.1:5000/v2/").unwrap();
        allowed(&plain, "http://127.0.0.1:6000/x").unwrap();
        allowed(&plain, "http://127.0.0.2:5000/x").unwrap_err();
    }
}
