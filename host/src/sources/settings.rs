//! The sources that a configuration can name.

use super::SourceKind;
use crate::kinds::kinds;

kinds! {
    /// Where records come from, by `type`.
    pub enum SourceSettings: SourceKind, kept by crate::sources::contract::keep {
        File(file::FileSettings),
        Forward(forward::ForwardSettings),
        Http(http::HttpSettings),
        Generator(generator::GeneratorSettings),
    }
}
