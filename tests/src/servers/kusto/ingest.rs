//! What a cluster takes in, by each way.

use serde_json::{Value, json};

use super::answers::{gunzipped, reply, table, wrong};
use super::{Outcome, State, Status, TableState};
use crate::http_server::{Reply, Request};

/// What is to be taken in, and as what.
pub(super) struct Taken<'t> {
    pub database: &'t str,
    pub table: &'t str,
    pub mapping: Option<&'t str>,
    pub tags: &'t [String],
    pub format: &'t str,
    pub bytes: Vec<u8>,
}

/// How a Parquet file begins.
const PARQUET: &[u8] = b"PAR1";

impl State {
    /// Takes a text into a table.
    pub(super) fn ingest(&mut self, taken: Taken<'_>) -> Outcome {
        let Taken { database, table: name, mapping, tags, format, bytes } = taken;
        let failed = |code: &str, failure: &str, details: &str| {
            Err(["Failed", code, failure, details].map(str::to_owned))
        };
        if bytes.starts_with(PARQUET) != (format == "parquet") {
            return failed("BadRequest_InvalidBlob", "Permanent", "It has another format.");
        }
        let mut text = match (&self.reads_tables, format) {
            (Some(reads), "parquet") => reads(&bytes),
            _ => gunzipped(&bytes),
        };
        let is_refused = |text: &[u8]| {
            self.refuses
                .as_ref()
                .is_some_and(|(part, ..)| text.windows(part.len()).any(|window| window == part))
        };
        let mut outcome = Ok(());
        if let Some((_, code, failure)) = self.refuses
            && is_refused(&text)
        {
            let (state, code) = match code {
                "PartiallySucceeded" | "Skipped" | "Canceled" => (code, "BadRequest_ToldSo"),
                _ => ("Failed", code),
            };
            let said =
                |state: &str| Err([state, code, failure, "it was told to refuse it"].map(str::to_owned));
            outcome = said(state);
            if state == "PartiallySucceeded" {
                let lines = text.split_inclusive(|byte| *byte == b'\n');
                text = lines.filter(|line| !is_refused(line)).flatten().copied().collect();
            }
            if state != "PartiallySucceeded" || text.is_empty() {
                return said(if text.is_empty() { "Failed" } else { state });
            }
        }
        let key = (database.to_owned(), name.to_owned());
        if !self.tables.contains_key(&key) {
            if !self.makes_tables {
                return failed("BadRequest_TableNotExist", "Permanent", "Table does not exist.");
            }
            let streaming = TableState { streaming: true, ..TableState::default() };
            self.tables.insert(key.clone(), streaming);
        }
        let makes = self.makes_tables;
        let table = self.tables.get_mut(&key).expect("it is there");
        if let Some(mapping) = mapping
            && !makes
            && !table.mappings.contains(mapping)
        {
            return failed(
                "BadRequest_MappingReferenceWasNotFound",
                "Permanent",
                "Mapping reference wasn't found.",
            );
        }
        if tags.iter().any(|tag| tag.starts_with("ingest-by:") && table.tags.contains(tag)) {
            return Err(["Skipped", "Skipped_IngestByTagAlreadyExists", "Permanent", "It is there."]
                .map(str::to_owned));
        }
        table.tags.extend(tags.iter().cloned());
        table.ingested.push(text);
        outcome
    }

    pub(super) fn queued(&mut self, request: &Request, database: &str, table: &str) -> Reply {
        if let Some(throttled) = self.throttled() {
            return throttled;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let properties = &body["properties"];
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
        };
        let blobs = body["blobs"].as_array().cloned().unwrap_or_default();
        if blobs.is_empty() || blobs.len() > self.most_blobs {
            return wrong(400, "BadRequest_TooManyBlobs", "so many blobs are not taken at once", true);
        }
        let url = |blob: &Value| blob["url"].as_str().unwrap_or_default().to_owned();
        // The service looks at addresses alone before it answers.
        if blobs.iter().any(|blob| self.dislikes.as_ref().is_some_and(|part| url(blob).contains(part))) {
            return wrong(400, "BadRequest_InvalidBlobUri", "this is no address of a blob", true);
        }
        let format = properties["format"].as_str().unwrap_or_default();
        let mapping = properties["ingestionMappingReference"].as_str();
        let tags = texts(&properties["tags"]);
        let mut statuses = Vec::new();
        for blob in &blobs {
            let url = url(blob);
            let source = blob["sourceId"].as_str().unwrap_or_default().to_owned();
            let row = json!({ "url": url.split('?').next() });
            if self.forgets {
                statuses.push(Status { row, source, outcome: Some(Ok(())) });
                continue;
            }
            let Some(bytes) = self.blob(&url) else {
                return wrong(400, "BadRequest_InvalidBlob", "there is no such blob", true);
            };
            let size = if format == "parquet" { None } else { Some(gunzipped(&bytes).len() as u64) };
            if size.is_some_and(|size| blob["rawSize"].as_u64() != Some(size)) {
                return wrong(400, "BadRequest_RawSize", "the size is not that of the blob", true);
            }
            let outcome = self.ingest(Taken { database, table, mapping, tags: &tags, format, bytes });
            let outcome = (!self.silent).then_some(outcome);
            statuses.push(Status { row, source, outcome });
        }
        let operation = format!("operation-{}", self.operations.len());
        self.operations.insert(operation.clone(), statuses);
        let operation = if properties["enableTracking"] == json!(true) { operation } else { String::new() };
        reply(200, &json!({ "ingestionOperationId": operation }))
    }

    pub(super) fn status(&self, operation: &str) -> Reply {
        let Some(statuses) = self.operations.get(operation) else {
            return wrong(404, "BadRequest_OperationNotFound", "no such operation", true);
        };
        let mut counts = json!({ "Succeeded": 0, "Failed": 0, "InProgress": 0, "Canceled": 0 });
        // In the service's own example not all have the id of their source.
        let details = statuses.iter().enumerate().map(|(number, status)| {
            let mut detail = json!({ "url": status.row["url"], "status": "InProgress" });
            if number % 2 == 0 {
                detail["sourceId"] = json!(status.source);
            }
            match &status.outcome {
                None => {}
                Some(Ok(())) => detail["status"] = json!("Succeeded"),
                Some(Err([state, code, failure, details])) => {
                    detail["status"] = json!(state);
                    detail["errorCode"] = json!(code);
                    detail["failureStatus"] = json!(failure);
                    detail["details"] = json!(details);
                }
            }
            let state = detail["status"].as_str().unwrap_or_default().to_owned();
            counts[&state] = json!(counts[&state].as_u64().unwrap_or_default() + 1);
            detail
        });
        let details: Vec<Value> = details.collect();
        reply(
            200,
            &json!({ "startTime": "2026-01-01T00:00:00Z", "lastUpdated": "2026-01-01T00:00:00Z", "status": counts,
            "details": details }),
        )
    }

    pub(super) fn streamed(&mut self, request: &Request, database: &str, table_name: &str) -> Reply {
        if let Some(throttled) = self.throttled() {
            return throttled;
        }
        let text = gunzipped(&request.body);
        if text.len() > 4 << 20 {
            return wrong(413, "BadRequest_StreamTooLarge", "more than 4 MB", true);
        }
        let mapping = request.query("mappingName");
        let format = request.query("streamFormat").unwrap_or_default().to_ascii_lowercase();
        if !["csv", "tsv", "scsv", "sohsv", "psv", "json", "multijson", "avro", "txt"].contains(&&*format) {
            return wrong(400, "BadRequest_FormatNotSupported", "this format cannot be streamed", true);
        }
        if format == "json" && mapping.is_none() {
            return wrong(400, "BadRequest_MappingMissing", "JSON needs a mapping", true);
        }
        let found = self.tables.get(&(database.to_owned(), table_name.to_owned()));
        if found.is_some_and(|found| !found.streaming) {
            return wrong(
                400,
                "BadRequest_StreamingIngestionPolicyNotEnabled",
                "streams are not taken",
                true,
            );
        }
        let rows = text.iter().filter(|byte| **byte == b'\n').count();
        let taken = Taken { database, table: table_name, mapping, tags: &[], format: &format, bytes: text };
        match self.ingest(taken) {
            Ok(()) => table(&["ConsumedRecordsCount"], &[vec![json!(rows.to_string())]]),
            Err([_, code, failure, details]) => wrong(400, &code, &details, failure == "Permanent"),
        }
    }
}
