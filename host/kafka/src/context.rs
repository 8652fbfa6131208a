//! What librdkafka tells outside of answers: logs, global errors, and that it wants a token.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Statistics};
use tokio::sync::Notify;
use tracing::field::{DisplayValue, display};

use crate::{Tokens, is_of_tls};
use flitch_core::telemetry::{Metric, Quiet, Shown};

/// librdkafka repeats itself at every attempt to connect; the same kind of line is logged once in this time.
const QUIET: Duration = Duration::from_secs(30);

/// The news of one client.
#[derive(Default)]
pub struct News {
    /// The last global error and when it came: why requests time out.
    trouble: Mutex<Option<(RDKafkaErrorCode, String, Instant)>>,
    /// When no broker could be reached last.
    alone: Mutex<Option<Instant>>,
    /// The client is beyond repair.
    fatal: AtomicBool,
    /// Told when a credential is refused.
    pub refusal: Notify,
    logged: Mutex<HashMap<String, Quiet>>,
    /// How long brokers hold requests back, once they have told.
    throttled: OnceLock<Shown>,
}

impl News {
    /// The last global error, if it is younger than `age`.
    pub fn trouble(&self, age: Duration) -> Option<(RDKafkaErrorCode, String)> {
        let trouble = self.trouble.lock();
        let (code, reason, at) = trouble.as_ref()?;
        (at.elapsed() <= age).then(|| (*code, reason.clone()))
    }

    /// Whether the client has told, no longer than `age` ago, that it reaches no broker.
    pub fn is_alone(&self, age: Duration) -> bool {
        self.alone.lock().is_some_and(|at| at.elapsed() <= age)
    }

    /// Whether the client failed for good.
    pub fn is_fatal(&self) -> bool {
        self.fatal.load(Ordering::Acquire)
    }

    /// Notes that the client failed for good.
    pub fn set_fatal(&self) {
        self.fatal.store(true, Ordering::Release);
    }

    /// Whether a line of this kind was logged a short time ago.
    fn is_repeated(&self, kind: &str) -> bool {
        let mut logged = self.logged.lock();
        if !logged.contains_key(kind) {
            logged.insert(kind.to_owned(), Quiet::every(QUIET));
        }
        !logged[kind].may_say()
    }
}

/// The part of flitch to which a client belongs, by its name in the configuration.
#[derive(Clone, Debug)]
pub enum Part {
    /// An output.
    Output(String),
    /// A source.
    Source(String),
}

impl Part {
    /// What a line of the log says of it: its name in the one field or the other.
    fn fields(&self) -> (Option<DisplayValue<&str>>, Option<DisplayValue<&str>>) {
        match self {
            Part::Output(name) => (Some(display(name.as_str())), None),
            Part::Source(name) => (None, Some(display(name.as_str()))),
        }
    }
}

/// Takes the news of one client to its part.
pub struct Context {
    /// Whose client it is.
    pub part: Part,
    /// Where the news go.
    pub news: Arc<News>,
    /// Where OAuth tokens come from.
    pub tokens: Option<Tokens>,
}

/// Hands what librdkafka tells a client to the field `client` of its context, which is a [`Context`]: the contexts of
/// consumers and producers are this and more.
#[macro_export]
macro_rules! client_context {
    ($context:ty) => {
        impl ::rdkafka::ClientContext for $context {
            const ENABLE_REFRESH_OAUTH_TOKEN: bool =
                <$crate::Context as ::rdkafka::ClientContext>::ENABLE_REFRESH_OAUTH_TOKEN;

            fn generate_oauth_token(
                &self,
                config: Option<&str>,
            ) -> Result<::rdkafka::client::OAuthToken, Box<dyn ::std::error::Error>> {
                self.client.generate_oauth_token(config)
            }

            fn log(&self, level: ::rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
                self.client.log(level, facility, message);
            }

            fn stats(&self, statistics: ::rdkafka::Statistics) {
                self.client.stats(statistics);
            }

            fn error(&self, error: ::rdkafka::error::KafkaError, reason: &str) {
                self.client.error(error, reason);
            }
        }
    };
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let tokens = self.tokens.as_ref().ok_or("`sasl.token_file` is not set")?;
        tokens.get().map_err(|error| {
            let (output, source) = self.part.fields();
            tracing::error!(output, source, "no OAuth token: {error}");
            error.into()
        })
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let (output, source) = self.part.fields();
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug | RDKafkaLogLevel::Notice => {
                tracing::debug!(output, source, facility, "librdkafka: {message}");
            }
            _ if self.news.is_repeated(facility) => {
                tracing::debug!(output, source, facility, "librdkafka: {message}")
            }
            _ => tracing::warn!(output, source, facility, "librdkafka: {message}"),
        }
    }

    /// How long brokers hold requests back: Event Hubs do so where more comes than is paid for.
    fn stats(&self, statistics: Statistics) {
        let longest = statistics.brokers.values().filter_map(|broker| Some(broker.throttle.as_ref()?.max));
        let seconds = longest.max().unwrap_or(0).max(0) as f64 / 1_000.0;
        let (kind, name) = match &self.part {
            Part::Output(name) => ("output", name),
            Part::Source(name) => ("source", name),
        };
        let shown = || Metric::KafkaThrottle.shown_most(&[(kind, name)]);
        self.news.throttled.get_or_init(shown).set(seconds);
        if seconds > 0.0 && !self.news.is_repeated("throttle") {
            let (output, source) = self.part.fields();
            tracing::warn!(output, source, seconds, "the brokers hold requests back (throttling)");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = match error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown) {
            RDKafkaErrorCode::BrokerTransportFailure if is_of_tls(reason) => RDKafkaErrorCode::SSL,
            code => code,
        };
        let (output, source) = self.part.fields();
        tracing::debug!(output, source, ?code, "librdkafka: {reason}");
        if code == RDKafkaErrorCode::Fatal {
            self.news.set_fatal();
        }
        if code == RDKafkaErrorCode::AllBrokersDown {
            *self.news.alone.lock() = Some(Instant::now());
        }
        let refused = matches!(
            code,
            RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::SSL
        );
        let mut trouble = self.news.trouble.lock();
        // "All brokers are down" follows every refusal and says less.
        if code != RDKafkaErrorCode::AllBrokersDown || trouble.is_none() {
            *trouble = Some((code, reason.to_owned(), Instant::now()));
        }
        drop(trouble);
        if refused {
            self.news.refusal.notify_waiters();
        }
    }
}
