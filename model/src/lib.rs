//! What records are made of, and the rules for it that the host, the SDK and the stock plugins share: each stands here
//! once, and `wit/cases` tells it as data, for those who write filters in other languages.
//!
//! Everything here looks at one value, one name or one text. Columns are the business of whoever has them: the host
//! keeps Arrow's, a filter those that crossed the border.

pub mod cases;
#[cfg(feature = "conditions")]
pub mod condition;
pub mod json;
pub mod mixed;
pub mod number;
pub mod object;
pub mod path;
pub mod pattern;
#[cfg(feature = "templates")]
pub mod template;
pub mod time;
pub mod value;

/// The event's time: timestamp, ns since 1970-01-01T00:00:00Z.
pub const TIMESTAMP: &str = "@timestamp";
/// Where the record belongs, as its source or a filter says: text.
pub const TAG: &str = "@tag";
/// The members of a record that are past [`MAX_NAMES`], as one json object. They are written where they stood: at the
/// top of the record.
pub const REST: &str = "@rest";

/// Most objects inside one another whose members have columns, the record included; an object whose members would lie
/// deeper is one json value.
pub const MAX_DEPTH: usize = 8;
/// Most members of an object below the record itself; one with more is one json value.
pub const MAX_MEMBERS: usize = 64;
/// Most names of one record that become columns. Those of objects count, and those of their members, even where such an
/// object turns out to be one json value: that one has more members than [`MAX_MEMBERS`], or is open when the limit is
/// reached and has members behind it.
pub const MAX_NAMES: usize = 256;
/// Most columns that one answer of a filter sets, and most fields that it removes. The batch of one with more comes again in
/// parts.
pub const MAX_SET: usize = 1024;
/// Most objects and arrays inside one another in a JSON text.
pub const MAX_NESTING: usize = 128;
