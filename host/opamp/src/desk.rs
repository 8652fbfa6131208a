//! What the server has been told and what not. A message holds what has changed since the last one; the first of a
//! connection holds all.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::app::{Description, Document, Health, Plugin};
use crate::identity::{Identity, Uid};
use crate::pace::Allowance;
use crate::wire::{
    AgentConfigFile, AgentConfigMap, AgentDescription, AgentDisconnect, AgentToServer, ComponentHealth,
    ConfigStatus, ConnectionSettingsStatus, EffectiveConfig, PackageStatus, PackageStatuses,
    RemoteConfigStatus, attribute,
};

/// Longest reason that is told.
const REASON: usize = 4096;
/// Least time between two numbers of one server.
const RENEWED: Duration = Duration::from_secs(10);
/// Full reports that may follow each other at once, and how long each takes to be allowed again.
const FULL_AT_ONCE: u32 = 2;
const FULL_EVERY: Duration = Duration::from_secs(30);

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
    connection: Option<ConnectionSettingsStatus>,
    packages: PackageStatuses,
    /// Plugins that run and are no packages.
    plugins: BTreeMap<String, PackageStatus>,
    /// What there is to tell of packages.
    offered: PackageStatuses,
    untold: Untold,
    full: Allowance,
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
    connection: bool,
}

const ALL: Untold = Untold {
    description: true,
    health: true,
    effective: true,
    status: true,
    packages: true,
    connection: true,
};
const NOTHING: Untold = Untold {
    description: false,
    health: false,
    effective: false,
    status: false,
    packages: false,
    connection: false,
};

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
            connection: None,
            packages: PackageStatuses::default(),
            plugins: BTreeMap::new(),
            offered: PackageStatuses::default(),
            untold: ALL,
            full: Allowance::new(FULL_AT_ONCE, FULL_EVERY, now),
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
                let mut told_of_it = component(&part.reason, health.since, now);
                if let Some(detail) = &part.detail {
                    told_of_it.status += &format!(": {detail}");
                }
                told.component_health_map.insert(name.clone(), told_of_it);
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

    /// Says what became of a connection that the server offered.
    pub fn connection(&self, hash: &[u8], status: ConfigStatus, reason: &str) {
        let mut error_message = reason.to_owned();
        shorten(&mut error_message);
        let last_connection_settings_hash = hash.to_vec();
        let told =
            ConnectionSettingsStatus { last_connection_settings_hash, status: status.into(), error_message };
        self.change(|papers| {
            let is_other = papers.connection.as_ref() != Some(&told);
            papers.connection = Some(told);
            papers.untold.connection |= is_other;
            is_other
        });
    }

    /// The connection that was offered last, by what the server knows it.
    pub fn last_connection(&self) -> Vec<u8> {
        let papers = self.papers.lock();
        papers.connection.as_ref().map(|told| told.last_connection_settings_hash.clone()).unwrap_or_default()
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
        let plugins = plugins.into_iter().map(package).collect();
        self.change(|papers| {
            papers.plugins = plugins;
            papers.takes_packages()
        });
    }

    /// Says how packages are, by name, which the server offered under `hash`; and what is wrong with all of them.
    pub fn packages(&self, mut packages: Vec<PackageStatus>, hash: &[u8], reason: &str) {
        packages.iter_mut().for_each(|package| shorten(&mut package.error_message));
        self.change(|papers| {
            papers.offered = PackageStatuses {
                packages: packages.into_iter().map(|package| (package.name.clone(), package)).collect(),
                server_provided_all_packages_hash: hash.to_vec(),
                error_message: reason.to_owned(),
            };
            papers.takes_packages()
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
        let Untold { description, health, effective, status, packages, connection } = untold;
        if !(is_due || description || health || effective || status || packages || connection) {
            return None;
        }
        Some(AgentToServer {
            agent_description: description.then(|| papers.describe()),
            health: health.then(|| papers.health.clone()),
            effective_config: effective.then(|| papers.effective.clone()),
            remote_config_status: papers.status.clone().filter(|_| status),
            connection_settings_status: papers.connection.clone().filter(|_| connection),
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
    /// Puts together what there is to tell of plugins and packages; whether it is other than before.
    fn takes_packages(&mut self) -> bool {
        let mut packages = self.offered.clone();
        for (name, plugin) in &self.plugins {
            packages.packages.entry(name.clone()).or_insert_with(|| plugin.clone());
        }
        let is_other = packages != self.packages;
        self.packages = packages;
        self.untold.packages |= is_other;
        is_other
    }

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
        if (self.healthy, &self.last_error, &self.status)
            == (before.healthy, &before.last_error, &before.status)
        {
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
