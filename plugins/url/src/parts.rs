//! The parts of a URL, as RFC 3986 has them.

use flitch_sdk::parse::excerpt;

/// The parts of one URL, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts<'a> {
    pub scheme: Option<&'a str>,
    pub username: Option<&'a str>,
    pub host: Option<&'a str>,
    pub port: Option<u16>,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Takes a text apart.
    ///
    /// # Errors
    /// Why it is no URL.
    pub fn of(text: &'a str) -> Result<Self, String> {
        let is_wrong = |c: char| c <= ' ' || c == '\u{7f}' || c.is_whitespace();
        if let Some(wrong) = text.chars().find(|c| is_wrong(*c)) {
            return Err(format!("there is {wrong:?} in {}", excerpt(text)));
        }
        let mut parts = Self::default();
        let mut rest = text;
        if !text.starts_with(['/', '?']) {
            let (scheme, behind) = text.split_once(':').ok_or_else(|| no_scheme(text))?;
            let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
            if !is_scheme {
                return Err(no_scheme(text));
            }
            parts.scheme = Some(scheme);
            rest = behind;
            if let Some(behind) = rest.strip_prefix("//") {
                let (authority, behind) =
                    behind.split_at(behind.find(['/', '?', '#']).unwrap_or(behind.len()));
                parts.authority(authority).map_err(|wrong| format!("{wrong} in {}", excerpt(text)))?;
                rest = behind;
            }
        }
        if let Some((before, fragment)) = rest.split_once('#') {
            parts.fragment = Some(fragment);
            rest = before;
        }
        if let Some((before, query)) = rest.split_once('?') {
            parts.query = Some(query);
            rest = before;
        }
        parts.path = rest;
        Ok(parts)
    }

    fn authority(&mut self, text: &'a str) -> Result<(), &'static str> {
        // A sign in the password is written %40, but not by everybody.
        let address = match text.rsplit_once('@') {
            Some((user, address)) => {
                self.username = user.split(':').next().filter(|name| !name.is_empty());
                address
            }
            None => text,
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(inside) => {
                let (host, behind) = inside.split_once(']').ok_or("there is no closing bracket")?;
                let address = host.find('%').map_or(host, |zone| &host[..zone]);
                if address.parse::<std::net::Ipv6Addr>().is_err() {
                    return Err("there is no address of version 6 between the brackets");
                }
                if !is_zone(&host[address.len()..]) {
                    return Err("there is no zone such as %25eth0 behind the address");
                }
                (host, behind.strip_prefix(':').or(Some(behind).filter(|behind| behind.is_empty())))
            }
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, Some("")),
            },
        };
        let port = port.ok_or("there is something behind the closing bracket")?;
        if !port.is_empty() {
            let number = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
            self.port = Some(number.ok_or("there is no port from 0 to 65535")?);
        }
        let needs_host = ["http", "https", "ws", "wss", "ftp"];
        let scheme = self.scheme.unwrap_or_default();
        if host.is_empty() && needs_host.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
            return Err("there is no host");
        }
        if host.contains(['<', '>', '"', '\\', '^', '`', '{', '|', '}', '[', ']']) {
            return Err("there is a sign that no host has");
        }
        self.host = Some(host).filter(|host| !host.is_empty());
        Ok(())
    }

    /// The port that the scheme has where none is written.
    pub fn default_port(&self) -> Option<u16> {
        match self.scheme?.to_ascii_lowercase().as_str() {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            "ftp" => Some(21),
            _ => None,
        }
    }
}

/// Whether this is the zone of an address of version 6, as RFC 6874 writes it, or nothing.
fn is_zone(text: &str) -> bool {
    let Some(name) = text.strip_prefix("%25") else { return text.is_empty() };
    let mut bytes = name.bytes();
    let is_hex = |bytes: &mut std::str::Bytes<'_>| bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
    while let Some(byte) = bytes.next() {
        let is_sign = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if !(is_sign || byte == b'%' && is_hex(&mut bytes) && is_hex(&mut bytes)) {
            return false;
        }
    }
    !name.is_empty()
}

fn no_scheme(text: &str) -> String {
    format!("there is no scheme such as https: at the beginning of {}", excerpt(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Parts<'_> {
        Parts::of(text).unwrap()
    }

    #[test]
    fn each_part_is_found_as_it_is_written() {
        let found = parts("HTTPS://Joe:p@ss@Host.Example:8443/a/b%20c;x=1?q=1&r=/?#top?x");
        let wanted = Parts {
            scheme: Some("HTTPS"),
            username: Some("Joe"),
            host: Some("Host.Example"),
            port: Some(8443),
            path: "/a/b%20c;x=1",
            query: Some("q=1&r=/?"),
            fragment: Some("top?x"),
        };
        assert_eq!(found, wanted);
        assert_eq!(parts("http://bücher.example?x").host, Some("bücher.example"));
        assert_eq!((parts("http://[::1]:80/").host, parts("http://[::1]:80/").port), (Some("::1"), Some(80)));
        let zoned = parts("http://[FE80::1%25Eth0.1%20x]:80/");
        assert_eq!((zoned.host, zoned.port), (Some("FE80::1%25Eth0.1%20x"), Some(80)));
        assert_eq!(
            parts("mailto:a@b.de"),
            Parts { scheme: Some("mailto"), path: "a@b.de", ..Parts::default() }
        );
        assert_eq!(parts("file:///etc/x").path, "/etc/x");
        assert_eq!(
            parts("/a?b#c"),
            Parts { path: "/a", query: Some("b"), fragment: Some("c"), ..Parts::default() }
        );
        assert_eq!(parts("http://h:/").port, None);
        assert_eq!(parts("//h/x").path, "//h/x");
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "there is no scheme such as https: at the beginning of \"\""),
            ("host/x", "there is no scheme such as https: at the beginning of \"host/x\""),
            ("1http://x", "there is no scheme such as https: at the beginning of \"1http://x\""),
            ("http://", "there is no host in \"http://\""),
            ("http://h:65536/", "there is no port from 0 to 65535 in \"http://h:65536/\""),
            ("http://h:+1/", "there is no port from 0 to 65535 in \"http://h:+1/\""),
            ("http://[::1", "there is no closing bracket in \"http://[::1\""),
            ("http://[x]/", "there is no address of version 6 between the brackets in \"http://[x]/\""),
            (
                "http://[::1%25]/",
                "there is no zone such as %25eth0 behind the address in \"http://[::1%25]/\"",
            ),
            (
                "http://[::1%eth0]/",
                "there is no zone such as %25eth0 behind the address in \"http://[::1%eth0]/\"",
            ),
            (
                "http://[::1%25a%2]/",
                "there is no zone such as %25eth0 behind the address in \"http://[::1%25a%2]/\"",
            ),
            (
                "http://[::1%25a|b]/",
                "there is no zone such as %25eth0 behind the address in \"http://[::1%25a|b]/\"",
            ),
            (
                "http://[%25eth0]/",
                "there is no address of version 6 between the brackets in \"http://[%25eth0]/\"",
            ),
            ("http://[::1]x/", "there is something behind the closing bracket in \"http://[::1]x/\""),
            ("http://a b/", "there is ' ' in \"http://a b/\""),
            ("http://a<b/", "there is a sign that no host has in \"http://a<b/\""),
        ] {
            assert_eq!(Parts::of(text).unwrap_err(), reason);
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        for text in [
            "é://é@é:é/é?é#é",
            "http://[é]",
            "http://[::1%25é%2é]",
            "http://é:80é",
            "a:",
            "a://@:",
            "?#",
            "#",
        ] {
            for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
                let _ = Parts::of(&text[..end]);
            }
        }
    }
}
