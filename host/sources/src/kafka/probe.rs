//! Whether topics are there and may be read, asked without joining the group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use regex::Regex;

use flitch_kafka::{News, Part, leaderless};

use super::context::Context;
use super::settings::KafkaSettings;
use super::trouble::why_failed;
use flitch_core::tasks;

/// How long brokers have to answer each question.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long the client may take to say that it wants a token.
const HEARD: Duration = Duration::from_millis(100);
/// How long until a group is asked for again whose coordinator moves.
const PAUSE: Duration = Duration::from_millis(100);
/// What the client may have told since, at most.
const EVENTS: usize = 64;

/// Asks for each of the topics, and for the group.
///
/// # Errors
/// The first thing that is missing or not allowed.
pub(super) async fn probe(settings: KafkaSettings, name: String) -> anyhow::Result<()> {
    tasks::blocking(move || ask(&settings, &name)).await?
}

fn ask(settings: &KafkaSettings, name: &str) -> anyhow::Result<()> {
    let news = Arc::<News>::default();
    let client = flitch_kafka::Context {
        part: Part::Source(name.to_owned()),
        news: news.clone(),
        tokens: settings.connection().tokens(),
    };
    let consumer = super::consumer(settings.client(name)?, Context { client, told: Arc::default() })?;
    // Of a broker that is down it tells without end.
    let hear = |patience: Duration| {
        let until = Instant::now() + patience;
        let left = || until.saturating_duration_since(Instant::now());
        (0..EVENTS).take_while(|_| consumer.poll(left()).is_some()).for_each(drop);
    };
    // A token is asked for first of all.
    hear(HEARD);
    let explained = |error: KafkaError| {
        hear(Duration::ZERO);
        why_failed(error, &news, settings)
    };
    let mut first = TopicPartitionList::new();
    for topic in &settings.topics {
        let found = if topic.starts_with('^') {
            matching(&consumer, topic).map_err(explained)?
        } else {
            one(&consumer, topic).map_err(explained)?
        };
        let found = found.with_context(|| format!("topic `{topic}`"))?;
        if !found.is_empty() {
            first.add_partition(&found, 0);
        }
    }
    if first.count() == 0 {
        return Ok(());
    }
    // A cluster that is new, or that moves a group to another broker, says so for a moment.
    let until = Instant::now() + PATIENCE;
    loop {
        let asked = consumer.committed_offsets(first.clone(), PATIENCE);
        let failed = match &asked {
            Ok(committed) => committed.elements().iter().find_map(|element| element.error().err()),
            Err(error) => Some(error.clone()),
        };
        match (failed, asked) {
            (None, _) => return Ok(()),
            (Some(error), _) if is_moving(&error) && Instant::now() < until => hear(PAUSE),
            (Some(_), Err(error)) => return Err(explained(error)),
            (Some(error), Ok(_)) => return Err(error).with_context(|| format!("group `{}`", settings.group)),
        }
    }
}

/// Whether the group's coordinator is about to be another broker, or to read what it has to know.
fn is_moving(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}

/// Whether a topic is there and may be read. Answers its name.
fn one(consumer: &BaseConsumer<Context>, topic: &str) -> Result<anyhow::Result<String>, KafkaError> {
    let found = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let error = found.topics().iter().find_map(|topic| topic.error()).map(RDKafkaErrorCode::from);
    Ok(match error {
        None => match found.topics().iter().find_map(leaderless) {
            None => Ok(topic.to_owned()),
            Some(told) => Err(anyhow::anyhow!(told)),
        },
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            Err(anyhow::anyhow!("it is missing: create it"))
        }
        Some(code) => Err(anyhow::anyhow!("{code}")),
    })
}

/// A topic that matches; an empty text, where there is no saying.
fn matching(consumer: &BaseConsumer<Context>, pattern: &str) -> Result<anyhow::Result<String>, KafkaError> {
    let found = consumer.fetch_metadata(None, PATIENCE)?;
    // librdkafka's own expressions are POSIX's, which differ in what is rare.
    let Ok(regex) = Regex::new(pattern) else { return Ok(Ok(String::new())) };
    let matching = || found.topics().iter().filter(|topic| regex.is_match(topic.name()));
    if let Some((topic, told)) = matching().find_map(|topic| Some((topic, leaderless(topic)?))) {
        return Ok(Err(anyhow::anyhow!("{}: {told}", topic.name())));
    }
    let first = matching().next().map(|topic| topic.name().to_owned());
    Ok(first.ok_or_else(|| anyhow::anyhow!("there is none that matches")))
}
