//! Bringing content to a registry.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::{Action, Client, redirect};
use crate::Error;
use crate::digest::Digest;

impl Client<'_> {
    /// Brings content there, unless it is there.
    ///
    /// # Errors
    /// The registry does not take it.
    pub async fn upload(&self, repository: &str, content: Bytes) -> Result<Digest, Error> {
        let digest = Digest::of(&content);
        let there = self.url(repository, &format!("blobs/{digest}"))?;
        let asked = self.ask(repository, Action::Push, &|http| http.head(there.clone())).await?;
        if asked.status() == StatusCode::OK {
            return Ok(digest);
        }
        let begin = self.url(repository, "blobs/uploads/")?;
        let post = |http: &reqwest::Client| http.post(begin.clone()).header(CONTENT_LENGTH, 0);
        let begun = self.ask(repository, Action::Push, &post).await?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(self.refused(begun, &format!("room in {repository}")).await);
        }
        let refused = |why: String| Error::Refused(format!("{} sends an upload {why}", self.host));
        let mut place = redirect::target(&begin, begun.headers()).map_err(refused)?;
        if !redirect::is_same_server(&self.base, &place) {
            return Err(refused("to another server".to_owned()));
        }
        place.query_pairs_mut().append_pair("digest", &digest.to_string());
        let put = |http: &reqwest::Client| {
            http.put(place.clone()).header(CONTENT_TYPE, "application/octet-stream").body(content.clone())
        };
        let done = self.ask(repository, Action::Push, &put).await?;
        match done.status() {
            StatusCode::CREATED => Ok(digest),
            _ => Err(self.refused(done, &digest.short()).await),
        }
    }

    /// Brings a manifest there, under a tag or its digest. What it leads to must be there.
    ///
    /// # Errors
    /// The registry does not take it.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        text: Bytes,
    ) -> Result<(), Error> {
        let url = self.url(repository, &format!("manifests/{reference}"))?;
        let put = |http: &reqwest::Client| {
            http.put(url.clone()).header(CONTENT_TYPE, media_type).body(text.clone())
        };
        let done = self.ask(repository, Action::Push, &put).await?;
        match done.status() {
            StatusCode::CREATED => Ok(()),
            _ => Err(self.refused(done, &format!("{repository}:{reference}")).await),
        }
    }
}
