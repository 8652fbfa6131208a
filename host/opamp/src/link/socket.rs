//! A connection that stays open, by WebSocket (RFC 6455).

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE, USER_AGENT,
};
use reqwest::{Client, StatusCode, Url};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::sync::CancellationToken;

use flitch_core::clock::until;
use flitch_core::net::address::Address;
use flitch_core::net::dial::{Stream, dial};
use flitch_core::net::http_client::{self, USER_AGENT as NAME, reason, retry_after};
use flitch_core::net::tls::Renewed;
use flitch_core::setting::wrong;
use flitch_core::units::Bytes as Size;

use super::{Broken, Ears, FAREWELL};
use crate::settings::{OpampSettings, is_tls};
use crate::wire::{AgentToServer, framed, unframed};

/// Signs of life of flitch after which a server has said nothing is gone.
const SILENCE: u32 = 3;
/// Room for what is read: messages are small, and there may be many agents.
const ROOM: usize = 16 << 10;

/// Where an environment names proxies.
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

type Socket = WebSocketStream<Box<dyn Stream>>;

/// Connects to one server.
pub struct Dial {
    url: Url,
    address: Address,
    head: HeaderMap,
    tls: Renewed<Option<Arc<ClientConfig>>>,
    /// Where the environment names proxies, what goes by them.
    by_proxy: Option<Renewed<Client>>,
    timeout: Duration,
    silence: Duration,
    max_bytes: usize,
}

impl Dial {
    /// As the settings say.
    pub fn new(settings: &OpampSettings) -> anyhow::Result<Dial> {
        let url = settings.url()?;
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        let address = format!("{host}:{port}").parse::<Address>();
        let address = address.map_err(|error: String| wrong!("endpoint", ": {error}"))?;
        let mut head = settings.head()?;
        head.insert(USER_AGENT, HeaderValue::from_static(NAME));
        let tls = is_tls(&url).then(|| settings.tls.clone().unwrap_or_default());
        let limit = settings.timeout.0;
        let by_proxy = move |tls| {
            http_client::client_by_environment(http_client::Settings {
                tls,
                proxy: None,
                connect_timeout: limit,
                timeout: limit,
                keep: false,
            })
        };
        let has_proxies =
            PROXIES.iter().any(|name| std::env::var_os(name).is_some_and(|url| !url.is_empty()));
        let by_proxy = has_proxies.then(|| Renewed::new(tls.clone(), by_proxy)).transpose()?;
        Ok(Dial {
            url,
            by_proxy,
            address,
            head,
            tls: Renewed::new(tls, |tls| Ok(tls.map(Arc::new)))?,
            timeout: settings.timeout.0,
            silence: settings.heartbeat.0 * SILENCE,
            max_bytes: usize::try_from(settings.max_bytes.0)?,
        })
    }

    /// Speaks with the server until the connection is lost; `heard` is called at each sign of the server, of which
    /// that it takes the connection is none: what stands in front of it does so too. Ends well when `stop` is cancelled.
    pub async fn session(
        &self,
        ears: &Ears,
        heard: impl Fn() + Send + Sync,
        stop: &CancellationToken,
    ) -> Result<(), Broken> {
        let connecting = stop.run_until_cancelled(timeout(self.timeout, self.connect(ears))).await;
        let Some(connected) = connecting else { return Ok(()) };
        let mut socket = connected.map_err(|_| Broken::new("no answer in time"))??;
        tracing::info!(endpoint = %http_client::shown(&self.url), "connected to the server that manages flitch");
        let mut beat = Instant::now() + ears.heartbeat();
        let mut last = Instant::now();
        let mut is_due = false;
        loop {
            if let Some(message) = ears.desk.next(Instant::now(), is_due) {
                self.send(&mut socket, message).await?;
            }
            is_due = false;
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    let _ = timeout(FAREWELL, self.leave(&mut socket, ears)).await;
                    return Ok(());
                }
                came = socket.next() => {
                    last = Instant::now();
                    match came {
                        Some(Ok(Message::Binary(bytes))) => {
                            heard();
                            let message = unframed(&bytes).map_err(|error| Broken::new(format!("it sends no message of OpAMP: {error}")))?;
                            ears.hear(message)?;
                        }
                        Some(Ok(Message::Close(said))) => {
                            let said = said.map(|said| format!(": {}", said.reason)).unwrap_or_default();
                            return Err(Broken::new(format!("it closed the connection{said}")));
                        }
                        Some(Ok(_)) => heard(),
                        Some(Err(error)) => return Err(broken(error, ears.clock.now())),
                        None => return Err(Broken::new("it closed the connection")),
                    }
                }
                () = ears.desk.changed() => {}
                () = until(ears.desk.all_due(Instant::now())) => {}
                () = tokio::time::sleep_until(beat) => {
                    if last.elapsed() > self.silence {
                        return Err(Broken::new("it says nothing any more"));
                    }
                    beat = Instant::now() + ears.heartbeat();
                    is_due = true;
                    // The answer to this tells that the server is there; it owes none to a sign of life.
                    self.put(&mut socket, Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    async fn connect(&self, ears: &Ears) -> Result<Socket, Broken> {
        if let Some(client) = &self.by_proxy {
            return self.connect_by(client.get(), ears).await;
        }
        let stream = dial(&self.address, self.tls.get(), self.timeout).await;
        let stream = stream.map_err(|error| Broken::new(error.to_string()))?;
        let request = self.url.as_str().into_client_request();
        let mut request = request.map_err(|error| broken(error, ears.clock.now()))?;
        request.headers_mut().extend(self.head.clone());
        let (socket, _) = client_async_with_config(request, stream, Some(self.config()))
            .await
            .map_err(|error| broken(error, ears.clock.now()))?;
        Ok(socket)
    }

    /// The same through the proxy that the environment names for this server, or without one where it names none.
    async fn connect_by(&self, client: Client, ears: &Ears) -> Result<Socket, Broken> {
        let mut url = self.url.clone();
        let scheme = if is_tls(&self.url) { "https" } else { "http" };
        url.set_scheme(scheme).map_err(|()| Broken::new("the endpoint has no scheme of a proxy's"))?;
        let key = generate_key();
        let request = client.get(url).headers(self.head.clone()).header(CONNECTION, "Upgrade");
        let request = request.header(UPGRADE, "websocket").header(SEC_WEBSOCKET_VERSION, "13");
        let answer = request.header(SEC_WEBSOCKET_KEY, &key).send().await;
        let answer = answer.map_err(|error| Broken::new(reason(&error)))?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let after = retry_after(answer.headers(), ears.clock.now());
            return Err(Broken { reason: format!("the server answers {}", answer.status()), after });
        }
        let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(Broken::new("what answers speaks no WebSocket"));
        }
        let stream = answer.upgrade().await.map_err(|error| Broken::new(reason(&error)))?;
        let stream: Box<dyn Stream> = Box::new(stream);
        Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(self.config())).await)
    }

    fn config(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(ROOM)
            .write_buffer_size(ROOM)
            .max_message_size(Some(self.max_bytes))
            .max_frame_size(Some(self.max_bytes))
    }

    async fn send(&self, socket: &mut Socket, message: AgentToServer) -> Result<(), Broken> {
        self.put(socket, Message::Binary(framed(&message))).await
    }

    async fn put(&self, socket: &mut Socket, message: Message) -> Result<(), Broken> {
        match timeout(self.timeout, socket.send(message)).await {
            Ok(sent) => sent.map_err(|error| broken(error, 0)),
            Err(_) => Err(Broken::new("it takes nothing any more")),
        }
    }

    async fn leave(&self, socket: &mut Socket, ears: &Ears) -> Result<(), Broken> {
        self.send(socket, ears.desk.last()).await?;
        socket.close(None).await.map_err(|error| broken(error, 0))
    }
}

fn broken(error: Error, now: i64) -> Broken {
    match error {
        Error::Http(answer) => {
            let after = retry_after(answer.headers(), now);
            Broken { reason: format!("the server answers {}", answer.status()), after }
        }
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            let (size, most) = (Size(size as u64), Size(max_size as u64));
            Broken::new(format!("it sends a message of {size}, and {most} are taken (`max_bytes`)"))
        }
        other => Broken::new(other.to_string()),
    }
}
