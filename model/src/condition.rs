//! Conditions on records: what they are written as, and what they mean.
//!
//! The host's routes and the filter `match` know the same conditions, over columns of their own. So each of the two
//! walks a [`Test`] over its columns by itself, and what a test says about a value stands here.

mod settings;
mod test;
mod value;

pub use settings::{ConditionSettings, OneOrMore, Scalar};
pub use test::{Test, ValueTest, Wrong};
pub use value::{Cell, Number, number};
