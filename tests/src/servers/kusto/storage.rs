//! The storage of a cluster: blobs, queues, and the table in which it tells what became of blobs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answers::{of_storage, reply};
use super::ingest::Taken;
use super::{ACCOUNTS, State, Status};
use crate::http_server::{Reply, Request};

impl State {
    /// The bytes of a blob, wherever it is.
    pub(super) fn blob(&self, url: &str) -> Option<Vec<u8>> {
        let rest = url.strip_prefix("http://")?;
        let (host, target) = rest.split_once('/')?;
        let path = target.split('?').next()?;
        if self.azurite.is_some() {
            let answer = crate::http::get(host.parse().ok()?, &format!("/{target}")).ok()?;
            return (answer.status == 200).then_some(answer.body);
        }
        self.blobs.get(&format!("/{path}")).cloned()
    }

    pub(super) fn of_account(&mut self, request: &Request, parts: &[&str]) -> Reply {
        let account = ACCOUNTS.iter().position(|host| *host == request.host).unwrap_or_default();
        if self.down.contains(&account) {
            return Reply::default();
        }
        if request.query("sig") != Some(&format!("s{}", self.signature)) {
            return of_storage(403, "AuthenticationFailed");
        }
        let created = Reply { status: 201, ..Reply::default() };
        match (request.method.as_str(), parts) {
            ("PUT", ["account", "container", _]) => {
                match request.query("comp") {
                    _ if self.forgets => {}
                    Some("block") => {
                        let id = request.query("blockid").unwrap_or_default().replace("%3D", "=");
                        self.blocks.insert((request.path.clone(), id), request.body.clone());
                    }
                    Some("blocklist") => {
                        let list = String::from_utf8_lossy(&request.body).into_owned();
                        let ids =
                            list.split("<Latest>").skip(1).filter_map(|rest| rest.split("</Latest>").next());
                        let blocks = ids.map(|id| self.blocks.get(&(request.path.clone(), id.to_owned())));
                        let Some(blocks) = blocks.collect::<Option<Vec<_>>>() else {
                            return of_storage(400, "InvalidBlockList");
                        };
                        let whole = blocks.into_iter().flatten().copied().collect();
                        self.blobs.insert(request.path.clone(), whole);
                    }
                    _ if request.header("x-ms-blob-type") == Some("BlockBlob") => {
                        self.blobs.insert(request.path.clone(), request.body.clone());
                    }
                    _ => return of_storage(400, "MissingRequiredHeader"),
                }
                if let Some(watches) = &self.watches {
                    watches(&request.path, self.blobs.len());
                }
                created
            }
            ("POST", ["account", "queue", "messages"]) => {
                self.take_message(&String::from_utf8_lossy(&request.body));
                created
            }
            ("POST", ["account", "statuses"]) => {
                let row: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                let id = row["RowKey"].as_str().unwrap_or_default().to_owned();
                if id.is_empty() || row["PartitionKey"] != row["RowKey"] {
                    return of_storage(400, "PropertiesNeedValue");
                }
                self.statuses.insert(id.clone(), Status { row, source: id, outcome: None });
                Reply { status: 204, ..Reply::default() }
            }
            ("GET", ["account", row]) => {
                self.drain();
                let id =
                    row.split("RowKey='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or_default();
                let Some(status) = self.statuses.get(id) else { return of_storage(404, "ResourceNotFound") };
                let mut row = status.row.clone();
                match &status.outcome {
                    None => {}
                    Some(Ok(())) => row["Status"] = json!("Succeeded"),
                    Some(Err([state, code, failure, details])) => {
                        row["Status"] = json!(state);
                        row["ErrorCode"] = json!(code);
                        row["FailureStatus"] = json!(failure);
                        row["Details"] = json!(details);
                    }
                }
                reply(200, &row)
            }
            _ => of_storage(400, "UnsupportedHttpVerb"),
        }
    }

    /// Takes what waits in the queue of an Azurite.
    pub fn drain(&mut self) {
        let Some(queue) = self.azurite.as_ref().map(|azurite| azurite.queue.clone()) else { return };
        let rest = queue.strip_prefix("http://").unwrap_or_default();
        let Some((host, target)) = rest.split_once('/') else { return };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Ok(address) = host.parse() else { return };
        let target = format!("/{path}/messages?numofmessages=32&{query}");
        let Ok(answer) = crate::http::get(address, &target) else { return };
        let text = answer.text();
        for message in text.split("<QueueMessage>").skip(1) {
            self.take_message(message);
        }
    }

    /// Does what a message says.
    fn take_message(&mut self, text: &str) {
        let encoded = text.split("<MessageText>").nth(1).and_then(|rest| rest.split("</MessageText>").next());
        let decoded = encoded.and_then(|encoded| STANDARD.decode(encoded.trim()).ok());
        let message: Value = decoded.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        self.messages.push(message.clone());
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let more = &message["AdditionalProperties"];
        let tags: Vec<String> =
            more["tags"].as_str().and_then(|tags| serde_json::from_str(tags).ok()).unwrap_or_default();
        let mapping = more["ingestionMappingReference"].as_str();
        let outcome = match self.blob(&text("BlobPath")) {
            _ if more["authorizationContext"] != json!("fake-identity-token") => {
                Err(["Failed", "BadRequest_TableAccessDenied", "Permanent", "no identity"].map(str::to_owned))
            }
            Some(bytes) => self.ingest(Taken {
                database: &text("DatabaseName"),
                table: &text("TableName"),
                mapping,
                tags: &tags,
                format: more["format"].as_str().unwrap_or_default(),
                bytes,
            }),
            None => {
                Err(["Failed", "Download_SourceNotFound", "Permanent", "no such blob"].map(str::to_owned))
            }
        };
        if let Some(status) = self.statuses.get_mut(&text("Id"))
            && !self.silent
        {
            status.outcome = Some(outcome);
        }
    }
}
