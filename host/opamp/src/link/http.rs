//! Questions in turns, by HTTP.

use std::time::Duration;

use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use flitch_core::clock::until;
use flitch_core::net::confided;
use flitch_core::net::http_client::{self, beginning, reason, retry_after, whole};
use flitch_core::net::tls::Renewed;
use flitch_core::units::Bytes;

use super::{Broken, Ears, FAREWELL, REASON};
use crate::settings::{OpampSettings, is_tls};
use crate::wire::{AgentToServer, ServerToAgent};

/// Least time between two questions, however much there is to tell.
const LEAST: Duration = Duration::from_millis(200);

/// Asks one server.
pub struct Asker {
    url: Url,
    head: HeaderMap,
    client: Renewed<Client>,
    max_bytes: u64,
}

impl Asker {
    /// As the settings say.
    pub fn new(settings: &OpampSettings) -> anyhow::Result<Asker> {
        let url = settings.url()?;
        let mut head = settings.head()?;
        head.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let tls = is_tls(&url).then(|| settings.tls.clone().unwrap_or_default());
        let limit = settings.timeout.0;
        let client = Renewed::new(tls, move |tls| {
            http_client::client_by_environment(http_client::Settings {
                tls,
                proxy: None,
                connect_timeout: limit,
                timeout: limit,
                // Between two questions lies more than connections are kept for.
                keep: false,
            })
        })?;
        Ok(Asker { url, head, client, max_bytes: settings.max_bytes.0 })
    }

    /// Asks in turns until a question fails; `heard` is called at each answer. Ends well when `stop` is cancelled.
    pub async fn session(
        &self,
        ears: &Ears,
        heard: impl Fn() + Send + Sync,
        stop: &CancellationToken,
    ) -> Result<(), Broken> {
        loop {
            let asked = Instant::now();
            if let Some(message) = ears.desk.next(asked, true) {
                let Some(answer) = stop.run_until_cancelled(self.ask(message, ears)).await else { break };
                let answer = answer?;
                heard();
                ears.hear(answer)?;
            }
            let beat = asked + ears.heartbeat();
            let rest = async {
                tokio::time::sleep_until(asked + LEAST).await;
                tokio::select! {
                    () = ears.desk.changed() => {}
                    () = until(ears.desk.all_due(Instant::now())) => {}
                    () = tokio::time::sleep_until(beat) => {}
                }
            };
            if stop.run_until_cancelled(rest).await.is_none() {
                break;
            }
        }
        let _ = timeout(FAREWELL, self.ask(ears.desk.last(), ears)).await;
        Ok(())
    }

    async fn ask(&self, message: AgentToServer, ears: &Ears) -> Result<ServerToAgent, Broken> {
        let request = self.client.get().post(self.url.clone()).headers(self.head.clone());
        let answer = confided::send(request.body(message.encode_to_vec())).await;
        let answer = answer.map_err(|error| Broken::new(reason(&error)))?;
        if answer.status() != StatusCode::OK {
            let (status, after) = (answer.status(), retry_after(answer.headers(), ears.clock.now()));
            let said = beginning(answer, REASON).await;
            let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
            return Err(Broken { reason: format!("the server answers {status}{said}"), after });
        }
        if answer.content_length().is_some_and(|bytes| bytes > self.max_bytes) {
            let most = Bytes(self.max_bytes);
            return Err(Broken::new(format!("its answer has more than {most} (`max_bytes`)")));
        }
        let most = usize::try_from(self.max_bytes).unwrap_or(usize::MAX);
        let bytes = whole(answer, most).await.map_err(Broken::new)?;
        ServerToAgent::decode(&*bytes)
            .map_err(|error| Broken::new(format!("it answers no message of OpAMP: {error}")))
    }
}

#[cfg(test)]
mod tests;
