//! What a server is told in confidence. Some say it again where they refuse it: who passes on what a server says leaves it out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderName, PROXY_AUTHORIZATION};
use reqwest::{Request, RequestBuilder, Response};

/// Shortest text that is looked for: what is shorter stands in other words.
const SHORTEST: usize = 6;
/// What stands in the names of parameters that are keys.
const NAMES: [&str; 9] =
    ["auth", "code", "credential", "delegation", "key", "pass", "secret", "sig", "token"];
/// Length from which a parameter is taken for a key that looks like one.
const KEY: usize = 20;
/// Headers that are secret whether they say so or not.
const SECRET: [HeaderName; 3] =
    [AUTHORIZATION, PROXY_AUTHORIZATION, HeaderName::from_static("x-amz-security-token")];

/// Texts of one request that are nobody else's.
#[derive(Clone, Debug, Default)]
pub struct Confided(Vec<String>);

/// Sends a request. Its answer knows what it was told.
///
/// # Errors
/// As of [`RequestBuilder::send`].
pub async fn send(request: RequestBuilder) -> Result<Response, reqwest::Error> {
    let (client, request) = request.build_split();
    let request = request?;
    let confided = Confided::of(&request);
    let mut answer = client.execute(request).await?;
    answer.extensions_mut().insert(confided);
    Ok(answer)
}

impl Confided {
    /// What stands in credentials and other headers that are sensitive, and as a key in the URL.
    fn of(request: &Request) -> Confided {
        let mut texts = Vec::new();
        for (name, value) in request.headers() {
            if value.is_sensitive() || SECRET.contains(name) {
                texts.extend(value.to_str().map(of_header).unwrap_or_default());
            }
        }
        let pairs = request.url().query().unwrap_or_default().split('&');
        let pairs = pairs.filter_map(|pair| pair.split_once('=')).filter(|(name, value)| is_key(name, value));
        texts.extend(pairs.map(|(_, value)| value.to_owned()));
        texts.retain(|text| text.len() >= SHORTEST);
        // One that stands in another is not to be taken out of that before it.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Confided(texts)
    }

    /// Bytes of the longest text.
    pub fn longest(&self) -> usize {
        self.0.first().map_or(0, String::len)
    }

    /// A text with stars in the place of what was told in confidence.
    pub fn hide(&self, text: String) -> String {
        self.0.iter().fold(text, |text, told| text.replace(told.as_str(), "***"))
    }
}

/// Whether a parameter of a URL is a key, by its name or by what it is like: not all that stands there is secret, and a server's
/// words about it are needed.
fn is_key(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_like_one = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '%');
    NAMES.iter().any(|part| name.contains(part)) || value.len() >= KEY && value.chars().all(is_like_one)
}

/// `Bearer TOKEN` is the token; `Basic PAIR` the pair of user and password, and the password.
fn of_header(text: &str) -> Vec<String> {
    let told = text.split_once(' ').map_or(text, |(_, told)| told);
    let pair = BASE64_STANDARD.decode(told).ok().and_then(|pair| String::from_utf8(pair).ok());
    let password = pair.as_deref().and_then(|pair| pair.split_once(':'));
    password.map(|(_, password)| password.to_owned()).into_iter().chain([told.to_owned()]).collect()
}
