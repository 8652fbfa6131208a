//! Queued ingestion: a blob is written to storage of the cluster, the cluster is told of it ([`together`](super::together)
//! with others, or by a message), and says some minutes later what became of it.
//!
//! Facts: Microsoft's *Queued ingestion via REST API* and *Ingestion status via REST API* (2025-12), and *Kusto.Ingest
//! without the client library* for clusters that have no such interface; there the message is that of their clients.

use std::sync::LazyLock;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::AdxOutput;
use super::resources::{Resources, Way};
use super::said::{Trouble, refused};
use super::service::{CLIENT, End, strange};
use super::storage;
use super::tables::Place;
use crate::staging::Object;
use crate::{Fate, WriteError};
use flitch_core::net::words;

/// The shortest and the longest pause between two questions for what became of a blob.
pub(super) const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// By what the service is asked what became of a blob.
#[derive(Debug, Serialize, Deserialize)]
struct Ticket {
    /// The operation of the REST interface, or the table of the other, in which the row is.
    by: By,
    /// The blob's id.
    id: String,
    /// Its address, without the signature.
    path: String,
    /// When it was given to the service, in milliseconds since [`BEGIN`].
    since: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum By {
    Operation(String),
    Table(String),
}

/// From where times of tickets count.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What became of a blob.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detail {
    #[serde(default, deserialize_with = "words::some")]
    source_id: Option<String>,
    #[serde(default, deserialize_with = "words::some")]
    url: Option<String>,
    #[serde(deserialize_with = "words::text")]
    status: String,
    #[serde(default, deserialize_with = "words::some")]
    error_code: Option<String>,
    #[serde(default, deserialize_with = "words::some")]
    failure_status: Option<String>,
    #[serde(default, deserialize_with = "words::some")]
    details: Option<String>,
}

impl Detail {
    /// Whether it is for the blob with this id, or, where it names none, at this address.
    pub fn is_of(&self, id: &str, path: &str) -> bool {
        match (&self.source_id, &self.url) {
            (Some(found), _) => found.eq_ignore_ascii_case(id),
            (None, url) => url.as_ref().is_some_and(|url| url.split('?').next() == Some(path)),
        }
    }

    /// Whether it does not say for which.
    pub fn is_of_nobody(&self) -> bool {
        self.source_id.is_none() && self.url.is_none()
    }
}

impl AdxOutput {
    /// Gives an object to the service.
    pub(super) async fn queue(&self, object: &Object, place: &Place<'_>) -> Result<Fate, WriteError> {
        let id = super::guid();
        let given = async {
            let (resources, blob) = self.upload(object, place, &id).await?;
            let by = match &resources.way {
                Way::Rest(batching) => {
                    self.tell(object, place, &id, &blob, *batching).await?.map(By::Operation)
                }
                Way::Queue { .. } => self.enqueue(&resources, object, place, &id, &blob).await?,
            };
            Ok((by, blob))
        };
        let (by, mut blob) = match given.await {
            Ok(given) => given,
            Err(trouble) => return Trouble::fate(trouble),
        };
        object.progress.lock().upload = None;
        let Some(by) = by else { return Ok(Fate::Safe) };
        blob.set_query(None);
        let ticket = Ticket { by, id, path: blob.into(), since: BEGIN.elapsed().as_millis() as u64 };
        object.progress.lock().ticket = serde_json::to_string(&ticket).ok();
        Ok(Fate::Later(POLL.0))
    }

    /// Writes the blob, to another account where one fails, unless it was written before the service could be told of it.
    async fn upload(
        &self,
        object: &Object,
        place: &Place<'_>,
        id: &str,
    ) -> Result<(std::sync::Arc<Resources>, Url), Trouble> {
        let _turn = self.uploads.acquire().await;
        let mut resources = self.resources.get(&self.service).await?;
        let before = object.progress.lock().upload.clone();
        if let Some(blob) = before.and_then(|blob| Url::parse(&blob).ok()) {
            return Ok((resources, blob));
        }
        let name = format!("{}__{}__{id}__flitch{}", place.database, place.table, self.plan.extension);
        let mut is_renewed = false;
        loop {
            let mut trouble = None;
            let mut is_denied = false;
            for container in self.resources.ranked(&resources.containers) {
                match storage::put_blob(&self.service.http.get(), container, &name, object).await {
                    Ok(blob) => {
                        self.resources.note(container, true);
                        object.progress.lock().upload = Some(blob.to_string());
                        return Ok((resources, blob));
                    }
                    Err(error) => {
                        self.resources.note(container, false);
                        is_denied |= matches!(&error, Trouble::Said(said) if said.is_denied());
                        trouble = Some(error);
                    }
                }
            }
            // Signatures end, and are taken back.
            if is_denied && !is_renewed {
                is_renewed = true;
                resources = self.resources.renew(&self.service, &resources).await?;
                continue;
            }
            let trouble =
                trouble.unwrap_or_else(|| strange(&self.service.url(End::Management, &[]), "containers"));
            // What storage refuses is no fault of the records.
            return Err(Trouble::Failed(trouble.error()));
        }
    }

    /// Tells the service of a blob by a message, and waits for the answer in a row of a table, which is for this blob alone:
    /// the queues in which it answers too are read by everybody who sends to the cluster.
    async fn enqueue(
        &self,
        resources: &Resources,
        object: &Object,
        place: &Place<'_>,
        id: &str,
        blob: &Url,
    ) -> Result<Option<By>, Trouble> {
        let Way::Queue { queues, tables, identity } = &resources.way else { return Ok(None) };
        let http = &self.service.http.get();
        let mut message = self.message(object, place, id, blob, identity);
        let mut table = None;
        if self.waits {
            let found = self.begin_row(tables, &pending(place, id, blob, &self.now())).await?;
            message["IngestionStatusInTable"] =
                json!({ "TableConnectionString": found.as_str(), "PartitionKey": id, "RowKey": id });
            table = Some(By::Table(found.to_string()));
        }
        let mut trouble = None;
        for queue in self.resources.ranked(queues) {
            match storage::put_message(http, queue, &message).await {
                Ok(()) => {
                    self.resources.note(queue, true);
                    return Ok(table);
                }
                Err(error) => {
                    self.resources.note(queue, false);
                    trouble = Some(error);
                }
            }
        }
        if let Some(Trouble::Said(said)) = &trouble
            && said.is_denied()
        {
            self.resources.renew(&self.service, resources).await?;
        }
        let trouble = trouble.unwrap_or_else(|| strange(&self.service.url(End::Management, &[]), "queues"));
        Err(Trouble::Failed(trouble.error()))
    }

    /// Makes the row of a blob in a table, of another account where one fails. Answers the table.
    async fn begin_row<'t>(&self, tables: &'t [Url], row: &Value) -> Result<&'t Url, Trouble> {
        let mut trouble = Resources::no_table();
        for table in self.resources.ranked(tables) {
            let put = storage::put_row(&self.service.http.get(), table, row).await;
            self.resources.note(table, put.is_ok());
            match put {
                Ok(()) => return Ok(table),
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }

    /// The message, as Microsoft's clients send it.
    fn message(&self, object: &Object, place: &Place<'_>, id: &str, blob: &Url, identity: &str) -> Value {
        let mut more = json!({ "authorizationContext": identity, "format": self.format });
        let tags = self.tags(object, place);
        if !tags.all.is_empty() {
            more["tags"] = json!(json!(tags.all).to_string());
        }
        if let Some(tag) = &tags.once {
            more["ingestIfNotExists"] = json!(json!([tag]).to_string());
        }
        if let Some(mapping) = place.mapping {
            more["ingestionMappingReference"] = json!(mapping);
            more["ingestionMappingType"] = json!(self.mapping_kind);
        }
        // Levels: 1 nothing is told, 2 failures and successes. Methods: 1 in a table.
        let (level, method) = if self.waits { (2, 1) } else { (1, 0) };
        json!({
            "BlobPath": blob.as_str(),
            "RawDataSize": object.text,
            "DatabaseName": place.database,
            "TableName": place.table,
            "RetainBlobOnSuccess": false,
            "FlushImmediately": false,
            "IgnoreSizeLimit": false,
            "ReportLevel": level,
            "ReportMethod": method,
            "SourceMessageCreationTime": self.now(),
            "Id": id,
            "ApplicationForTracing": "flitch",
            "ClientVersionForTracing": CLIENT,
            "AdditionalProperties": more,
        })
    }

    /// Asks what became of an object.
    pub(super) async fn asked(&self, object: &Object, place: &Place<'_>) -> Result<Fate, WriteError> {
        let ticket = object.progress.lock().ticket.clone();
        let Some(ticket) = ticket.and_then(|ticket| serde_json::from_str::<Ticket>(&ticket).ok()) else {
            let reason = "nothing was given to the service".to_owned();
            return Ok(Fate::Again(WriteError::Unreachable { reason }));
        };
        let Ticket { by, id, path, since } = &ticket;
        let since = BEGIN.elapsed().saturating_sub(Duration::from_millis(*since));
        let detail = match by {
            By::Operation(operation) => self.of_operation(operation, id, path, place, since).await,
            By::Table(table) => self.of_table(table, id).await,
        };
        let later = Fate::Later((since / 2).clamp(POLL.0, POLL.1));
        let fate = match detail {
            // The service may not know of it yet.
            Ok(None) => later,
            Ok(Some(detail)) => self.judged(detail).unwrap_or(later),
            Err(Trouble::Said(said)) if said.status == 404 => later,
            Err(trouble) if since < self.patience => return Err(trouble.error()),
            Err(_) => later,
        };
        let fate = match fate {
            Fate::Later(_) if since >= self.patience => {
                let patience = self.patience.as_secs();
                let reason = format!(
                    "it has not told within {patience} s what became of a blob (`status_timeout`), which is sent again"
                );
                Fate::Again(WriteError::Unreachable { reason })
            }
            fate => fate,
        };
        if let Fate::Again(_) = fate {
            *object.progress.lock() = Default::default();
        }
        Ok(fate)
    }

    async fn of_table(&self, table: &str, id: &str) -> Result<Option<Detail>, Trouble> {
        let url = Url::parse(table).map_err(|_| Resources::no_table())?;
        let row = match storage::row(&self.service.http.get(), &url, id).await {
            // The signature has ended; the same table has another one now.
            Err(Trouble::Said(said)) if said.is_denied() => {
                let resources = self.resources.get(&self.service).await?;
                let fresh = self.resources.renew(&self.service, &resources).await?;
                let Way::Queue { tables, .. } = &fresh.way else { return Err(Trouble::Said(said)) };
                let same =
                    tables.iter().find(|found| found.path() == url.path() && found.host() == url.host());
                storage::row(&self.service.http.get(), same.ok_or(Trouble::Said(said))?, id).await?
            }
            row => row?,
        };
        let text = |name: &str| row.get(name).cloned();
        Ok(Some(Detail {
            source_id: None,
            url: None,
            status: text("Status").unwrap_or_default(),
            error_code: text("ErrorCode"),
            failure_status: text("FailureStatus"),
            details: text("Details"),
        }))
    }

    /// What is to be done about what became of a blob; none while that is not decided.
    fn judged(&self, detail: Detail) -> Option<Fate> {
        let Detail { status, error_code, failure_status, details, .. } = detail;
        let code = error_code.unwrap_or_default();
        let mut reason = [status.as_str(), failure_status.as_deref().unwrap_or_default(), &code]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(": ");
        if let Some(details) = details.filter(|details| !details.is_empty()) {
            reason = format!("{reason}: {}", details.lines().next().unwrap_or_default());
        }
        reason = format!("the cluster took it and did not ingest it: {reason}");
        let again = |reason| Some(Fate::Again(WriteError::Unreachable { reason }));
        match (status.as_str(), failure_status.as_deref(), code.as_str()) {
            ("Succeeded", ..) => Some(Fate::Safe),
            // What has the tag is there already.
            ("Skipped", _, "") | (_, _, "Skipped_IngestByTagAlreadyExists") if self.ingest_by => {
                Some(Fate::Safe)
            }
            // It tries again by itself.
            ("Failed", _, "General_AbandonedIngestion") => None,
            // That the blob cannot be read, or who has sent it is not known any more, is no fault of what is in it.
            ("Failed", _, code)
                if code.starts_with("Download_") || code == "BadRequest_InvalidKustoIdentityToken" =>
            {
                again(reason)
            }
            ("Failed", Some("Transient" | "Exhausted"), _) => again(reason),
            ("Failed", Some("Permanent"), code) => Some(refused(code, reason)),
            ("Failed", _, code) if code.starts_with("BadRequest") || code.starts_with("Stream_") => {
                Some(refused(code, reason))
            }
            ("Failed", ..) => again(reason),
            // Somebody has stopped it (`.cancel queued ingestion operation`), which says nothing of what is in it.
            ("Canceled", ..) => again(reason),
            // Nobody knows which records arrived, or in which of them the cluster found nothing that it could take.
            ("PartiallySucceeded" | "Skipped", ..) => Some(Fate::Poisoned(reason)),
            _ => None,
        }
    }
}

/// The row of a blob before the service has changed it.
fn pending(place: &Place<'_>, id: &str, blob: &Url, now: &str) -> Value {
    let mut path = blob.clone();
    path.set_query(None);
    json!({
        "PartitionKey": id,
        "RowKey": id,
        "IngestionSourceId": id,
        "IngestionSourcePath": path.as_str(),
        "Database": place.database,
        "Table": place.table,
        "Status": "Pending",
        "UpdatedOn": now,
    })
}
