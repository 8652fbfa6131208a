//! What a registry has about a manifest: signatures, lists of parts, statements of whoever built it.

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LINK};

use super::{Client, redirect, text_of};
use crate::Error;
use crate::digest::Digest;
use crate::manifest::{self, Descriptor, INDEX, Index};

/// Most pages of a list, and how many referrers are enough to ask for no further one.
const ENOUGH: (usize, usize) = (16, 1000);

impl Client<'_> {
    /// What is said to be about the manifest of this digest: by the referrers API (distribution-spec 1.1, "Listing Referrers",
    /// page by page), or the tag that stands in for it.
    ///
    /// # Errors
    /// Not all of it could be had; `found` has what was had by then.
    pub async fn referrers(
        &self,
        repository: &str,
        digest: &Digest,
        found: &mut Vec<Descriptor>,
    ) -> Result<(), Error> {
        let mut at = Some(self.url(repository, &format!("referrers/{digest}"))?);
        for page in 0..ENOUGH.0 {
            let Some(url) = at.filter(|_| found.len() < ENOUGH.1) else { break };
            let answer = match self.get(repository, url.clone(), INDEX, "referrers").await {
                Ok(answer) if text_of(answer.headers(), CONTENT_TYPE.as_str()).as_deref() == Some(INDEX) => {
                    answer
                }
                // Registries without it say so in more ways than one.
                Ok(_) | Err(Error::Missing(_) | Error::Refused(_)) if page == 0 => {
                    found.extend(self.referrers_by_tag(repository, digest).await?);
                    return Ok(());
                }
                Ok(_) | Err(Error::Missing(_)) => {
                    return Err(Error::Failed(format!("{} breaks off a list of referrers", self.host)));
                }
                Err(error) => return Err(error),
            };
            at = next_page(&url, answer.headers()).filter(|next| redirect::is_same_server(&self.base, next));
            found.extend(self.index(&self.read(answer, manifest::MOST, "a list of referrers").await?)?);
        }
        Ok(())
    }

    async fn referrers_by_tag(&self, repository: &str, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
        match self.manifest(repository, &format!("sha256-{}", digest.hex())).await {
            Ok(sent) => self.index(&sent.bytes),
            Err(Error::Missing(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn index(&self, text: &[u8]) -> Result<Vec<Descriptor>, Error> {
        let index: Index = serde_json::from_slice(text).map_err(|error| {
            Error::Refused(format!("{} lists referrers that cannot be read: {error}", self.host))
        })?;
        Ok(index.manifests)
    }
}

/// Where a list goes on (RFC 8288), if it does.
fn next_page(at: &Url, head: &HeaderMap) -> Option<Url> {
    let links = head.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    for link in links.flat_map(|links| links.split(", <")) {
        let (target, parameters) = link.trim_start_matches([' ', '<']).split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
        });
        if is_next {
            return at.join(target).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_list_goes_on_is_read_out_of_its_headers() {
        let at = Url::parse("https://r.example.com/v2/a/referrers/sha256:1").unwrap();
        let next = |link: &str| {
            let head = HeaderMap::from_iter([(LINK, link.parse().unwrap())]);
            next_page(&at, &head).map(|url| url.to_string())
        };
        let page = Some("https://r.example.com/v2/a/referrers/sha256:1?last=x".to_owned());
        for link in [
            "</v2/a/referrers/sha256:1?last=x>; rel=\"next\"",
            "<?last=x>;rel=next",
            "<https://r.example.com/first>; rel=\"first\", <?last=x>; title=\"more\"; REL=\"Next\"",
        ] {
            assert_eq!(next(link), page, "{link}");
        }
        for link in ["", "</x>", "</x>; rel=\"prev\"", "/x; rel=next", "<"] {
            assert_eq!(next(link), None, "{link}");
        }
    }
}
