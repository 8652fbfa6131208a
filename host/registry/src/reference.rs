//! How a configuration names a plugin of a registry.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::digest::Digest;

const REGISTRY: &str = "oci://";
const LAYOUT: &str = "oci-layout:";
const PACKAGE: &str = "package:";
/// Longest name of a repository.
const LONGEST: usize = 255;

/// A plugin of a registry, `oci://registry.example.com/team/parse:1.2@sha256:…`, or of an OCI layout on disk,
/// `oci-layout:/srv/plugins:1.2@sha256:…`. The tag, or the digest, may be missing. Or a package, `package:parse`, which has
/// neither.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Where it is.
    pub place: Place,
    /// The name that it has there, which may come to mean another one.
    pub tag: Option<String>,
    /// The digest of its manifest.
    pub digest: Option<Digest>,
}

/// Where a plugin is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A repository of a registry.
    Registry {
        /// The registry's host, with a port where it has one.
        host: String,
        /// `team/parse`.
        repository: String,
    },
    /// An OCI layout.
    Layout {
        /// Its folder.
        path: PathBuf,
    },
    /// The server that manages this flitch has sent it.
    Package {
        /// Its name there.
        name: String,
    },
}

impl Reference {
    /// Whether a plugin is named by a reference, and not by the path of a file or a bare name.
    pub fn is_one(plugin: &str) -> bool {
        [REGISTRY, LAYOUT, PACKAGE].iter().any(|begin| plugin.starts_with(begin))
    }

    /// Reads one. A relative path of a layout is from `folder`.
    ///
    /// # Errors
    /// What is wrong with it, and how one is written.
    pub fn parse(text: &str, folder: &Path) -> Result<Reference, String> {
        let wrong = |why: String| {
            format!(
                "`{text}` {why}; write oci://REGISTRY/REPOSITORY:TAG@sha256:DIGEST, or oci-layout:FOLDER:TAG@sha256:DIGEST"
            )
        };
        if let Some(name) = text.strip_prefix(PACKAGE) {
            return match is_package(name) {
                true => {
                    Ok(Reference { place: Place::Package { name: name.to_owned() }, tag: None, digest: None })
                }
                false => Err(format!(
                    "`{text}` cannot be the name of a package; write `package:` and 1 to 64 letters, digits, `_`, `-` and `.`"
                )),
            };
        }
        let (rest, is_registry) = match (text.strip_prefix(REGISTRY), text.strip_prefix(LAYOUT)) {
            (Some(rest), _) => (rest, true),
            (_, Some(rest)) => (rest, false),
            _ => return Err(wrong("names no registry".to_owned())),
        };
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(&wrong)?)),
            None => (rest, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(wrong(format!("has the tag `{tag}`, which none can be")));
        }
        if tag.is_none() && digest.is_none() {
            return Err(wrong("has neither a tag nor a digest".to_owned()));
        }
        let place = if is_registry {
            let Some((host, repository)) = name.split_once('/') else {
                return Err(wrong("has no repository behind its registry".to_owned()));
            };
            if !is_host(host) {
                return Err(wrong(format!("has `{host}` in place of a registry")));
            }
            if repository.len() > LONGEST || !repository.split('/').all(is_component) {
                return Err(wrong(format!("has the repository `{repository}`, which none can be")));
            }
            Place::Registry { host: host.to_owned(), repository: repository.to_owned() }
        } else {
            if name.is_empty() {
                return Err(wrong("names no folder".to_owned()));
            }
            Place::Layout { path: folder.join(name) }
        };
        Ok(Reference { place, tag: tag.map(str::to_owned), digest })
    }

    /// The plugin's name, for people: the last part of its repository, or the layout's folder.
    pub fn name(&self) -> &str {
        match &self.place {
            Place::Registry { repository, .. } => repository.rsplit('/').next().unwrap_or_default(),
            Place::Layout { path } => path.file_name().and_then(|name| name.to_str()).unwrap_or("plugin"),
            Place::Package { name } => name,
        }
    }

    /// The same, pinned to this digest.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Reference {
        Reference { digest: Some(digest), ..self.clone() }
    }

    /// That its tag stands for `now`, and it is pinned to something else.
    pub fn moved(&self, now: &Digest) -> Error {
        let tag = self.tag.as_deref().unwrap_or_default();
        let wanted = self.digest.as_ref().map(ToString::to_string).unwrap_or_default();
        Error::Refused(format!(
            "the tag `{tag}` stands for {now} now, and is pinned to {wanted}: if the new one is meant, `flitch plugin lock --update` writes it; \
             to go on with the old one, take `:{tag}` away"
        ))
    }

    /// The same by this digest alone, whatever its tag stands for.
    #[must_use]
    pub fn pinned_alone(&self, digest: Digest) -> Reference {
        Reference { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// Whether it is this registry or repository, or below it: `registry.example.com`, `registry.example.com/team`.
    pub fn is_below(&self, place: &str) -> bool {
        let own = match &self.place {
            Place::Registry { host, repository } => format!("{host}/{repository}"),
            Place::Layout { path } => path.display().to_string(),
            Place::Package { name } => {
                return place == PACKAGE || place.strip_prefix(PACKAGE) == Some(name.as_str());
            }
        };
        let place = place.trim_end_matches('/');
        own.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Registry { host, repository } => write!(f, "{REGISTRY}{host}/{repository}")?,
            Place::Layout { path } => write!(f, "{LAYOUT}{}", path.display())?,
            Place::Package { name } => write!(f, "{PACKAGE}{name}")?,
        }
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}` (OCI distribution-spec).
pub(crate) fn is_tag(tag: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=128).contains(&tag.len()) && tag.chars().all(fits) && !tag.starts_with(['.', '-'])
}

/// Whether a package can be called so.
pub(crate) fn is_package(name: &str) -> bool {
    name.len() <= 64 && is_tag(name)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (the same), but for how many of these may stand side by side.
fn is_component(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.chars().all(fits) && ends(name.chars().next()) && ends(name.chars().last()) && !name.contains("..")
}

pub(crate) fn is_host(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    !host.is_empty() && host.chars().all(fits) && !host.starts_with([':', '.', '-'])
}

#[cfg(test)]
mod tests;
