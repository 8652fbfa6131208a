//! Streaming ingestion: an object goes to the engine in one request, and is in the table when that is answered.
//!
//! Facts: Microsoft's *Streaming ingestion HTTP request* (2026-08), and how their managed streaming client falls back to
//! queued ingestion.

use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;

use super::AdxOutput;
use super::said::{Trouble, refused};
use super::service::{Body, End};
use super::storage;
use super::tables::{Mode, Place};
use crate::staging::Object;
use crate::{Fate, WriteError};
use flitch_core::backoff::{Backoff, scattered};

/// Most bytes of text in a request.
pub(super) const MOST: u64 = 4 << 20;
/// Tries before an object goes into the queue.
const TRIES: u32 = 3;
/// The pauses between them.
const PAUSES: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(2) };
/// How long objects go into the queue at once after one had to.
const DETOUR: Duration = Duration::from_secs(10);

impl AdxOutput {
    /// Sends an object as a stream. None: it is to be queued.
    pub(super) async fn stream(
        &self,
        object: &Object,
        place: &Place<'_>,
    ) -> Option<Result<Fate, WriteError>> {
        let falls_back = place.mode == Mode::Auto;
        if object.text > MOST {
            let reason = format!("`mode: streaming` takes no record of more than {MOST} bytes");
            return (!falls_back).then_some(Ok(Fate::Refused(reason)));
        }
        if !falls_back {
            return Some(self.stream_once(object, place, 0).await.map_or_else(Trouble::fate, Ok));
        }
        if self.detour.lock().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        for attempt in 0..TRIES {
            match self.stream_once(object, place, attempt).await {
                Ok(fate) => return Some(Ok(fate)),
                // What goes by the queue may be larger.
                Err(Trouble::Said(said)) if said.is_too_large() => return None,
                Err(Trouble::Said(said)) if said.is_final() => {
                    return Some(Ok(refused(&said.code, said.text)));
                }
                Err(trouble) => {
                    let error = trouble.error();
                    if attempt + 1 == TRIES && self.said_detour.may_say() {
                        tracing::warn!(output = %self.name, "{error}; what was to be streamed is queued");
                    }
                }
            }
            // These tries, with their pauses, are what Microsoft's clients do before they queue.
            if attempt + 1 < TRIES {
                tokio::time::sleep(scattered(PAUSES.after(attempt + 1), fastrand::f64())).await;
            }
        }
        *self.detour.lock() = Some(Instant::now() + DETOUR);
        None
    }

    async fn stream_once(&self, object: &Object, place: &Place<'_>, attempt: u32) -> Result<Fate, Trouble> {
        let _turn = self.uploads.acquire().await;
        let mut url = self.service.url(End::Engine, &["ingest", place.database, place.table]);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("streamFormat", self.format);
            if let Some(mapping) = place.mapping {
                query.append_pair("mappingName", mapping);
            }
        }
        let id = format!("KPC.executeManagedStreamingIngest;{};{attempt}", super::as_guid(place.content));
        let bytes = storage::read(object, 0, object.length).await?;
        self.service.ask(Method::POST, url, &id, Body::Gzip(bytes)).await?;
        Ok(Fate::Safe)
    }
}
