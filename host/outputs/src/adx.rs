//! Azure Data Explorer, and the eventhouses of Microsoft Fabric (Kusto).
//!
//! Records are built to objects on disk, one for each table, and given to the cluster as a whole: as a blob of which it is
//! told ([`queued`]), or as a stream ([`streaming`]). What the cluster says of the table, the mapping or the rights is true for
//! all records of an object, which share them; where it is for the data, the object is cut until what is refused stands alone.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::resources::Manager;
use self::service::Service;
use self::tables::{Mode, Place, Routes};
use self::together::Together;
use crate::staging::{Object, Plan};
use crate::{Answer, Fate, Output, Parcel, WriteError, Written};
use flitch_core::clock::Clock;
use flitch_core::telemetry::Quiet;

pub mod mapping;
mod probe;
mod queued;
mod resources;
mod said;
mod service;
mod settings;
mod storage;
mod streaming;
mod tables;
mod together;
mod trust;

pub use settings::AdxSettings;

/// Objects that are written at once, and those that the cluster has not decided about.
const WRITES: usize = 4;
const UNDECIDED: usize = 256;

/// See [`AdxSettings`].
struct AdxOutput {
    name: Arc<str>,
    service: Service,
    resources: Manager,
    together: Together,
    plan: Plan,
    routes: Arc<Routes>,
    /// What the service calls what is written.
    format: &'static str,
    mapping_kind: &'static str,
    /// Whether what the cluster says of a blob is waited for.
    waits: bool,
    patience: Duration,
    tags: Vec<String>,
    ingest_by: bool,
    clock: Clock,
    uploads: Semaphore,
    /// Until when what is to be streamed is queued.
    detour: Mutex<Option<Instant>>,
    said_detour: Quiet,
    probes: Vec<probe::Wanted>,
}

/// Tags of an object.
struct Tags {
    all: Vec<String>,
    /// That of which there is to be one extent alone.
    once: Option<String>,
}

impl AdxOutput {
    fn tags(&self, object: &Object, place: &Place<'_>) -> Tags {
        let mut all = self.tags.clone();
        let once = self.ingest_by.then(|| format!("{}-{}", place.content, object.rows));
        all.extend(once.as_ref().map(|tag| format!("ingest-by:{tag}")));
        Tags { all, once }
    }

    /// The time of day, as the service writes it.
    fn now(&self) -> String {
        jiff::Timestamp::from_nanosecond(self.clock.now().into()).unwrap_or_default().to_string()
    }

    fn place<'o>(&'o self, object: &'o Object) -> Result<Place<'o>, WriteError> {
        let place = self.routes.place(&object.name);
        let reason = || format!("no table is for {:?}", object.name);
        place.ok_or_else(|| WriteError::Barred { reason: reason(), is_final: false })
    }

    async fn take(&self, object: &Object) -> Result<Fate, WriteError> {
        let place = self.place(object)?;
        if place.mode != Mode::Queued
            && let Some(fate) = self.stream(object, &place).await
        {
            return fate;
        }
        self.queue(object, &place).await
    }
}

impl Output for AdxOutput {
    fn write<'a>(&'a self, _: &'a Parcel) -> Answer<'a, Written> {
        let reason = "objects are built before they are written".to_owned();
        Box::pin(std::future::ready(Err(WriteError::Denied { reason })))
    }

    fn builds(&self) -> Option<Plan> {
        Some(self.plan.clone())
    }

    fn send<'a>(&'a self, object: &'a Object) -> Answer<'a, Fate> {
        Box::pin(self.take(object))
    }

    fn fate<'a>(&'a self, object: &'a Object) -> Answer<'a, Fate> {
        Box::pin(async move { self.asked(object, &self.place(object)?).await })
    }

    fn concurrency(&self) -> usize {
        UNDECIDED
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.look())
    }
}

/// A new random name (UUID, version 4).
fn guid() -> String {
    as_guid(&format!("{:032x}", fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62))
}

/// 32 hexadecimal digits as a name of that form.
fn as_guid(digits: &str) -> String {
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests;
