//! What librdkafka tells outside of answers: logs, global errors, and that it wants a token.

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
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;
use tracing::field::{DisplayValue, display};

use crate::{is_alert, token};
use flitch_core::telemetry::Quiet;

/// librdkafka repeats itself at every attempt to connect; the same kind of line is logged once in this time.
const QUIET: Duration = Duration::from_secs(30);

/// The news of one client.
#[derive(Default)]
pub struct News {
    /// The last global error and when it came: why requests time out.
    trouble: Mutex<Option<(RDKafkaErrorCode, String, Instant)>>,
    /// The client is beyond repair.
    fatal: AtomicBool,
    /// Told when a credential is refused.
    pub refusal: Notify,
    logged: Mutex<HashMap<String, Quiet>>,
}

impl News {
    /// The last global error, if it is younger than `age`.
    pub fn trouble(&self, age: Duration) -> Option<(RDKafkaErrorCode, String)> {
        let trouble = self.trouble.lock();
        let (code, reason, at) = trouble.as_ref()?;
        (at.elapsed() <= age).then(|| (*code, reason.clone()))
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
    /// The file of the OAuth token.
    pub token: Option<PathBuf>,
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let path = self.token.as_deref().ok_or("`sasl.token_file` is not set")?;
        token::read(path).map_err(|error| {
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

    fn error(&self, error: KafkaError, reason: &str) {
        let code = match error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown) {
            RDKafkaErrorCode::BrokerTransportFailure if is_alert(reason) => RDKafkaErrorCode::SSL,
            code => code,
        };
        let (output, source) = self.part.fields();
        tracing::debug!(output, source, ?code, "librdkafka: {reason}");
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
