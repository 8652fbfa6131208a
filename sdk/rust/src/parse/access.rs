//! Access logs of web servers, which filters know by name.

use super::Dash;
use crate::{Result, bail};
use serde::Deserialize;

/// Formats known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// nginx's `combined`, which is its default.
    NginxCombined,
    /// The format `main`, which the configurations have that come with most packages and images of nginx.
    NginxMain,
    /// Apache's `combined`.
    ApacheCombined,
    /// Apache's `common`.
    ApacheCommon,
}

/// What a text is taken apart by: the one of two settings that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// A pattern of the operator's own.
    Pattern(String),
    /// A format known by name.
    Preset(Preset),
}

impl Choice {
    /// The one that is there of the settings `pattern` and `preset`.
    ///
    /// # Errors
    /// None is there, or both.
    pub fn of(pattern: Option<String>, preset: Option<Preset>) -> Result<Self> {
        match (pattern, preset) {
            (Some(pattern), None) => Ok(Self::Pattern(pattern)),
            (None, Some(preset)) => Ok(Self::Preset(preset)),
            (None, None) => bail!("settings: `pattern` or `preset` is missing"),
            (Some(_), Some(_)) => bail!("settings: `pattern` and `preset` exclude each other"),
        }
    }

    /// What becomes of a part that is only `-`, where the settings do not say: servers write it for what is not
    /// there.
    pub fn dash(&self) -> Dash {
        match self {
            Self::Pattern(_) => Dash::Keep,
            Self::Preset(_) => Dash::Absent,
        }
    }
}
