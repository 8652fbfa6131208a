//! What becomes of records that librdkafka did not deliver.

use std::sync::Arc;

use rdkafka::types::RDKafkaErrorCode as Code;

use super::{KafkaSettings, Refusal, WriteError, Written};
use flitch_kafka::is_denial;

/// The failed rows of a write.
#[derive(Default)]
pub(super) struct Fates {
    refused: Vec<Refusal>,
    again: Vec<(u32, Code)>,
    why: Option<WriteError>,
}

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// This record never goes.
    Refused,
    /// The broker refuses this record or one that travelled with it.
    Suspect,
    /// What travelled together is larger than the broker takes.
    Large,
    /// Write it again.
    Again,
    /// The brokers want a pause.
    Busy,
    /// Rights are missing.
    Denied,
    /// There is no such topic.
    Unknown,
}

fn kind(code: Code) -> Kind {
    match code {
        Code::InvalidTopic => Kind::Refused,
        // librdkafka compares a record with `message.max.bytes` before it takes it; the broker, with a limit of its own,
        // a whole message set.
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => Kind::Large,
        // A record without a key for a compacted topic, or with a time that the topic does not take: none of its set is taken,
        // and librdkafka does not say of which set a record was, so that the codes of its records tell nothing of one.
        Code::InvalidRecord | Code::InvalidTimestamp | Code::InvalidDifferentRecord => Kind::Suspect,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => Kind::Unknown,
        // Event Hubs answer so where more comes than is paid for (or an operation is not allowed), others where a quota
        // is used up.
        Code::PolicyViolation | Code::ThrottlingQuotaExceeded => Kind::Busy,
        code if is_denial(code) => Kind::Denied,
        _ => Kind::Again,
    }
}

/// What is told of a record that the brokers refuse.
fn told(code: Code) -> String {
    let hint = match code {
        Code::InvalidRecord => "; a compacted topic takes no message without a key (`key`)",
        Code::InvalidTimestamp => {
            "; its time is further from that of the brokers than the topic allows (message.timestamp.before.max.ms and \
             message.timestamp.after.max.ms)"
        }
        _ => "",
    };
    format!("{code}{hint}")
}

impl Fates {
    /// A row that Kafka never takes.
    pub fn refuse(&mut self, row: u32, reason: impl Into<Arc<str>>) {
        self.refused.push(Refusal { row, reason: reason.into() });
    }

    /// The same of rows that share a reason.
    pub fn refuse_all(&mut self, rows: &[u32], reason: impl FnOnce() -> String) {
        self.refused.extend(Refusal::all(rows, reason));
    }

    /// A row that failed with this code.
    pub fn fail(&mut self, row: u32, code: Code) {
        match kind(code) {
            Kind::Refused => self.refuse(row, code.to_string()),
            _ => self.again.push((row, code)),
        }
    }

    /// A row that failed with this code in a message set of its own.
    pub fn fail_alone(&mut self, row: u32, code: Code) {
        match kind(code) {
            Kind::Suspect | Kind::Large => self.refuse(row, told(code)),
            _ => self.fail(row, code),
        }
    }

    /// Takes out the rows that must be sent once more, each by itself: of a message set in which one is bad, and the last
    /// one of those that were too large together, which are halved.
    pub fn take_suspects(&mut self) -> Vec<u32> {
        let large = self.again.iter().filter(|(_, code)| kind(*code) == Kind::Large).count();
        let is_suspect = |&mut (_, code): &mut (u32, Code)| match kind(code) {
            Kind::Suspect => true,
            Kind::Large => large == 1,
            _ => false,
        };
        let mut suspects: Vec<u32> = self.again.extract_if(.., is_suspect).map(|(row, _)| row).collect();
        suspects.sort_unstable();
        suspects
    }

    /// Whether the topic was forbidden or unknown.
    pub fn doubts_topic(code: Code) -> bool {
        matches!(kind(code), Kind::Denied | Kind::Unknown)
    }

    /// Refuses the rows that failed for their topic alone, whose name `topic` tells.
    pub fn refuse_topics<'a>(&mut self, topic: impl Fn(u32) -> &'a [u8]) {
        let of_topic = |&mut (_, code): &mut (u32, Code)| {
            code == Code::TopicAuthorizationFailed || kind(code) == Kind::Unknown
        };
        for (row, code) in self.again.extract_if(.., of_topic) {
            let reason = format!("topic `{}`: {code}", String::from_utf8_lossy(topic(row)));
            self.refused.push(Refusal { row, reason: reason.into() });
        }
    }

    /// All failed rows.
    pub fn rows(&self) -> impl Iterator<Item = u32> {
        self.refused.iter().map(|r| r.row).chain(self.again.iter().map(|(row, _)| *row))
    }

    /// Says why rows must be written again; `trouble` is the client's last global error, which tells more than a
    /// time-out does.
    pub fn explain(&mut self, trouble: Option<(Code, String)>, settings: &KafkaSettings) {
        let first =
            |wanted: Kind| self.again.iter().map(|(_, code)| *code).find(|code| kind(*code) == wanted);
        self.why = if let Some(code) = first(Kind::Denied) {
            Some(WriteError::Denied { reason: format!("{code} (topic `{}`)", settings.topic) })
        } else if let Some(code) = first(Kind::Unknown) {
            let hint = "create it, or let the brokers do so (auto.create.topics.enable)";
            let reason = format!("topic `{}`: {code}; {hint}", settings.topic);
            Some(WriteError::Unreachable { reason })
        } else if let Some(code) = first(Kind::Busy) {
            let reason =
                format!("{code}; more comes than the brokers, or the namespace, let this client write");
            Some(WriteError::Busy { after: None, reason })
        } else if let Some(code) = first(Kind::Again) {
            Some(match trouble {
                Some((global, reason)) if kind(global) == Kind::Denied => WriteError::Denied {
                    reason: format!("{reason}; {}", settings.connection().advice(global, &reason)),
                },
                // Of a port that wants TLS, or credentials, and hangs up, librdkafka tells no more than this.
                Some((Code::AllBrokersDown, reason)) => WriteError::Unreachable {
                    reason: format!(
                        "{code}; {reason}; where they run, check that `tls` and `sasl` are what this port of theirs wants"
                    ),
                },
                Some((_, reason)) if !reason.is_empty() => {
                    WriteError::Unreachable { reason: format!("{code}; {reason}") }
                }
                _ => WriteError::Unreachable { reason: code.to_string() },
            })
        } else {
            first(Kind::Large).map(|code| WriteError::Poison { reason: code.to_string() })
        };
    }

    /// The answer of a write of `rows` rows, of which `bytes` bytes were delivered.
    pub fn answer(mut self, rows: usize, bytes: u64) -> Result<Written, WriteError> {
        self.refused.sort_unstable_by_key(|r| r.row);
        let mut again: Vec<u32> = self.again.into_iter().map(|(row, _)| row).collect();
        again.sort_unstable();
        match self.why {
            Some(why) if again.len() == rows => Err(why),
            Some(why) => Ok(Written { bytes, refused: self.refused, again: Some((again, why)) }),
            None => Ok(Written { bytes, refused: self.refused, again: None }),
        }
    }
}
