//! What records are made of, and the rules for it that the host, the SDK and the stock plugins share: each stands here
//! once, and `wit/cases` tells it as data, for those who write filters in other languages.
//!
//! Everything here looks at one value, one name or one text. Columns are the business of whoever has them: the host
//! keeps Arrow's, a filter those that crossed the border.

#[cfg(feature = "conditions")]
pub mod condition;
pub mod time;
