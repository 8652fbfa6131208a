//! Blobs of which the service is told together by its REST interface: as many as have come while it was told of others, and
//! no more than it says that it takes. What it says of one is true for that one alone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::Instant;

use super::AdxOutput;
use super::queued::{Detail, POLL};
use super::resources::Batching;
use super::said::{Trouble, is_shared};
use super::service::{Body, End, strange};
use super::tables::Place;
use crate::WriteError;
use crate::staging::Object;

/// Blobs that wait for the service to be told of them, by their table and mapping.
#[derive(Default)]
pub(super) struct Together {
    lines: Mutex<HashMap<String, Arc<Line>>>,
    operations: Mutex<HashMap<String, Arc<Operation>>>,
}

/// Blobs with the same properties.
#[derive(Default)]
struct Line {
    waiting: Mutex<VecDeque<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    blob: Blob,
    said: oneshot::Sender<Result<Option<String>, Trouble>>,
}

/// A blob that is in the storage of the cluster.
#[derive(Clone)]
struct Blob {
    url: String,
    id: String,
    /// Bytes before it was compressed.
    size: u64,
}

/// What the service has said last of an operation, which several blobs are asked about.
#[derive(Default)]
struct Operation {
    last: tokio::sync::Mutex<Option<(Instant, Arc<Vec<Detail>>)>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    ingestion_operation_id: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    details: Vec<Detail>,
}

impl AdxOutput {
    /// Tells the service of a blob. Answers the operation, if what becomes of it is waited for.
    ///
    /// The one whose turn it is tells it of all that wait, and hands on what it says.
    pub(super) async fn tell(
        &self,
        object: &Object,
        place: &Place<'_>,
        id: &str,
        url: &Url,
        batching: Batching,
    ) -> Result<Option<String>, Trouble> {
        let blob = Blob { url: url.to_string(), id: id.to_owned(), size: object.text };
        let tags = self.tags(object, place);
        let mut properties = json!({
            "format": self.format,
            "enableTracking": self.waits,
            "deleteAfterDownload": true,
        });
        if !tags.all.is_empty() {
            properties["tags"] = json!(tags.all);
        }
        if let Some(mapping) = place.mapping {
            properties["ingestionMappingReference"] = json!(mapping);
        }
        // A tag of its content is for a blob alone.
        if let Some(tag) = &tags.once {
            properties["ingestIfNotExists"] = json!([tag]);
            return self.tell_of(place, &properties, &[blob]).await;
        }
        let key = [place.database, place.table, place.mapping.unwrap_or_default()].join("\u{1f}");
        let line = self.together.lines.lock().entry(key.clone()).or_default().clone();
        let (said, mut answer) = oneshot::channel();
        line.waiting.lock().push_back(Waiting { blob, said });
        let turn = line.turn.lock().await;
        let answer = loop {
            match answer.try_recv() {
                Ok(answer) => break answer,
                Err(TryRecvError::Closed) => break Err(lost()),
                Err(TryRecvError::Empty) => self.tell_next(&line, place, &properties, batching).await,
            }
        };
        drop(turn);
        let mut lines = self.together.lines.lock();
        // The map has one, and this is the other: nobody waits any more.
        if Arc::strong_count(&line) <= 2 {
            lines.remove(&key);
        }
        answer
    }

    /// Tells the service of the first that wait, as many as it takes at once.
    async fn tell_next(&self, line: &Line, place: &Place<'_>, properties: &Value, batching: Batching) {
        let mut told = Vec::new();
        {
            let mut waiting = line.waiting.lock();
            let mut size = 0u64;
            while told.len() < batching.blobs
                && let Some(next) = waiting.front()
                && (told.is_empty() || size.saturating_add(next.blob.size) <= batching.bytes)
            {
                size = size.saturating_add(next.blob.size);
                told.extend(waiting.pop_front());
            }
        }
        // Nobody waits for what has been given up.
        told.retain(|waiting: &Waiting| !waiting.said.is_closed());
        let blobs: Vec<Blob> = told.iter().map(|waiting| waiting.blob.clone()).collect();
        match self.tell_of(place, properties, &blobs).await {
            // It may be for one of them.
            Err(Trouble::Said(said)) if said.is_final() && !is_shared(&said.code) && told.len() > 1 => {
                for Waiting { blob, said } in told {
                    let _ = said.send(self.tell_of(place, properties, &[blob]).await);
                }
            }
            answer => {
                for waiting in told {
                    let _ = waiting.said.send(answer.clone());
                }
            }
        }
    }

    async fn tell_of(
        &self,
        place: &Place<'_>,
        properties: &Value,
        blobs: &[Blob],
    ) -> Result<Option<String>, Trouble> {
        let Some(first) = blobs.first() else { return Ok(None) };
        let blob = |blob: &Blob| json!({ "url": blob.url, "sourceId": blob.id, "rawSize": blob.size });
        let body = json!({
            "timestamp": self.now(),
            "blobs": blobs.iter().map(blob).collect::<Vec<_>>(),
            "properties": properties,
        });
        let url = self.service.url(End::Management, &["ingestion", "queued", place.database, place.table]);
        let request = format!("FLITCH.queued;{}", first.id);
        let text = self.service.ask(Method::POST, url.clone(), &request, Body::Json(body)).await?;
        if !self.waits {
            return Ok(None);
        }
        match serde_json::from_str::<Accepted>(&text) {
            Ok(Accepted { ingestion_operation_id }) if !ingestion_operation_id.is_empty() => {
                Ok(Some(ingestion_operation_id))
            }
            _ => Err(strange(&url, "queued")),
        }
    }

    /// What became of a blob of an operation, which it was given to so long ago: what the service says now, or has said to
    /// another blob of it a short time ago.
    pub(super) async fn of_operation(
        &self,
        operation: &str,
        id: &str,
        path: &str,
        place: &Place<'_>,
        since: Duration,
    ) -> Result<Option<Detail>, Trouble> {
        let known = {
            let mut operations = self.together.operations.lock();
            if !operations.contains_key(operation) {
                operations.retain(|_, operation| !operation.is_old());
            }
            operations.entry(operation.to_owned()).or_default().clone()
        };
        let mut last = known.last.lock().await;
        let fresh = last.as_ref().filter(|(at, _)| at.elapsed() < since / 4);
        let details = match fresh {
            Some((_, details)) => details.clone(),
            None => {
                let details = Arc::new(self.details(operation, place).await?);
                *last = Some((Instant::now(), details.clone()));
                details
            }
        };
        let is_it = |detail: &&Detail| detail.is_of(id, path) || details.len() == 1 && detail.is_of_nobody();
        Ok(details.iter().find(is_it).cloned())
    }

    async fn details(&self, operation: &str, place: &Place<'_>) -> Result<Vec<Detail>, Trouble> {
        let parts = ["ingestion", "queued", place.database, place.table, operation];
        let mut url = self.service.url(End::Management, &parts);
        url.set_query(Some("details=true"));
        let request = format!("FLITCH.status;{}", super::guid());
        let text = self.service.ask(Method::GET, url.clone(), &request, Body::Nothing).await?;
        let status: Status = serde_json::from_str(&text).map_err(|_| strange(&url, "status"))?;
        Ok(status.details)
    }
}

impl Operation {
    /// Whether nobody will ask about it any more, or not before it is to be asked anew.
    fn is_old(&self) -> bool {
        self.last.try_lock().is_ok_and(|last| last.as_ref().is_none_or(|(at, _)| at.elapsed() > POLL.1))
    }
}

/// That nobody has told the service of a blob: who was to do so has ended.
fn lost() -> Trouble {
    Trouble::Failed(WriteError::Unreachable { reason: "the service was not told of a blob".to_owned() })
}
