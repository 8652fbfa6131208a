//! What goes wrong between a source and its brokers, told once for as long as it lasts.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use flitch_core::telemetry::health::Ailment;
use flitch_core::telemetry::{Metric, Quiet};
use flitch_kafka::{News, is_denial};

use super::settings::{KafkaSettings, Start};
use crate::SourceContext;

/// News of the client that is older than this is over.
const FRESH: Duration = Duration::from_secs(10);

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Client(RDKafkaErrorCode),
    Partition(String, i32),
    Beginning,
}

/// Why brokers refuse the client or cannot be reached, if it has told so lately.
pub(super) fn why(news: &News, settings: &KafkaSettings) -> Option<(RDKafkaErrorCode, String)> {
    let (code, reason) = news.trouble(FRESH)?;
    if is_denial(code) {
        return Some((code, format!("{reason}; {}", settings.connection().advice(code, &reason))));
    }
    news.is_alone(FRESH).then(|| (RDKafkaErrorCode::AllBrokersDown, out_of_reach(&reason, settings)))
}

/// Why a question to the brokers has failed. The client tells of an answer that failed and of brokers that are down in
/// no order, so the failure by itself must do.
pub(super) fn why_failed(error: KafkaError, news: &News, settings: &KafkaSettings) -> anyhow::Error {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
    if let Some((_, why)) = why(news, settings) {
        return anyhow::Error::msg(why);
    }
    match error.rdkafka_error_code() {
        Some(code @ (AllBrokersDown | BrokerTransportFailure | OperationTimedOut | Resolve)) => {
            anyhow::Error::msg(out_of_reach(&code.to_string(), settings))
        }
        _ => anyhow::Error::new(error),
    }
}

fn out_of_reach(reason: &str, settings: &KafkaSettings) -> String {
    let brokers = settings.brokers.join(", ");
    let hint = "where they run, check that `tls` and `sasl` are what this port of theirs wants";
    format!("the brokers cannot be reached ({brokers}): {reason}; {hint}")
}

/// What is wrong with one source.
pub(super) struct Trouble {
    source: Arc<str>,
    /// What was said and is not over: by its kind, since librdkafka words it otherwise each time.
    said: Vec<(Kind, String)>,
    ailment: Ailment,
    commit: Quiet,
    overrun: Quiet,
    reset: Quiet,
    came_back: Quiet,
}

impl Trouble {
    pub fn new(cx: &SourceContext) -> Trouble {
        let ailment = Ailment::of(&cx.health, "source", &cx.name);
        Trouble {
            source: cx.name.clone(),
            ailment,
            said: Vec::new(),
            commit: Quiet::a_minute(),
            overrun: Quiet::a_minute(),
            reset: Quiet::a_minute(),
            came_back: Quiet::a_minute(),
        }
    }

    /// Messages of a partition come: nothing is wrong with it, nor with what all partitions need.
    #[inline]
    pub fn is_over(&mut self, topic: &str, partition: i32) {
        if !self.said.is_empty() {
            let is_other =
                |kind: &Kind| matches!(kind, Kind::Partition(t, p) if t != topic || *p != partition);
            self.keep(is_other, "messages come again");
        }
    }

    /// A partition is read by others now.
    pub fn forget(&mut self, topic: &str, partition: i32) {
        let is_other = |kind: &Kind| !matches!(kind, Kind::Partition(t, p) if t == topic && *p == partition);
        self.keep(is_other, "what was wrong is the affair of another member of the group now");
    }

    /// Takes for over what is not to be kept.
    #[cold]
    fn keep(&mut self, is_kept: impl Fn(&Kind) -> bool, why: &str) {
        let before = self.said.len();
        self.said.retain(|(kind, _)| is_kept(kind));
        if self.said.len() < before {
            self.ailment.set(self.said.last().map(|(_, what)| what.clone()));
            tracing::info!(source = %self.source, "{why}");
        }
    }

    fn say(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        if self.said.iter().all(|(said, _)| *said != kind) {
            let what = what();
            tracing::error!(source = %self.source, "{what}");
            self.ailment.set(Some(what.clone()));
            self.said.push((kind, what));
        }
    }

    /// The client says that something failed; it tries again by itself.
    pub fn tell(&mut self, error: &KafkaError, news: &News, settings: &KafkaSettings) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let topics = || settings.topics.join(", ");
        match code {
            RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition => {
                self.say(Kind::Client(code), || {
                    format!("of `topics` ({}) one is missing; it is read when it is there", topics())
                });
            }
            RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed => {
                self.say(Kind::Client(code), || {
                    let group = &settings.group;
                    format!(
                        "{code}: the user needs the right to read `topics` ({}) and the group `{group}`",
                        topics()
                    )
                });
            }
            RDKafkaErrorCode::PollExceeded => self.say(Kind::Client(code), || {
                "the group took this member for dead, since it did not ask in time; it joins again".to_owned()
            }),
            RDKafkaErrorCode::Unknown => self.say(Kind::Client(code), || error.to_string()),
            _ => self.look(news, settings),
        }
    }

    /// Looks whether the client has told of brokers that refuse or cannot be reached.
    pub fn look(&mut self, news: &News, settings: &KafkaSettings) {
        if let Some((code, what)) = why(news, settings) {
            self.say(Kind::Client(code), || what);
        }
    }

    /// A partition cannot be read now.
    pub fn of_partition(&mut self, topic: &str, partition: i32, code: RDKafkaErrorCode, reason: &str) {
        let kind = Kind::Partition(topic.to_owned(), partition);
        let hint = match code {
            RDKafkaErrorCode::BadCompression => {
                "; where it expands to more than `receive.message.max.bytes`, raise that among the `options`"
            }
            _ => "",
        };
        self.say(kind, || format!("topic {topic}, partition {partition}: {code}: {reason}{hint}"));
    }

    /// The brokers do not say where partitions begin.
    pub fn no_beginning(&mut self, error: &dyn Display) {
        self.say(Kind::Beginning, || {
            format!("the brokers do not say where the partitions of this member begin: {error}")
        });
    }

    /// Of a partition the group has no position, and must not guess one, or nobody can say where it begins.
    pub fn nowhere(&mut self, topic: &str, partition: i32, start: Start) {
        let why = match start {
            Start::Committed => {
                "the group has no position, and `start` is `committed`: commit one, or choose another `start`"
            }
            _ => "the group has no position, and no broker leads it, so it begins when one does",
        };
        self.say(Kind::Partition(topic.to_owned(), partition), || {
            format!("topic {topic}, partition {partition}: {why}")
        });
    }

    /// Messages were deleted before they were read.
    pub fn overrun(&self, topic: &str, partition: i32, from: i64, lost: i64) {
        Metric::KafkaOverrun.counter(&[("source", &self.source)]).increment(lost.unsigned_abs());
        if self.overrun.may_say() {
            tracing::error!(
                source = %self.source, topic, partition, from, messages = lost,
                "the brokers have deleted messages before they were read (retention); it goes on behind them"
            );
        }
    }

    /// Records came back.
    pub fn came_back(&self, topic: &str, partition: i32, from: i64) {
        if self.came_back.may_say() {
            tracing::warn!(source = %self.source, topic, partition, from, "records came back; they are read again");
        }
    }

    /// A partition ended before the position, which goes back to what there is.
    pub fn began_anew(&self, topic: &str, partition: i32, position: i64, from: i64) {
        Metric::KafkaResets.counter(&[("source", &self.source)]).increment(1);
        if self.reset.may_say() {
            tracing::error!(
                source = %self.source, topic, partition, position, from,
                "the partition ended before the position of this source: its topic was deleted and made anew, or its brokers \
                 have lost messages; what there is is read from its beginning on"
            );
        }
    }

    /// Positions are not committed.
    pub fn commit_failed(&self, error: &KafkaError) {
        if self.commit.may_say() {
            tracing::warn!(source = %self.source, %error, "positions were not committed; they are with the next commit");
        }
    }
}

#[cfg(test)]
mod tests;
