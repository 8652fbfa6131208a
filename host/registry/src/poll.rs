//! Asks registries from time to time what a tag stands for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::reference::{Place, Reference};
use crate::registries::Registries;
use flitch_core::backoff::next_question;
use flitch_core::placed::Placed;
use flitch_core::tasks;
use flitch_core::telemetry::Metric;
use flitch_core::telemetry::health::{Ailment, Health, Part};

/// How often it is looked whether it is time.
const LOOK: Duration = Duration::from_secs(1);

/// What one tag stands for, asked again and again.
pub struct Poll {
    reference: Reference,
    every: Duration,
    next: Instant,
    failures: u32,
    /// What was said last of why it failed, so that it is said once.
    said: Option<String>,
    ailment: Ailment,
    /// Who watches the files of tags.
    placed: Arc<Placed>,
}

impl Poll {
    /// The first time is one interval from now.
    pub fn new(reference: Reference, every: Duration, health: &Arc<Health>, placed: &Arc<Placed>) -> Poll {
        let ailment = Ailment::of(health, "plugin", &reference.to_string());
        let next = Instant::now() + next_question(every, 0, fastrand::f64());
        Poll { reference, every, next, failures: 0, said: None, ailment, placed: placed.clone() }
    }

    /// Asks, where it is time.
    pub fn look(&mut self, registries: &Registries, now: Instant) {
        if now < self.next {
            return;
        }
        let registry = match &self.reference.place {
            Place::Registry { host, .. } => host,
            Place::Layout { .. } | Place::Package { .. } => return,
        };
        let began = Instant::now();
        let result = match registries.refresh(&self.reference) {
            // A pull is counted where it is done.
            Ok(is_new) => {
                if self.failures > 0 {
                    tracing::info!(plugin = %self.reference, "the registry answers again");
                }
                self.failures = 0;
                self.said = None;
                self.ailment.set(None);
                if is_new {
                    tracing::info!(plugin = %self.reference, took = ?began.elapsed(), "the tag stands for another plugin");
                    if let Some(file) = registries.file(&self.reference) {
                        self.placed.tell(file);
                    }
                }
                (!is_new).then_some("unchanged")
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let reason = error.to_string();
                if self.said.as_ref() != Some(&reason) {
                    tracing::warn!(plugin = %self.reference, reason, "no new plugin is taken from the registry; what runs goes on");
                }
                self.ailment.set(Some(reason.clone()));
                self.said = Some(reason);
                Some(error.result())
            }
        };
        if let Some(result) = result {
            Metric::PluginPulls.counter(&[("registry", registry), ("result", result)]).increment(1);
        }
        self.next = Instant::now() + next_question(self.every, self.failures, fastrand::f64());
    }
}

/// Asks for as long as somebody uses `registries`, for each tag on a thread of its own: a registry that does not answer holds
/// up no other.
///
/// # Errors
/// A thread cannot be started.
pub fn watch(
    registries: &Arc<Registries>,
    updates: Vec<(Reference, Duration)>,
    health: &Arc<Health>,
    placed: &Arc<Placed>,
) -> std::io::Result<()> {
    for (reference, every) in updates {
        let part = Part::new(health, "refresh", &reference.to_string());
        let registries = Arc::downgrade(registries);
        let ticks = crossbeam_channel::tick(LOOK);
        let mut poll = Poll::new(reference, every, health, placed);
        let work = move || {
            for _ in &ticks {
                let Some(registries) = registries.upgrade() else { return };
                poll.look(&registries, Instant::now());
            }
        };
        tasks::kept_thread(part, crossbeam_channel::never(), work)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
