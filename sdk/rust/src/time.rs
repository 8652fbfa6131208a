//! Instants as nanoseconds since 1970-01-01T00:00:00Z, and the text forms that need no time zone database: RFC 3339 and
//! its parts. [`parse_rfc3339`] takes what loggers write in that form, [`parse_exact`] what the host takes for a time
//! where nobody has said that it is one.

pub use flitch_model::time::{
    SECOND, civil_from_days, days_from_civil, days_in_month, digits, parse as parse_exact, parse_clock,
    parse_lenient as parse_rfc3339, parse_offset, to_text as format_rfc3339,
};
