//! Where a plugin comes from.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// What is known of code that is of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// What it is of, with its digest.
    pub reference: String,
    /// The key whose signature counted, where one did.
    pub signed_by: Option<String>,
}

/// Where a plugin comes from. It is shown as people know it: the path of a file, for one.
pub trait Origin: fmt::Display + fmt::Debug + Send + Sync {
    /// The plugin's name, for people.
    fn name(&self) -> &str;

    /// The component as it is there now.
    ///
    /// # Errors
    /// Why it cannot be read. Blocks.
    fn load(&self) -> anyhow::Result<Cow<'static, [u8]>>;

    /// What it is, packed, where this program has it in itself: it is the same for as long as the program runs.
    fn constant(&self) -> Option<&'static [u8]> {
        None
    }

    /// Whether another component is there now than the one of this hash (SHA-256, in hex). What is gone is no other, for it
    /// may be on its way; what is there and cannot be read is one, so that whoever loads it says why. Blocks.
    fn is_stale(&self, sha256: &str) -> bool;

    /// By what it was decided that the code may run, where that is to be decided; other terms have another number.
    fn terms(&self) -> Option<u64> {
        None
    }

    /// Of which plugin of a registry the code is that was loaded last, where it is of one.
    fn provenance(&self) -> Option<Provenance> {
        None
    }

    /// The file to watch for other code, where it comes from one.
    fn file(&self) -> Option<&Path> {
        None
    }
}
