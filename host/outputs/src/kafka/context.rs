//! What librdkafka tells outside of answers: logs, global errors, delivery reports.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use super::fate::is_alert;
use super::produce::Row;
use super::token;

/// librdkafka repeats itself at every attempt to connect; the same kind of line is logged once in this time.
const QUIET: Duration = Duration::from_secs(30);

/// The news of one producer.
#[derive(Default)]
pub(super) struct News {
    /// The last global error and when it came: why messages time out.
    trouble: Mutex<Option<(RDKafkaErrorCode, String, Instant)>>,
    /// The producer is beyond repair.
    fatal: AtomicBool,
    /// A topic was forbidden or unknown: ask the brokers before the next write.
    pub stale: AtomicBool,
    /// Told when a credential is refused.
    pub refusal: Notify,
    /// Somebody waits for room in the queue.
    pub crowded: AtomicBool,
    /// Told when a message leaves a crowded queue.
    pub room: Notify,
    logged: Mutex<HashMap<String, Instant>>,
}

impl News {
    /// The last global error, if it is younger than `age`.
    pub fn trouble(&self, age: Duration) -> Option<(RDKafkaErrorCode, String)> {
        let trouble = self.trouble.lock();
        let (code, reason, at) = trouble.as_ref()?;
        (at.elapsed() <= age).then(|| (*code, reason.clone()))
    }

    pub fn is_fatal(&self) -> bool {
        self.fatal.load(Ordering::Acquire)
    }

    pub fn set_fatal(&self) {
        self.fatal.store(true, Ordering::Release);
    }

    fn quiet(&self, what: &str) -> bool {
        let mut logged = self.logged.lock();
        let now = Instant::now();
        match logged.get(what) {
            Some(at) if now.duration_since(*at) < QUIET => true,
            _ => {
                logged.insert(what.to_owned(), now);
                false
            }
        }
    }
}

/// Takes the news of one producer to its output.
pub(super) struct Context {
    pub output: String,
    pub news: Arc<News>,
    /// The file of the OAuth token.
    pub token: Option<PathBuf>,
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let path = self.token.as_deref().ok_or("`sasl.token_file` is not set")?;
        token::read(path).map_err(|error| {
            tracing::error!(output = %self.output, "no OAuth token: {error}");
            error.into()
        })
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let output = &self.output;
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug | RDKafkaLogLevel::Notice => {
                tracing::debug!(%output, facility, "librdkafka: {message}");
            }
            _ if self.news.quiet(facility) => tracing::debug!(%output, facility, "librdkafka: {message}"),
            _ => tracing::warn!(%output, facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = match error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown) {
            RDKafkaErrorCode::BrokerTransportFailure if is_alert(reason) => RDKafkaErrorCode::SSL,
            code => code,
        };
        tracing::debug!(output = %self.output, ?code, "librdkafka: {reason}");
        if code == RDKafkaErrorCode::Fatal {
            self.news.set_fatal();
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

impl ProducerContext for Context {
    type DeliveryOpaque = Row;

    fn delivery(&self, result: &DeliveryResult<'_>, row: Row) {
        match result {
            Ok(_) => row.settle(None),
            Err((error, _)) => {
                row.settle(Some(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)));
            }
        }
        if self.news.crowded.swap(false, Ordering::AcqRel) {
            self.news.room.notify_waiters();
        }
    }
}
