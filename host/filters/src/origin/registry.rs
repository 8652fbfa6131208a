//! Plugins of registries and OCI layouts.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flitch_registry::{Reference, Registries};
use parking_lot::Mutex;

use super::{Origin, Provenance};

/// A plugin that a reference names.
#[derive(Debug)]
pub struct OfRegistry {
    registries: Arc<Registries>,
    reference: Reference,
    file: Option<PathBuf>,
    /// What was loaded last.
    loaded: Mutex<Option<Provenance>>,
}

impl OfRegistry {
    pub fn new(registries: &Arc<Registries>, reference: Reference) -> OfRegistry {
        let file = registries.file(&reference);
        OfRegistry { registries: registries.clone(), reference, file, loaded: Mutex::default() }
    }
}

impl Origin for OfRegistry {
    fn name(&self) -> &str {
        self.reference.name()
    }

    fn load(&self) -> anyhow::Result<Cow<'static, [u8]>> {
        let plugin = self.registries.load(&self.reference)?;
        *self.loaded.lock() = Some(Provenance {
            reference: plugin.reference.to_string(),
            signed_by: plugin.signed_by.map(|key| key.to_string()),
        });
        Ok(plugin.component.into())
    }

    fn is_stale(&self, now: &str) -> bool {
        self.registries.component(&self.reference).is_some_and(|component| component.hex() != now)
    }

    fn provenance(&self) -> Option<Provenance> {
        self.loaded.lock().clone()
    }

    fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn terms(&self) -> Option<u64> {
        Some(self.registries.id())
    }
}

impl fmt::Display for OfRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)?;
        match self.loaded.lock().as_ref().and_then(|loaded| loaded.signed_by.as_ref()) {
            Some(key) => write!(f, ", signed by {key}"),
            None => Ok(()),
        }
    }
}
