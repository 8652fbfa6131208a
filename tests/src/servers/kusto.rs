//! A cluster of Azure Data Explorer that is none: it answers as the service does, keeps what it ingests, and fails as it is
//! told. Storage is its own, or that of an Azurite. Microsoft's own client is the judge of it (`e2e/adx_sdk.rs`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Result;
use parking_lot::{Condvar, Mutex, MutexGuard};
use serde_json::{Value, json};

use super::azurite::Azurite;
use crate::http_server::{Reply, Request, Server};
use answers::{reply, table, wrong};

mod answers;
mod ingest;
mod storage;
mod tokens;

/// The secret of the application that may ingest.
pub const SECRET: &str = "secret-of-the-tests";
/// A token that is always good, for clients that bring their own.
pub const BEARER: &str = "FAKE-BEARER";
/// The token by which Kubernetes says which pod it is.
pub const FEDERATED: &str = "federated.of-the.tests";
/// The accounts of its own storage.
const ACCOUNTS: [Ipv4Addr; 2] = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];

/// A running cluster. It ends when it is dropped.
pub struct Kusto {
    server: Server,
    state: Arc<Mutex<State>>,
    gate: Arc<Gate>,
}

/// What requests wait for that tell of blobs.
#[derive(Default)]
struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

/// A table, and what has been ingested.
#[derive(Debug, Default)]
pub struct TableState {
    /// Its ingestion mappings.
    pub mappings: BTreeSet<String>,
    /// Whether streams are taken.
    pub streaming: bool,
    /// What was ingested, each blob or stream by itself, expanded.
    pub ingested: Vec<Vec<u8>>,
    /// Tags of extents.
    pub tags: BTreeSet<String>,
}

/// Reads a Parquet file.
pub type ReadTable = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// Looks at what is written.
pub type Watch = Box<dyn Fn(&str, usize) + Send>;

/// What the cluster does.
#[derive(Default)]
pub struct State {
    /// By database and table.
    pub tables: BTreeMap<(String, String), TableState>,
    /// Whether a table that is missing is made.
    pub makes_tables: bool,
    /// Whether it knows the REST interface for what is queued.
    pub rest: bool,
    /// So many of the next requests to ingest are told to wait.
    pub throttles: u32,
    /// What it ingests it does not tell of.
    pub silent: bool,
    /// What is written to its own storage it throws away, and calls it ingested.
    pub forgets: bool,
    /// What has these bytes in it is refused, with a code and a status of failure (`Permanent`). Some codes are statuses:
    /// with `PartiallySucceeded` the lines without them are taken, `Skipped` and `Canceled` are what became of all of it.
    pub refuses: Option<(Vec<u8>, &'static str, &'static str)>,
    /// How it reads Parquet files: as lines. Not set, tables keep such files as they are.
    pub reads_tables: Option<ReadTable>,
    /// Is told of each blob that is written to its own storage: its path, and how many there are.
    pub watches: Option<Watch>,
    /// Most blobs of which it is told in one request.
    pub most_blobs: usize,
    /// A request with an address of a blob that has this in it is refused.
    pub dislikes: Option<String>,
    /// Accounts of its storage that are down, by their number.
    pub down: BTreeSet<usize>,
    /// A token that is good too.
    pub another_token: Option<String>,
    /// Who asks has no right.
    pub forbids: bool,
    /// All that was asked.
    pub requests: Vec<Request>,
    /// The signature that its storage takes.
    signature: u32,
    /// The token that it takes.
    token: u32,
    blobs: HashMap<String, Vec<u8>>,
    blocks: HashMap<(String, String), Vec<u8>>,
    /// Rows of its table of statuses, by their ids.
    statuses: HashMap<String, Status>,
    /// What became of the blobs of each request.
    operations: HashMap<String, Vec<Status>>,
    /// Messages that were taken out of queues, decoded.
    pub messages: Vec<Value>,
    azurite: Option<AzuriteStorage>,
    port: u16,
}

struct AzuriteStorage {
    container: String,
    queue: String,
}

#[derive(Clone)]
struct Status {
    row: Value,
    source: String,
    outcome: Option<Outcome>,
}

/// What became of a blob: none where it was ingested, else status, code, failure status and details.
type Outcome = std::result::Result<(), [String; 4]>;

impl Kusto {
    /// A cluster with storage of its own, that makes the tables that it is asked for.
    pub fn start() -> Result<Kusto> {
        Kusto::start_with(State { makes_tables: true, rest: true, most_blobs: 20, ..State::default() })
    }

    /// A cluster whose blobs and queues are an Azurite's.
    pub fn with_azurite(azurite: &Azurite) -> Result<Kusto> {
        let (container, queue) = azurite.signed("ingest")?;
        let azurite = Some(AzuriteStorage { container, queue });
        let state = State { makes_tables: true, rest: true, most_blobs: 20, azurite, ..State::default() };
        Kusto::start_with(state)
    }

    fn start_with(state: State) -> Result<Kusto> {
        let state = Arc::new(Mutex::new(state));
        let (shared, gate) = (state.clone(), Arc::<Gate>::default());
        let before = gate.clone();
        let server = Server::start(&ACCOUNTS, move |request| {
            if request.path.starts_with("/v1/rest/ingestion/queued/") {
                before.opened.wait_while(&mut before.is_closed.lock(), |is_closed| *is_closed);
            }
            let mut state = shared.lock();
            if !state.forgets {
                state.requests.push(request.clone());
            }
            state.answer(request)
        })?;
        state.lock().port = server.port();
        Ok(Kusto { server, state, gate })
    }

    /// Its address, as a setting.
    pub fn uri(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// The settings of an output that sends to it, without the table: a mapping of YAML or JSON, without its braces.
    pub fn settings(&self) -> String {
        let uri = self.uri();
        format!(
            "\"cluster\": \"{uri}\", \"auth\": {{ \"type\": \"client_secret\", \"tenant_id\": \"t\", \"client_id\": \"c\", \
             \"client_secret\": \"{SECRET}\", \"authority\": \"{uri}\" }}"
        )
    }

    /// What it does, to be changed.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Makes a table.
    pub fn create(&self, database: &str, table: &str, mappings: &[&str], streaming: bool) {
        let mappings = mappings.iter().map(|name| (*name).to_owned()).collect();
        let table_state = TableState { mappings, streaming, ..TableState::default() };
        self.state().tables.insert((database.to_owned(), table.to_owned()), table_state);
    }

    /// All that was ingested into a table, one behind the other.
    pub fn ingested(&self, database: &str, table: &str) -> Vec<u8> {
        let state = self.state();
        state
            .tables
            .get(&(database.to_owned(), table.to_owned()))
            .map(|t| t.ingested.concat())
            .unwrap_or_default()
    }

    /// The same of all tables.
    pub fn all(&self) -> Vec<u8> {
        self.state().tables.values().flat_map(|table| table.ingested.concat()).collect()
    }

    /// The lines of a table.
    pub fn lines(&self, database: &str, table: &str) -> Vec<String> {
        let text = String::from_utf8(self.ingested(database, table)).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    /// How many blobs are in its own storage.
    pub fn blobs(&self) -> usize {
        self.state().blobs.len()
    }

    /// How many requests had a path that begins like that.
    pub fn asked(&self, method: &str, begin: &str) -> usize {
        let state = self.state();
        state.requests.iter().filter(|r| r.method == method && r.path.starts_with(begin)).count()
    }

    /// Lets requests wait that tell of blobs.
    pub fn close_gate(&self) {
        *self.gate.is_closed.lock() = true;
    }

    /// Lets them go on.
    pub fn open_gate(&self) {
        *self.gate.is_closed.lock() = false;
        self.gate.opened.notify_all();
    }

    /// Signatures that were given out are over.
    pub fn end_signatures(&self) {
        self.state().signature += 1;
    }

    /// Tokens that were given out are over.
    pub fn end_tokens(&self) {
        self.state().token += 1;
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("POST", [_, "oauth2", "v2.0", "token"]) => self.give_token(request),
            ("GET", ["metadata", "identity", "oauth2", "token"]) => self.tell_machine(request),
            ("GET", ["v1", "rest", "auth", "metadata"]) => reply(
                200,
                &json!({ "AzureAD": { "LoginEndpoint": "https://login.microsoftonline.com", "LoginMfaRequired": false,
                    "KustoClientAppId": "x", "KustoClientRedirectUri": "http://localhost",
                    "KustoServiceResourceId": "https://kusto.kusto.windows.net",
                    "FirstPartyAuthorityUrl": "https://login.microsoftonline.com/x" } }),
            ),
            ("GET" | "POST", ["v1", "rest", rest @ ..]) => match self.denied(request) {
                Some(denied) => denied,
                None => self.of_service(request, rest),
            },
            _ => self.of_account(request, &parts),
        }
    }

    fn throttled(&mut self) -> Option<Reply> {
        self.throttles = self.throttles.checked_sub(1)?;
        Some(wrong(429, "TooManyRequests", "the request is throttled", false))
    }

    fn of_service(&mut self, request: &Request, path: &[&str]) -> Reply {
        match (request.method.as_str(), path) {
            ("POST", ["mgmt"]) => self.command(request),
            ("GET", ["ingestion", "configuration"]) if self.rest => {
                let containers: Vec<Value> =
                    self.containers().iter().map(|path| json!({ "path": path })).collect();
                reply(
                    200,
                    &json!({
                        "containerSettings": { "containers": containers, "lakeFolders": [], "refreshInterval": "01:00:00",
                            "preferredUploadMethod": "Storage" },
                        "ingestionSettings": { "maxBlobsPerBatch": self.most_blobs, "maxDataSize": 6_442_450_944u64,
                            "preferredIngestionMethod": "REST" },
                    }),
                )
            }
            ("POST", ["ingestion", "queued", database, table]) if self.rest => {
                self.queued(request, database, table)
            }
            ("GET", ["ingestion", "queued", _, _, operation]) if self.rest => self.status(operation),
            ("POST", ["ingest", database, table]) => self.streamed(request, database, table),
            _ => Reply { status: 404, ..Reply::default() },
        }
    }

    fn containers(&self) -> Vec<String> {
        match &self.azurite {
            Some(azurite) => vec![azurite.container.clone()],
            None => self.roots("container"),
        }
    }

    /// The addresses of something in each account of its own storage.
    fn roots(&self, name: &str) -> Vec<String> {
        let signature = format!("sv=2021-12-02&sig=s{}", self.signature);
        ACCOUNTS
            .iter()
            .map(|host| format!("http://{host}:{}/account/{name}?{signature}", self.port))
            .collect()
    }

    fn command(&mut self, request: &Request) -> Reply {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (database, command) =
            (body["db"].as_str().unwrap_or_default(), body["csl"].as_str().unwrap_or_default());
        if command.starts_with(".get ingestion resources") {
            let queues = match &self.azurite {
                Some(azurite) => vec![azurite.queue.clone()],
                None => self.roots("queue"),
            };
            let mut rows = Vec::new();
            let mut add = |kind: &str, roots: &[String]| {
                rows.extend(roots.iter().map(|root| vec![json!(kind), json!(root)]))
            };
            add("SecuredReadyForAggregationQueue", &queues);
            add("FailedIngestionsQueue", &queues);
            add("SuccessfulIngestionsQueue", &queues);
            add("TempStorage", &self.containers());
            add("IngestionsStatusTable", &self.roots("statuses"));
            return table(&["ResourceTypeName", "StorageRoot"], &rows);
        }
        if command.starts_with(".get kusto identity token") {
            return table(&["AuthorizationContext"], &[vec![json!("fake-identity-token")]]);
        }
        let name = command.split("['").nth(1).and_then(|rest| rest.split("']").next()).unwrap_or_default();
        let found = self.tables.get(&(database.to_owned(), name.to_owned()));
        let of_database = command.starts_with(".show database");
        if command.starts_with(".show table") && found.is_none() {
            let message = format!("Entity ID '{name}' of kind 'Table' was not found.");
            return wrong(400, "BadRequest_EntityNotFound", &message, true);
        }
        if command.contains("mappings") {
            let mappings = found.map(|found| found.mappings.clone()).unwrap_or_default();
            let rows: Vec<_> =
                mappings.iter().map(|name| vec![json!(name), json!("Json"), json!("[]")]).collect();
            return table(&["Name", "Kind", "Mapping"], &rows);
        }
        if command.contains("policy streamingingestion") {
            let enabled = found.is_some_and(|found| found.streaming);
            let policy =
                if of_database { "null".to_owned() } else { json!({ "IsEnabled": enabled }).to_string() };
            return table(
                &["PolicyName", "Policy"],
                &[vec![json!("StreamingIngestionPolicy"), json!(policy)]],
            );
        }
        if command.contains("cslschema") {
            return table(&["TableName", "Schema"], &[vec![json!(name), json!("a:string")]]);
        }
        table(&["ServiceType"], &[vec![json!("DataManagement")]])
    }
}
