//! The settings of the filter.

use crate::decode::Defaults;
use crate::framing::Framing;
use serde::Deserialize;

flitch_sdk::parser_settings! {
    /// The settings of `protobuf`.
    pub struct Settings {
        field: "message", keep_source: false, on_mismatch: Reject;
        /// A `FileDescriptorSet` with all files that the message needs, as base64.
        pub descriptor_set: String = String::new(),
        /// The full name of the message.
        pub message: String = String::new(),
        /// How the bytes stand in the field.
        pub encoding: Encoding = Encoding::Binary,
        /// How messages stand in the bytes.
        pub framing: Framing = Framing::None,
        /// Which of the two names of a field its member has.
        pub field_names: FieldNames = FieldNames::Proto,
        /// What is shown of an enum.
        pub enum_values: EnumValues = EnumValues::Name,
        /// Which of the fields that a message lacks are there all the same.
        pub defaults: Defaults = Defaults::None,
        /// What becomes of a message with fields that the schema does not know.
        pub unknown_fields: UnknownFields = UnknownFields::Ignore,
        /// The path below which the fields are written; at the top if there is none.
        pub prefix: String = String::new(),
    }
}

/// How bytes stand in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As they are.
    Binary,
    /// As text in base64.
    Base64,
}

/// The names of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldNames {
    /// As the schema has them: `user_id`.
    Proto,
    /// As JSON has them: `userId`.
    Json,
}

/// What is shown of an enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnumValues {
    /// Its name, or its number where the schema has no name for it.
    Name,
    /// Its number.
    Number,
}

/// What becomes of a message with fields that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// It is decoded without them, and they are counted.
    Ignore,
    /// It does not match.
    Reject,
}
