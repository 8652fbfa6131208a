//! OAuth tokens, from a file as Kubernetes and token agents write it, or from Microsoft Entra ID.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::client::OAuthToken;

use flitch_core::net::entra::{Claims, Entra, LONGEST, claims};

/// When a token without an end is read again.
const AGAIN: Duration = Duration::from_secs(300);

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Tokens {
    /// A file, which somebody writes anew before they end.
    File(PathBuf),
    /// Microsoft Entra ID.
    Entra(Entra),
}

impl Tokens {
    /// A token that has not ended. May block.
    ///
    /// # Errors
    /// Why there is none, without a token.
    pub fn get(&self) -> Result<OAuthToken, String> {
        match self {
            Tokens::File(path) => read(path),
            Tokens::Entra(entra) => {
                let token = entra.token().map_err(|error| format!("{error:#}"))?;
                Ok(OAuthToken { token: token.token, principal_name: token.owner, lifetime_ms: token.ends })
            }
        }
    }
}

/// Reads a token; the error says what is wrong with the file, without the token.
pub fn read(path: &Path) -> Result<OAuthToken, String> {
    let text = flitch_core::named_file::read_text(path)
        .map_err(|e| format!("`sasl.token_file` {}: {e}", path.display()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("`sasl.token_file` {} is empty", path.display()));
    }
    let Claims { subject, end } = claims(token);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Some(over) = end.map(|end| now.as_secs_f64() - end).filter(|over| *over >= 0.0) {
        let path = path.display();
        return Err(format!(
            "`sasl.token_file` {path}: the token expired {over:.0} s ago; it must be written anew"
        ));
    }
    let (later, last) = (now + AGAIN, now + LONGEST);
    // librdkafka counts in microseconds: with an end that these do not hold it waits for another token without a word.
    let ends = |seconds: f64| ((seconds * 1000.0) as i64).min(last.as_millis() as i64);
    Ok(OAuthToken {
        token: token.to_owned(),
        principal_name: subject.unwrap_or_else(|| "flitch".to_owned()),
        lifetime_ms: end.map_or(later.as_millis() as i64, ends),
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    #[test]
    fn a_token_tells_its_owner_and_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let end = now() + 3600;
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"flitch@edge","exp":{end}}}"#));
        std::fs::write(&path, format!("e30.{claims}.sig\n")).unwrap();
        let token = read(&path).unwrap();
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("flitch@edge", end as i64 * 1000));
        assert!(token.token.ends_with(".sig"));
    }

    #[test]
    fn an_end_that_is_too_far_away_to_be_counted_is_taken_for_a_nearer_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for end in ["9223372036854775807", "9e18", "9223372036854775", "9007199254740991.5", "4102444800"] {
            let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{end}}}"#));
            std::fs::write(&path, format!("e30.{claims}.sig")).unwrap();
            let lasts = read(&path).unwrap().lifetime_ms - now() as i64 * 1000;
            assert!((0..=LONGEST.as_millis() as i64 + 1000).contains(&lasts), "{end}: {lasts}");
        }
    }

    #[test]
    fn a_token_that_is_over_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let claims = URL_SAFE_NO_PAD.encode(br#"{"exp":1000000000}"#);
        std::fs::write(&path, format!("e30.{claims}.sig")).unwrap();
        let error = read(&path).err().unwrap();
        assert!(error.contains("expired") && !error.contains(&claims), "{error}");
    }

    #[test]
    fn a_token_that_is_not_there_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(read(&path).err().unwrap().contains("token"));
        std::fs::write(&path, "\n").unwrap();
        assert!(read(&path).err().unwrap().contains("is empty"));
    }
}
