//! HDFS, by WebHDFS: what a NameNode, HttpFS or a gateway (Knox) speaks.
//!
//! A file is written under a name that nobody looks at, and renamed when it is whole, where there is none of its name: it
//! is named by what is in it and where that comes from, so that what is written again, and records that come again in the
//! same order, leave it as it is. HDFS renames in one step.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;

use anyhow::ensure;

use self::append::Begun;
use self::client::{Client, Credentials};
use self::fault::Fault;
use crate::nodes::Node;
use crate::object::{FORMATS, Notes, descriptors, plan, store_settings};
use crate::staging::{Compression, Object, Plan, session};
use crate::{Answer, Fate, Output, OutputContext, OutputKind, Parcel, WriteError, Written};
use flitch_core::batch::encode::Format;
use flitch_core::router::OneOrMore;
use flitch_core::secret::Secret;
use flitch_core::setting::{one_or_more, wrong};

mod append;
mod client;
mod fault;

/// Files that are written at once.
const WRITES: usize = 4;
/// Longest name of a file or a folder, as HDFS has it by default (`dfs.namenode.fs-limits.max-component-length`).
const PART: usize = 255;
/// What a name is longer by while its file is not whole.
const UNFINISHED: usize = 40;

store_settings! {
    /// Writes files to HDFS by WebHDFS: a line of JSON (NDJSON) for each record, or as `encoding` says.
    pub struct WebhdfsSettings {
        /// Where WebHDFS answers, one or several NameNodes of which one is active: `http://namenode:9870`; or HttpFS
        /// (`http://httpfs:14000`), or a gateway with its path (`https://knox:8443/gateway/default`).
        #[serde(deserialize_with = "one_or_more")]
        #[schemars(with = "OneOrMore")]
        pub endpoints: Vec<String>,
        /// The folder in which `key` begins.
        #[serde(default = "top")]
        pub root: String,
        /// As whom files are written. Without `password` it is told as `user.name`, which a cluster without Kerberos
        /// believes.
        #[serde(default)]
        pub username: Option<String>,
        /// With it the user is told by basic authentication, as gateways ask for it.
        #[serde(default)]
        pub password: Option<Secret>,
        /// A token that a gateway takes (`Authorization: Bearer`).
        #[serde(default)]
        pub bearer_token: Option<Secret>,
        /// A delegation token of HDFS, as `hdfs fetchdt` has it. It stands in the address: take `https`.
        #[serde(default)]
        pub delegation_token: Option<Secret>,
        /// Appends to one file for each key, whose name is the key and what it ends in (`.ndjson.zst`), instead of making
        /// files that are named by what is in them and where it comes from: `key: "logs/{@tag}-{host}-{@timestamp:%Y-%m-%d}"`. Each file must have
        /// one writer, and CSV goes there without `header`.
        #[serde(default)]
        pub append: bool,
        /// How many DataNodes have each block. Not set: as the cluster says.
        #[serde(default)]
        pub replication: Option<NonZero<u16>>,
        /// The permissions of files, in octal: `640`. Not set: as the cluster says.
        #[serde(default)]
        pub permission: Option<String>,
    }
}

fn top() -> String {
    "/".to_owned()
}

impl WebhdfsSettings {
    fn credentials(&self) -> anyhow::Result<Credentials> {
        let ways = [self.password.is_some(), self.bearer_token.is_some(), self.delegation_token.is_some()];
        ensure!(
            ways.iter().filter(|way| **way).count() <= 1,
            wrong!(
                "password",
                ", `bearer_token` and `delegation_token` exclude each other: keep one of them"
            )
        );
        ensure!(self.username.as_deref() != Some(""), wrong!("username", " is empty"));
        Ok(match (&self.username, &self.password, &self.bearer_token, &self.delegation_token) {
            (Some(user), Some(password), ..) => Credentials::Basic(user.clone(), password.clone()),
            (None, Some(_), ..) => anyhow::bail!(wrong!("password", " goes with `username`")),
            (_, _, Some(token), _) => Credentials::Bearer(token.clone()),
            (None, _, _, Some(token)) => Credentials::Delegation(token.clone()),
            (Some(_), _, _, Some(_)) => {
                anyhow::bail!(wrong!("username", ": `delegation_token` says who it is, leave it out"))
            }
            (Some(user), ..) => Credentials::User(user.clone()),
            (None, ..) => Credentials::Nobody,
        })
    }

    /// What is asked for when a file is made.
    fn wishes(&self) -> anyhow::Result<BTreeMap<&'static str, String>> {
        let mut wishes = BTreeMap::new();
        if let Some(replication) = self.replication {
            wishes.insert("replication", replication.to_string());
        }
        if let Some(permission) = &self.permission {
            let is_octal =
                (3..=4).contains(&permission.len()) && permission.bytes().all(|b| (b'0'..=b'7').contains(&b));
            ensure!(is_octal, wrong!("permission", " is none: `{permission}`; it is octal, as `640`"));
            wishes.insert("permission", permission.clone());
        }
        Ok(wishes)
    }
}

impl OutputKind for WebhdfsSettings {
    fn open(&self, cx: &OutputContext) -> anyhow::Result<Arc<dyn Output>> {
        let (mut plan, _) = plan(&self.common(), cx)?;
        plan.part = PART - UNFINISHED;
        if self.append {
            ensure!(
                plan.table.is_none(),
                wrong!("append", ": a Parquet file has an end, and nothing can be put behind it")
            );
            let key = self.key.to_string();
            ensure!(
                !key.is_empty() && !key.ends_with('/'),
                wrong!("key", " must end in the name of a file, with `append`: `logs/{{@tag}}-{{host}}`")
            );
            ensure!(
                plan.encoder.header().is_none(),
                wrong!(
                    "append",
                    ": the names of the columns would stand before each part that is appended: say `header: false` in `encoding`"
                )
            );
            plan.has_id = false;
        }
        ensure!(
            self.root.starts_with('/') && !self.root.split('/').any(|part| matches!(part, "." | "..")),
            wrong!("root", " must begin with `/`, and have no part `.` or `..`: `{}`", self.root)
        );
        ensure!(!self.endpoints.is_empty(), wrong!("endpoints", " is empty"));
        let nodes = self.endpoints.iter().map(|endpoint| endpoint.trim_end_matches('/'));
        let nodes = nodes.map(|name| Node { name: name.to_owned(), weight: 1, standby: false }).collect();
        let client = Client::new(
            &cx.name,
            nodes,
            self.credentials()?,
            crate::object::http(self.timeout.0, self.ca_file.as_deref())?,
            self.timeout.0,
        )?;
        let output = WebhdfsOutput {
            client,
            root: self.root.trim_end_matches('/').to_owned(),
            notes: Notes::new(cx.state_dir.join("uploads")),
            begun: Begun::new(cx.state_dir.join("appends")),
            wishes: self.wishes()?,
            is_appending: self.append,
            plan,
        };
        Ok(Arc::new(output))
    }

    fn builds(&self) -> bool {
        true
    }

    fn formats(&self) -> &'static [Format] {
        FORMATS
    }

    fn descriptors(&self) -> u64 {
        descriptors()
    }
}

/// See [`WebhdfsSettings`].
struct WebhdfsOutput {
    client: Client,
    root: String,
    plan: Plan,
    notes: Notes,
    begun: Begun,
    wishes: BTreeMap<&'static str, String>,
    is_appending: bool,
}

impl WebhdfsOutput {
    /// Where an object stands. HDFS has no names with a colon, and likes no control characters.
    fn path(&self, object: &Object) -> String {
        let mut path = format!("{}/", self.root);
        for letter in object.name.chars() {
            match letter {
                ':' | '\0'..='\x1f' | '\x7f' => path.push_str(&format!("%{:02X}", letter as u32)),
                letter => path.push(letter),
            }
        }
        path
    }

    /// Writes an object as a file that is there as a whole or not at all.
    async fn put(&self, object: &Object) -> Result<(), Fault> {
        let path = self.path(object);
        if self.is_there(&path, object).await? {
            return Ok(());
        }
        let unfinished = unfinished(&path);
        self.notes.write(object, &unfinished, None).await.map_err(Fault::disk)?;
        self.client.create(&unfinished, object, &self.wishes, true).await?;
        if !self.client.rename(&unfinished, &path).await? && !self.is_there(&path, object).await? {
            let reason = format!("{path} cannot be given its name");
            return Err(Fault::Barred(reason));
        }
        // Where there was one of its name already, it stays under the other.
        self.client.delete(&unfinished).await?;
        self.notes.remove(object).await;
        Ok(())
    }

    /// Whether an object is there.
    async fn is_there(&self, path: &str, object: &Object) -> Result<bool, Fault> {
        match self.client.length(path).await? {
            None => Ok(false),
            // A file is given its name when it is whole. One text is longer or shorter by how it came to be compressed.
            Some(length) if length == object.length || self.plan.compression != Compression::None => Ok(true),
            Some(length) => {
                let reason = format!("{path} is there, and has {length} bytes instead of {}", object.length);
                Err(Fault::Barred(reason))
            }
        }
    }

    /// Whether what is said of a path is so for the key of one object, and not for where all keys begin.
    fn is_of_key(&self, said: &str) -> bool {
        let begin = self.plan.key.literal_prefix().rsplit_once('/').map_or("", |(folder, _)| folder);
        let begin = format!("{}/{begin}/", self.root);
        let named = said.split_whitespace().find(|word| word.starts_with('/'));
        let named = named.map(|path| path.trim_end_matches([':', '.', ',']));
        let is_above = named.is_some_and(|path| begin.starts_with(&format!("{path}/")));
        self.plan.key.constant().is_none() && !is_above
    }

    /// Removes what processes before this one have not finished.
    async fn remove_leftovers(&self) -> Result<(), Fault> {
        let mut failed = None;
        for note in self.notes.left().await.map_err(Fault::disk)? {
            // One that is refused keeps no other from its end.
            if let Err(fault) = self.client.delete(&note.object).await {
                failed = Some(fault);
                continue;
            }
            self.notes.forget(&note).await;
            tracing::info!(output = %self.plan.output, file = note.object, "a file that was not finished is removed");
        }
        failed.map_or(Ok(()), Err)
    }

    /// Makes a file and removes it.
    async fn try_write(&self) -> Result<(), Fault> {
        let prefix =
            self.plan.key.literal_prefix().rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let path = unfinished(&format!("{}/{prefix}/probe", self.root)).replace("//", "/");
        self.client.create_empty(&path).await?;
        self.client.delete(&path).await
    }
}

/// The name of a file while it is not whole: hidden from who reads the folder, and of this process alone.
fn unfinished(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{folder}/.{name}.{}.unfinished", session())
}

impl Output for WebhdfsOutput {
    fn write<'a>(&'a self, _: &'a Parcel) -> Answer<'a, Written> {
        let reason = "files are built before they are written".to_owned();
        Box::pin(std::future::ready(Err(WriteError::Denied { reason })))
    }

    fn builds(&self) -> Option<Plan> {
        Some(self.plan.clone())
    }

    fn begin(&self) -> Answer<'_, ()> {
        Box::pin(async {
            self.remove_leftovers().await?;
            Ok(self.cut_leftovers().await?)
        })
    }

    fn send<'a>(&'a self, object: &'a Object) -> Answer<'a, Fate> {
        Box::pin(async {
            let written = match self.is_appending {
                true => self.append(object).await,
                false => self.put(object).await,
            };
            match written {
                Ok(()) => Ok(Fate::Safe),
                Err(Fault::Path(said)) if self.is_of_key(&said) => Ok(Fate::Refused(said)),
                Err(fault) => Err(fault.into()),
            }
        })
    }

    fn concurrency(&self) -> usize {
        // Of two that are appended to one file the first must be there before the second.
        if self.is_appending { 1 } else { WRITES }
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(self.try_write().await?) })
    }
}

#[cfg(test)]
mod tests;
