//! What a store tells of writes in parts that are open: of one that a crash has cut in the moment of its begin no note has the
//! name by which the store knows it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use percent_encoding::percent_decode_str;
use reqwest::{Client, Method};

use super::fault::{between, classify};
use crate::{Answer, WriteError};
use flitch_core::net::http_client::{beginning, reason};
use flitch_core::net::tls::Renewed;

/// How long a request is good for.
const GOOD: Duration = Duration::from_secs(60);
/// Most bytes of an answer that are read: far more than the writes to one object take.
const MOST: usize = 1 << 20;

/// Knows which writes in parts are open.
pub(crate) trait Uploads: std::fmt::Debug + Send + Sync {
    /// The store's names of those to `object`; none where the store does not say.
    fn open<'a>(&'a self, object: &'a Path) -> Answer<'a, Option<Vec<String>>>;
}

/// Asks a store of S3's protocol: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>.
#[derive(Debug)]
pub(crate) struct Listing {
    pub store: Arc<AmazonS3>,
    pub client: Renewed<Client>,
}

impl Listing {
    async fn ask(&self, object: &Path) -> Result<Option<Vec<String>>, WriteError> {
        let query = [("uploads", ""), ("prefix", object.as_ref()), ("encoding-type", "url")];
        let options = SignedUrlOptions::default().with_query(query);
        let url = self.store.signed_url_opts(Method::GET, &Path::default(), GOOD, &options).await;
        let answer = self.client.get().get(url.map_err(|error| classify(&error))?).send().await;
        let answer = answer.map_err(|error| WriteError::Unreachable { reason: reason(&error) })?;
        let status = answer.status();
        let text = beginning(answer, MOST).await;
        match status {
            _ if status.is_success() => Ok(Some(named(&text, object.as_ref()))),
            _ if status.is_client_error() || status.as_u16() == 501 => Ok(None),
            _ => Err(WriteError::Unreachable { reason: format!("open uploads cannot be listed: {status}") }),
        }
    }
}

impl Uploads for Listing {
    fn open<'a>(&'a self, object: &'a Path) -> Answer<'a, Option<Vec<String>>> {
        Box::pin(self.ask(object))
    }
}

/// The names of the writes to `object` in an answer.
fn named(text: &str, object: &str) -> Vec<String> {
    let one = |upload: &str| {
        let key = unescaped(between(upload, "<Key>", "</Key>")?);
        // Not every store heeds the encoding that is asked for.
        let is_its =
            key == object || percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy() == object;
        is_its.then(|| between(upload, "<UploadId>", "</UploadId>").map(|id| unescaped(id).into_owned()))?
    };
    text.split("<Upload>").skip(1).filter_map(one).collect()
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let named =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#34;", "\""), ("&#39;", "'")];
    let plain = named.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    plain.replace("&amp;", "&").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writes_to_one_object_are_found_however_a_store_writes_its_name() {
        let upload =
            |key: &str, id: &str| format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>");
        let all = [
            upload("a=1/b%25c&amp;d", "plain"),
            upload("a%3D1/b%2525c%26d", "encoded&amp;"),
            upload("a=1/b%25c&amp;d.later", "another"),
            "<Upload><Key>a=1/b%25c&amp;d</Key></Upload>".to_owned(),
        ];
        let text = format!("<ListMultipartUploadsResult>{}</ListMultipartUploadsResult>", all.concat());
        assert_eq!(named(&text, "a=1/b%25c&d"), ["plain", "encoded&"]);
        assert_eq!(named("<html>no answer of a store</html>", "a"), [] as [String; 0]);
    }
}
