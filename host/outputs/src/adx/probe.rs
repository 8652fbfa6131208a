//! Looking whether there is what the settings name: the right to ingest, tables, mappings, and the policy by which streams
//! are taken.

use super::AdxOutput;
use super::said::{Said, Trouble};
use super::service::{End, Table};
use super::tables::{Entry, Mode};
use crate::WriteError;

/// What an entry of the settings names.
pub(super) struct Wanted {
    /// Database and table, where they are the same for all records.
    database: Option<String>,
    table: Option<String>,
    mapping: Option<String>,
    mode: Mode,
}

impl Wanted {
    pub fn of(entry: &Entry<'_>) -> Wanted {
        Wanted {
            database: entry.database.constant().map(str::to_owned),
            table: entry.table.constant().map(str::to_owned),
            mapping: entry.mapping.map(str::to_owned),
            mode: entry.mode,
        }
    }
}

impl AdxOutput {
    /// Looks at the cluster. Nothing is written.
    pub(super) async fn look(&self) -> Result<(), WriteError> {
        let got = self.resources.get(&self.service).await;
        got.map_err(|trouble| {
            named(trouble, "the right to ingest is missing (Database Ingestor, or Table Ingestor)")
        })?;
        for wanted in &self.probes {
            // What depends on records is told by them.
            if let (Some(database), Some(table)) = (&wanted.database, &wanted.table) {
                self.look_at(database, table, wanted).await?;
            }
        }
        Ok(())
    }

    async fn look_at(&self, database: &str, table: &str, wanted: &Wanted) -> Result<(), WriteError> {
        let show = |what: String| async move {
            let answer = self.service.command(End::Engine, database, &what).await;
            let right = format!("the right to look at database `{database}` is missing (Database Viewer)");
            answer.map_err(|trouble| match &trouble {
                Trouble::Said(said) if is_missing(said) => {
                    let what =
                        format!("there is no table `{table}` in database `{database}`, or no such database");
                    WriteError::Denied { reason: format!("{what}: {}", said.text) }
                }
                _ => named(trouble, &right),
            })
        };
        show(format!(".show table ['{table}'] cslschema")).await?;
        if let Some(mapping) = &wanted.mapping {
            let kind = self.mapping_kind.to_ascii_lowercase();
            let of_table = show(format!(".show table ['{table}'] ingestion {kind} mappings")).await?;
            let has = |mappings: &Table| mappings.texts("Name").any(|name| name == mapping);
            let is_there = has(&of_table)
                || has(&show(format!(".show database ['{database}'] ingestion {kind} mappings")).await?);
            if !is_there {
                let reason = format!(
                    "there is no ingestion mapping `{mapping}` of kind {kind} for table `{table}` (`flitch adx mapping` writes one)"
                );
                return Err(WriteError::Denied { reason });
            }
        }
        if wanted.mode != Mode::Queued {
            let of_table = show(format!(".show table ['{table}'] policy streamingingestion")).await?;
            let is_enabled = match policy(&of_table) {
                Some(of_table) => of_table,
                None => {
                    let of_database =
                        show(format!(".show database ['{database}'] policy streamingingestion")).await?;
                    policy(&of_database).unwrap_or(false)
                }
            };
            if !is_enabled {
                let reason = format!(
                    "the streaming ingestion policy of table `{table}` and database `{database}` is not enabled: \
                     .alter table ['{table}'] policy streamingingestion enable"
                );
                return Err(WriteError::Denied { reason });
            }
        }
        Ok(())
    }
}

/// Whether a policy is enabled; none where there is no policy.
fn policy(table: &Table) -> Option<bool> {
    let policy = table.texts("Policy").next()?;
    serde_json::from_str::<serde_json::Value>(policy).ok()?.get("IsEnabled")?.as_bool()
}

fn is_missing(said: &Said) -> bool {
    let is_named =
        ["EntityNotFound", "TableNotExist", "DatabaseNotExist"].iter().any(|code| said.code.contains(code));
    is_named || said.text.contains("was not found") || said.text.contains("could not be found")
}

/// What denies access names the right that is missing.
fn named(trouble: Trouble, right: &str) -> WriteError {
    match trouble {
        Trouble::Said(said) if said.is_denied() => {
            WriteError::Denied { reason: format!("{right}: {}", said.text) }
        }
        trouble => trouble.error(),
    }
}
