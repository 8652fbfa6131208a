//! What a registry wants to know of who asks (RFC 9110, section 11.6.1).

/// One way to say it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// `bearer` or `basic`, in lower case.
    pub scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// All that stand in a header: `Bearer realm="https://…",service="…", Basic realm="…"`.
    pub fn all(header: &str) -> Vec<Challenge> {
        let mut all: Vec<Challenge> = Vec::new();
        let mut rest = header.trim_start();
        while !rest.is_empty() {
            let end = rest.find(['=', ' ', ',']).unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            rest = behind;
            if let (Some(value), Some(challenge)) = (behind.strip_prefix('='), all.last_mut()) {
                let (value, behind) = parameter(value);
                challenge.parameters.push((name.to_ascii_lowercase(), value));
                rest = behind;
            } else if !name.is_empty() {
                all.push(Challenge { scheme: name.to_ascii_lowercase(), parameters: Vec::new() });
            }
            rest = rest.trim_start_matches([' ', ',', '=']);
        }
        all
    }

    /// A parameter of it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// The value at the begin of a text, in quotes or not, and what is behind it.
fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([',', ' ']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_registries_want_is_read_out_of_their_headers() {
        let all = Challenge::all(
            r#"Bearer realm="https://auth.example.com/token",service="r, \"x\"",scope="repository:a/b:pull,push", Basic realm="r""#,
        );
        assert_eq!(all.iter().map(|one| one.scheme.as_str()).collect::<Vec<_>>(), ["bearer", "basic"]);
        assert_eq!(all[0].get("realm"), Some("https://auth.example.com/token"));
        assert_eq!(all[0].get("service"), Some("r, \"x\""));
        assert_eq!(all[0].get("scope"), Some("repository:a/b:pull,push"));
        assert_eq!(Challenge::all("Negotiate, basic Realm=x")[1].get("realm"), Some("x"));
        for odd in ["", ",", "=", "a=b", "Bearer realm=\"", "Bearer =,=x", "Bearer realm=\"\\"] {
            Challenge::all(odd);
        }
    }
}
