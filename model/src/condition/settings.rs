//! Conditions as they are written.

use serde::{Deserialize, Serialize};

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "expected a text, a number or a boolean")]
pub enum Scalar {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Int(i64),
    /// Any number.
    Float(f64),
    /// A text. For a field that is a time, RFC 3339.
    Text(String),
}

/// One or several texts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several, of which one must fit.
    More(Vec<String>),
}

/// What must hold for a record. Of several keys all must hold; those that test a value need `field`. A record without
/// the field fails every test but `exists: false`, and of one whose field is an object only `exists: true` holds.
///
/// A number and a text that reads as one are compared as numbers, so that `status: "404"` is at least 400.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConditionSettings {
    /// Path of the field that is tested: `status`, `kubernetes.labels.app`, `@tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The value is this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<Scalar>,
    /// The value is one of these.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Scalar>>,
    /// The whole value fits a pattern, or one of several, with `*`, `?`, `[a-z]` and `{this,that}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glob: Option<OneOrMore>,
    /// The value has a part that fits a regular expression; `^` and `$` tie it to the ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// The field is there, be it as null (`true`), or it is not (`false`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// The value is this or more: as numbers, as times, or as texts by their bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Scalar>,
    /// The value is this or less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Scalar>,
    /// All of these hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<ConditionSettings>>,
    /// At least one of these holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Vec<ConditionSettings>>,
    /// This does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<ConditionSettings>>,
}
