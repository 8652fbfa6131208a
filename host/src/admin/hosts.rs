//! The names by which the admin listener may be asked for.

use std::net::IpAddr;

use hyper::header::HOST;
use hyper::http::uri::Authority;
use hyper::{Request, Version};

use flitch_core::machine::hostname;

/// The names that the listener answers for.
///
/// A web page whose name is made to lead to this machine (DNS rebinding) would otherwise have the browser of whoever
/// looks at it read the listener: the browser counts both as one site. The name of the page stands in `Host`.
pub struct Hosts {
    listen: IpAddr,
    names: Vec<String>,
}

impl Hosts {
    /// Those of a listener at this address: `more` beside its own.
    pub fn new<'a>(listen: IpAddr, more: impl IntoIterator<Item = &'a str>) -> Hosts {
        let names = ["localhost", hostname()].into_iter().map(str::to_owned);
        let more = more.into_iter().map(|name| host(name).unwrap_or_else(|| name.to_owned()));
        let names = names.chain(more).map(|name| plain(&name)).collect();
        Hosts { listen: listen.to_canonical(), names }
    }

    /// Whether all that a request says about the host that it wants is about this one.
    ///
    /// # Errors
    /// What to tell the client.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), String> {
        let headers = request.headers().get_all(HOST).iter();
        let mut asked =
            headers.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect::<Vec<_>>();
        asked.extend(request.uri().authority().map(ToString::to_string));
        if asked.is_empty() && request.version() > Version::HTTP_10 {
            return Err("the request does not say for which host it is (`Host`)\n".to_owned());
        }
        match asked.iter().find(|asked| !host(asked).is_some_and(|host| self.is_ours(&host))) {
            Some(other) => {
                Err(format!("the host {other:?} is not known here: add it to `admin.hosts` if it is right\n"))
            }
            None => Ok(()),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                // A listener on all addresses cannot tell which ones lead to it; and an address is no name that
                // somebody could make lead elsewhere.
                address.is_loopback() || address == self.listen || self.listen.is_unspecified()
            }
            Err(_) => self.names.contains(&plain(host)),
        }
    }
}

/// The host of `host:port`.
fn host(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    (!authority.as_str().contains('@')).then(|| authority.host().to_owned())
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
