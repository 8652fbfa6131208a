//! The configuration file.
//!
//! The way of a file: [`tree`] reads the YAML and keeps the place of every key and value, [`interpolate`] replaces
//! `${NAME}`, `${file:/path}` and `${base64:/path}` in its values, [`de`] reads the tree into the settings of every room, [`check`] looks
//! at what one piece alone cannot tell (names that point nowhere), and [`report`] shows what is wrong with the lines
//! of the file. All that is wrong is told in one go. What a server sends goes the same way, by [`sent`], and may reach what
//! [`allow`] lets it.

mod allow;
pub mod cases;
pub mod check;
pub mod de;
pub mod docs;
pub mod edit;
pub mod interpolate;
mod load;
mod mask;
mod model;
mod output;
mod range;
pub mod report;
pub mod schema;
mod sent;
pub mod source;
pub mod tree;

pub use allow::is_host_allowed;
pub use load::{ADMIN_LISTEN, Loaded, lacks, load, load_again, load_text, of_registry, parse};
pub use model::{BatchSettings, Config, left_buffer, left_object};
pub use output::OutputConfig;
pub use report::{ConfigError, Problem};
pub use sent::sent;

#[cfg(test)]
mod tests;
