//! What everybody needs who speaks with Kafka: the settings of a client of librdkafka, its tokens, and what it tells
//! outside of answers.

mod advice;
mod context;
pub mod event_hubs;
mod leaders;
pub mod settings;
mod token;

pub use advice::{is_denial, is_of_tls};
pub use context::{Context, News, Part};
pub use leaders::leaderless;
pub use settings::Connection;
pub use token::Tokens;
