//! What the server has been told and what not. A message holds what has changed since the last one; the first of a
//! connection holds all.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::app::{Description, Document, Health, Plugin};
use crate::identity::{Identity, Uid};
use crate::pace::FullReports;
use crate::wire::{
    AgentConfigFile, AgentConfigMap, AgentDescription, AgentDisconnect, AgentToServer, ComponentHealth,
    EffectiveConfig, PackageStatus, PackageStatuses, PackagesAvailable, RemoteConfigStatus, attribute,
};

/// Longest reason that is told.
const REASON: usize = 4096;
/// Least time between two numbers of one server.
const RENEWED: Duration = Duration::from_secs(10);

/// Where what there is to tell is written down.
#[derive(Debug)]
pub struct Desk {
    papers: Mutex<Papers>,
    changed: Notify,
}

#[derive(Debug)]
struct Papers {
    identity: Identity,
    sequence: u64,
    capabilities: u64,
    description: Description,
    health: ComponentHealth,
    effective: EffectiveConfig,
    status: Option<RemoteConfigStatus>,
    packages: PackageStatuses,
    untold: Untold,
    full: FullReports,
    full_wanted: bool,
    /// When the server gave another number.
    renewed: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Untold {
    description: bool,
    health: bool,
    effective: bool,
    status: bool,
    packages: bool,
}

const ALL: Untold = Untold { description: true, health: true, effective: true, status: true, packages: true };
const NOTHING: Untold =
    Untold { description: false, health: false, effective: false, status: false, packages: false };

impl Desk {
    /// A desk of an agent that can do what `capabilities` says.
    pub fn new(identity: Identity, capabilities: u64, description: Description, now: Instant) -> Desk {
        let papers = Papers {
            identity,
            sequence: 0,
            capabilities,
            description,
            health: ComponentHealth::default(),
            effective: EffectiveConfig::default(),
            status: None,
            packages: PackageStatuses::default(),
            untold: ALL,
            full: FullReports::new(now),
            full_wanted: false,
            renewed: None,
        };
        Desk { papers: Mutex::new(papers), changed: Notify::new() }
    }

    /// The number by which the server knows this flitch.
    pub fn uid(&self) -> Uid {
        self.papers.lock().identity.uid()
    }

    /// Takes the number that the server gives; one that gives another one with each answer is not followed.
    pub fn renew(&self, uid: Uid, now: Instant) {
        let mut papers = self.papers.lock();
        let is_early = papers.renewed.is_some_and(|renewed| now.duration_since(renewed) < RENEWED);
        if papers.identity.uid() == uid || is_early {
            return;
        }
        papers.renewed = Some(now);
        tracing::info!(before = %papers.identity.uid(), now = %uid, "the server gives this flitch another number");
        if let Err(error) = papers.identity.renew(uid) {
            tracing::error!(%error, "the number cannot be kept; it counts until flitch ends");
        }
        papers.untold.description = true;
        drop(papers);
        self.changed.notify_one();
    }

    /// Says how the parts do now; `now` is the time of day in ns.
    pub fn health(&self, health: &Health, now: u64) {
        self.change(|papers| {
            let mut told = component(&health.reason, health.since, now);
            for (name, part) in &health.components {
                told.component_health_map.insert(name.clone(), component(&part.reason, health.since, now));
            }
            told.keep_times(&papers.health);
            let is_other = told != papers.health;
            papers.health = told;
            papers.untold.health |= is_other;
            is_other
        });
    }

    /// Says what is in force now.
    pub fn effective(&self, documents: Vec<Document>) {
        let file = |text: String| AgentConfigFile { body: text.into(), content_type: "text/yaml".to_owned() };
        let config_map = documents.into_iter().map(|document| (document.name, file(document.text))).collect();
        let effective = EffectiveConfig { config_map: Some(AgentConfigMap { config_map }) };
        self.change(|papers| {
            let is_other = effective != papers.effective;
            papers.effective = effective;
            papers.untold.effective |= is_other;
            is_other
        });
    }

    /// Says what became of a configuration.
    pub fn status(&self, mut status: RemoteConfigStatus) {
        shorten(&mut status.error_message);
        self.change(|papers| {
            let is_other = papers.status.as_ref() != Some(&status);
            papers.status = Some(status);
            papers.untold.status |= is_other;
            is_other
        });
    }

    /// Says which plugins run.
    pub fn plugins(&self, plugins: Vec<Plugin>) {
        let package = |plugin: Plugin| {
            let Plugin { name, version, sha256 } = plugin;
            let status = PackageStatus {
                name: name.clone(),
                agent_has_version: version,
                agent_has_hash: sha256,
                ..PackageStatus::default()
            };
            (name, status)
        };
        let packages: BTreeMap<_, _> = plugins.into_iter().map(package).collect();
        self.change(|papers| {
            let is_other = packages != papers.packages.packages;
            papers.packages.packages = packages;
            papers.untold.packages |= is_other;
            is_other
        });
    }

    /// Says that packages which the server offers are not taken.
    pub fn packages_refused(&self, offered: &PackagesAvailable, reason: &str) {
        self.change(|papers| {
            let is_other = papers.packages.server_provided_all_packages_hash != offered.all_packages_hash
                || papers.packages.error_message != reason;
            papers.packages.server_provided_all_packages_hash = offered.all_packages_hash.clone();
            papers.packages.error_message = reason.to_owned();
            papers.untold.packages |= is_other;
            is_other
        });
    }

    /// The server wants all.
    pub fn wants_all(&self) {
        self.papers.lock().full_wanted = true;
        self.changed.notify_one();
    }

    /// From when on the server may be told all again, where it wants that.
    pub fn all_due(&self, now: Instant) -> Option<Instant> {
        let papers = self.papers.lock();
        papers.full_wanted.then(|| papers.full.due(now))
    }

    /// The next connection begins: nothing is known of what the server knows.
    pub fn begins(&self) {
        let mut papers = self.papers.lock();
        papers.untold = ALL;
        papers.full_wanted = false;
    }

    /// What there is to tell; where there is nothing, and `is_due` a sign of life, that alone.
    pub fn next(&self, now: Instant, is_due: bool) -> Option<AgentToServer> {
        let mut papers = self.papers.lock();
        if papers.full_wanted && papers.full.take(now) {
            papers.full_wanted = false;
            papers.untold = ALL;
        }
        let untold = std::mem::replace(&mut papers.untold, NOTHING);
        let Untold { description, health, effective, status, packages } = untold;
        if !(is_due || description || health || effective || status || packages) {
            return None;
        }
        Some(AgentToServer {
            agent_description: description.then(|| papers.describe()),
            health: health.then(|| papers.health.clone()),
            effective_config: effective.then(|| papers.effective.clone()),
            remote_config_status: papers.status.clone().filter(|_| status),
            package_statuses: packages.then(|| papers.packages.clone()),
            ..papers.message()
        })
    }

    /// The last message.
    pub fn last(&self) -> AgentToServer {
        AgentToServer { agent_disconnect: Some(AgentDisconnect {}), ..self.papers.lock().message() }
    }

    /// Waits until there is something to tell. What came up before is not forgotten.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn change(&self, change: impl FnOnce(&mut Papers) -> bool) {
        if change(&mut self.papers.lock()) {
            self.changed.notify_one();
        }
    }
}

impl Papers {
    fn message(&mut self) -> AgentToServer {
        let sequence_num = self.sequence;
        self.sequence += 1;
        AgentToServer {
            instance_uid: self.identity.uid().0.to_vec(),
            sequence_num,
            capabilities: self.capabilities,
            ..AgentToServer::default()
        }
    }

    fn describe(&self) -> AgentDescription {
        let all = |texts: &BTreeMap<String, String>| {
            texts.iter().map(|(key, text)| attribute(key, text.as_str())).collect::<Vec<_>>()
        };
        let mut identifying_attributes = all(&self.description.identifying);
        identifying_attributes.push(attribute("service.instance.id", self.identity.uid().to_string()));
        let non_identifying_attributes = all(&self.description.others);
        AgentDescription { identifying_attributes, non_identifying_attributes }
    }
}

impl ComponentHealth {
    /// Takes the times of what is as it was before.
    fn keep_times(&mut self, before: &ComponentHealth) {
        if (self.healthy, &self.last_error) == (before.healthy, &before.last_error) {
            self.status_time_unix_nano = before.status_time_unix_nano;
        }
        for (name, part) in &mut self.component_health_map {
            if let Some(before) = before.component_health_map.get(name) {
                part.keep_times(before);
            }
        }
    }
}

fn component(reason: &Option<String>, since: u64, now: u64) -> ComponentHealth {
    let mut last_error = reason.clone().unwrap_or_default();
    shorten(&mut last_error);
    ComponentHealth {
        healthy: reason.is_none(),
        start_time_unix_nano: since,
        last_error,
        status: if reason.is_none() { "running" } else { "failing" }.to_owned(),
        status_time_unix_nano: now,
        component_health_map: BTreeMap::new(),
    }
}

fn shorten(text: &mut String) {
    if text.len() > REASON {
        text.truncate(text.floor_char_boundary(REASON));
        text.push('…');
    }
}

#[cfg(test)]
mod tests;
