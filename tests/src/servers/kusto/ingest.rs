//! What a cluster takes in, by each way.

use serde_json::{Value, json};

use super::answers::{gunzipped, reply, table, wrong};
use super::{Outcome, State, Status, TableState};
use crate::http_server::{Reply, Request};

impl State {
    /// Takes a text into a table.
    pub(super) fn ingest(
        &mut self,
        database: &str,
        name: &str,
        mapping: Option<&str>,
        tags: &[String],
        text: Vec<u8>,
    ) -> Outcome {
        let failed = |code: &str, failure: &str, details: &str| {
            Err(["Failed", code, failure, details].map(str::to_owned))
        };
        let is_refused = |text: &[u8]| {
            self.refuses
                .as_ref()
                .is_some_and(|(part, ..)| text.windows(part.len()).any(|window| window == part))
        };
        let mut outcome = Ok(());
        let mut text = text;
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
                text = text
                    .split_inclusive(|byte| *byte == b'\n')
                    .filter(|line| !is_refused(line))
                    .flatten()
                    .copied()
                    .collect();
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

    pub(super) fn queued(&mut self, request: &Request, database: &str, name: &str) -> Reply {
        if let Some(throttled) = self.throttled() {
            return throttled;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let properties = &body["properties"];
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
        };
        let blobs = body["blobs"].as_array().cloned().unwrap_or_default();
        let operation = format!("operation-{}", self.statuses.len());
        for blob in &blobs {
            let url = blob["url"].as_str().unwrap_or_default();
            let Some(bytes) = self.blob(url) else {
                return wrong(400, "BadRequest_InvalidBlob", "there is no such blob", true);
            };
            let text = gunzipped(&bytes);
            if blob["rawSize"].as_u64() != Some(text.len() as u64) {
                return wrong(400, "BadRequest_RawSize", "the size is not that of the blob", true);
            }
            let mapping = properties["ingestionMappingReference"].as_str();
            let outcome = self.ingest(database, name, mapping, &texts(&properties["tags"]), text);
            let source = blob["sourceId"].as_str().unwrap_or_default().to_owned();
            let outcome = (!self.silent).then_some(outcome);
            self.statuses.insert(operation.clone(), Status { row: Value::Null, source, outcome });
        }
        let operation = if properties["enableTracking"] == json!(true) { operation } else { String::new() };
        reply(200, &json!({ "ingestionOperationId": operation }))
    }

    pub(super) fn status(&self, operation: &str) -> Reply {
        let Some(status) = self.statuses.get(operation) else {
            return wrong(404, "BadRequest_OperationNotFound", "no such operation", true);
        };
        let mut detail =
            json!({ "sourceId": status.source, "url": "https://example.com/blob", "status": "InProgress" });
        let mut counts = json!({ "Succeeded": 0, "Failed": 0, "InProgress": 0, "Canceled": 0 });
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
        counts[detail["status"].as_str().unwrap_or_default()] = json!(1);
        reply(
            200,
            &json!({ "startTime": "2026-01-01T00:00:00Z", "lastUpdated": "2026-01-01T00:00:00Z", "status": counts,
            "details": [detail] }),
        )
    }

    pub(super) fn streamed(&mut self, request: &Request, database: &str, name: &str) -> Reply {
        if let Some(throttled) = self.throttled() {
            return throttled;
        }
        let text = gunzipped(&request.body);
        if text.len() > 4 << 20 {
            return wrong(413, "BadRequest_StreamTooLarge", "more than 4 MB", true);
        }
        let mapping = request.query("mappingName");
        let is_json = request.query("streamFormat").is_some_and(|format| format.eq_ignore_ascii_case("json"));
        if is_json && mapping.is_none() {
            return wrong(400, "BadRequest_MappingMissing", "JSON needs a mapping", true);
        }
        let found = self.tables.get(&(database.to_owned(), name.to_owned()));
        if found.is_some_and(|found| !found.streaming) {
            return wrong(
                400,
                "BadRequest_StreamingIngestionPolicyNotEnabled",
                "streams are not taken",
                true,
            );
        }
        let rows = text.iter().filter(|byte| **byte == b'\n').count();
        match self.ingest(database, name, mapping, &[], text) {
            Ok(()) => table(&["ConsumedRecordsCount"], &[vec![json!(rows.to_string())]]),
            Err([_, code, failure, details]) => wrong(400, &code, &details, failure == "Permanent"),
        }
    }
}
