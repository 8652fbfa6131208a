//! What a registry says of a plugin: its manifest, by the layout that the CNCF's working group agreed on (Wasm OCI Artifact
//! layout): one layer, the component, and a configuration that names its imports and exports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::digest::Digest;

/// Media type of a manifest (OCI image-spec).
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of a list of manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of a component.
pub const WASM: &str = "application/wasm";
/// Media type of what is said of a component.
pub const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// Media type of the configuration of what has none: `{}`.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Most bytes of a manifest or an index, as much as registries have to take.
pub const MOST: u64 = 4 << 20;

/// Where some content is, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// By what it is known.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// What the manifest is for that it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// That of these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Content of this digest, where it is as large as is said too.
    ///
    /// # Errors
    /// It is not.
    pub fn holds(&self, content: Vec<u8>) -> Result<Vec<u8>, Error> {
        match content.len() as u64 == self.size {
            true => Ok(content),
            false => Err(Error::Refused(format!(
                "its manifest says that {} has {} bytes, and it has {}",
                self.digest,
                self.size,
                content.len()
            ))),
        }
    }
}

/// A manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`MANIFEST`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it is for, where its configuration does not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its configuration.
    pub config: Descriptor,
    /// Its content.
    pub layers: Vec<Descriptor>,
    /// What it is about: of a signature, what it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// More about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`INDEX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
}

impl Manifest {
    /// One of a component and what is said of it.
    pub fn of_component(config: &[u8], component: &[u8]) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: None,
            config: Descriptor::of(CONFIG, config),
            layers: vec![Descriptor::of(WASM, component)],
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads one, which came as `told`, where whoever sent it said what it is.
    ///
    /// # Errors
    /// It is none, or is said to be something else.
    pub fn read(bytes: &[u8], told: Option<&str>) -> Result<Manifest, Error> {
        let refused = |why: String| Error::Refused(format!("its manifest {why}"));
        let kind = kind_of(bytes).map_err(|error| refused(format!("cannot be read: {error}")))?;
        if let (Some(told), Some(own)) = (told, &kind)
            && told != own
        {
            return Err(refused(format!("is sent as {told}, and says that it is {own}")));
        }
        let kind = kind.as_deref().or(told).unwrap_or(MANIFEST);
        if kind != MANIFEST {
            return Err(refused(format!("is of the type {kind}, and that of a plugin is {MANIFEST}")));
        }
        serde_json::from_slice(bytes).map_err(|error| refused(format!("cannot be read: {error}")))
    }

    /// The one layer of a plugin, which has at most `most` bytes.
    ///
    /// # Errors
    /// It is the manifest of something else, or of a component that is too large.
    pub fn component(&self, most: u64) -> Result<&Descriptor, Error> {
        let types = || {
            let types: Vec<&str> = self.layers.iter().map(|layer| layer.media_type.as_str()).collect();
            types.join(", ")
        };
        let layer = match &self.layers[..] {
            [layer] if layer.media_type == WASM => layer,
            _ => {
                let has = if self.layers.is_empty() { "no layer".to_owned() } else { types() };
                return Err(Error::Refused(format!(
                    "it is no plugin, which has one layer of the type {WASM}: it has {has}"
                )));
            }
        };
        if layer.size > most {
            return Err(Error::Refused(format!(
                "it has {} bytes, and `plugins: {{ max_bytes: … }}` allows {most}",
                layer.size
            )));
        }
        Ok(layer)
    }

    /// Its text, as it is kept and sent.
    pub fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers make JSON")
    }
}

/// What some text of JSON says that it is.
fn kind_of(bytes: &[u8]) -> serde_json::Result<Option<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        media_type: Option<String>,
    }
    Ok(serde_json::from_slice::<Kind>(bytes)?.media_type)
}

/// What is said of a component, beside it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'a str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: Vec<Digest>,
    component: Interfaces<'a>,
}

#[derive(Debug, Serialize)]
struct Interfaces<'a> {
    exports: &'a [String],
    imports: &'a [String],
}

/// What is said of a component, as `application/vnd.wasm.config.v0+json`; `created` is the time at which it was made (RFC 3339).
pub fn config(component: &[u8], exports: &[String], imports: &[String], created: &str) -> Vec<u8> {
    let config = Config {
        created,
        architecture: "wasm",
        os: "wasip2",
        layer_digests: vec![Digest::of(component)],
        component: Interfaces { exports, imports },
    };
    serde_json::to_vec(&config).expect("texts make JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_says_something_else_than_how_it_came_is_refused() {
        let text = Manifest::of_component(b"{}", b"wasm").text();
        assert!(Manifest::read(&text, Some(MANIFEST)).is_ok());
        assert!(Manifest::read(&text, None).is_ok());
        let lie = Manifest::read(&text, Some(INDEX)).unwrap_err().to_string();
        assert!(lie.contains("is sent as"), "{lie}");
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).to_string();
        let other = Manifest::read(index.as_bytes(), Some(INDEX)).unwrap_err().to_string();
        assert!(other.contains("that of a plugin is"), "{other}");
        assert!(Manifest::read(b"<html>", None).is_err());
    }

    #[test]
    fn a_plugin_has_one_layer_that_is_a_component_and_not_too_large() {
        let mut manifest = Manifest::of_component(b"{}", b"wasm");
        assert_eq!(manifest.component(4).unwrap().digest, Digest::of(b"wasm"));
        assert!(manifest.component(3).unwrap_err().to_string().contains("max_bytes"));
        manifest.layers[0].media_type = "application/vnd.oci.image.layer.v1.tar+gzip".to_owned();
        assert!(manifest.component(4).unwrap_err().to_string().contains("it has application/vnd.oci.image"));
        manifest.layers.clear();
        assert!(manifest.component(4).unwrap_err().to_string().contains("it has no layer"));
    }
}
