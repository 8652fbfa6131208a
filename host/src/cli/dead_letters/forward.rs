//! Sends letters to a forward source, and waits for its answers.

use std::collections::HashSet;
use std::io;

use anyhow::Context;
use jiff::Timestamp;

use super::connect::{Server, Stream, TlsArgs};
use flitch_core::batch::{TAG, TIMESTAMP};
use flitch_core::dead_letter::read::Letter;
use flitch_core::dead_letter::replay::{CHUNK, Letters};
use flitch_core::net::forward::client::{Client, unique};
use flitch_core::net::forward::handshake::SecuritySettings;
use flitch_core::net::forward::pack::{self, Members};
use flitch_core::net::forward::{RECORD_DEPTH, write};
use flitch_sources::MOST_TAG;
use flitch_sources::forward::ForwardSettings;

/// The tag of messages whose records have none, or one that is too long for a message. A tag of the record's own, which is
/// sent with it, takes its place.
const NO_TAG: &str = "dead-letters";
/// Most messages that wait for their answers.
const WINDOW: usize = 64;

/// A forward source of the configuration.
pub struct Forward {
    server: Server,
    security: Option<SecuritySettings>,
    /// Bytes of a message, about.
    most: usize,
    client: Option<Client<Box<dyn Stream>>>,
    /// What the ids of all chunks begin with.
    id: String,
    /// Messages that were sent.
    sent: u64,
    /// The message that is gathered: its tag, its entries, and how many they are.
    tag: String,
    entries: Vec<u8>,
    count: u32,
    /// Chunks without an answer, and bytes in them.
    waiting: HashSet<String>,
    unanswered: usize,
    /// Letters that cannot be sent.
    unfit: u64,
}

impl Forward {
    /// The one with these settings, with its TLS, its key, and the first of its users.
    ///
    /// # Errors
    /// It listens nowhere in particular, or its certificate cannot be read.
    pub fn to_source(settings: &ForwardSettings, tls: &TlsArgs) -> anyhow::Result<Forward> {
        let listen = settings.listen.iter().next().context("it listens nowhere")?;
        let tls = settings.tls.as_ref().map(|own| tls.client(Some(&own.cert))).transpose()?;
        Ok(Forward {
            server: Server::behind(listen, tls)?,
            security: settings.security.clone(),
            most: CHUNK.min(settings.max_message.0 as usize / 2),
            client: None,
            id: unique()?,
            sent: 0,
            tag: String::new(),
            entries: Vec::new(),
            count: 0,
            waiting: HashSet::new(),
            unanswered: 0,
            unfit: 0,
        })
    }

    /// Letters that were kept because they never were records, or hold what MessagePack does not.
    pub fn unfit(&self) -> u64 {
        self.unfit
    }

    /// Adds a letter to the message, which is sent before where its records have another tag. Answers whether MessagePack
    /// can hold it.
    fn add(&mut self, letter: &Letter) -> io::Result<bool> {
        let members =
            letter.record.as_ref().and_then(|record| serde_json::from_str::<Members<'_>>(record.get()).ok());
        let Some(members) = members else { return Ok(false) };
        let text = |wanted: &str| {
            let (_, value) = members.0.iter().find(|(name, _)| name == wanted)?;
            serde_json::from_str::<String>(value.get()).ok()
        };
        let tag = text(TAG).filter(|tag| tag.len() <= MOST_TAG).unwrap_or_else(|| NO_TAG.to_owned());
        if tag != self.tag {
            self.close()?;
            self.tag = tag;
        }
        let time = text(TIMESTAMP).and_then(|time| time.parse::<Timestamp>().ok());
        let begin = self.entries.len();
        let ns = time.and_then(|time| i64::try_from(time.as_nanosecond()).ok()).unwrap_or(0);
        write::begin_entry(ns, &mut self.entries);
        if pack::map(&members, RECORD_DEPTH, &mut self.entries).is_err() {
            self.entries.truncate(begin);
            return Ok(false);
        }
        self.count += 1;
        if self.entries.len() >= self.most {
            self.close()?;
        }
        Ok(true)
    }

    /// Sends the message that was gathered.
    fn close(&mut self) -> io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        if self.waiting.len() >= WINDOW || self.unanswered >= CHUNK {
            self.answers()?;
        }
        self.sent += 1;
        let chunk = format!("{}-{}", self.id, self.sent);
        let mut message = Vec::with_capacity(self.entries.len() + self.tag.len() + 128);
        write::begin(&self.tag, self.count, &mut message);
        message.append(&mut self.entries);
        write::end(&chunk, &mut message);
        self.count = 0;
        self.unanswered += message.len();
        self.waiting.insert(chunk);
        self.client()?.send(&message)
    }

    /// Waits until every chunk is answered.
    fn answers(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let id = self.client()?.answered()?;
            // One that was not sent is nothing to wait for.
            self.waiting.remove(&id);
        }
        self.unanswered = 0;
        Ok(())
    }

    /// The connection, which is made for the first message.
    fn client(&mut self) -> io::Result<&mut Client<Box<dyn Stream>>> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let mut client = Client::new(self.server.connect()?);
                if let Some(security) = &self.security {
                    client.shake(security)?;
                }
                client
            }
        };
        Ok(self.client.insert(client))
    }
}

impl Letters for Forward {
    fn take(&mut self, letter: &Letter) -> io::Result<bool> {
        let added = self.add(letter);
        let taken = added.map_err(|error| self.server.failed(&error))?;
        self.unfit += u64::from(!taken);
        Ok(taken)
    }

    fn finish(&mut self) -> io::Result<()> {
        let answered = self.close().and_then(|()| self.answers());
        answered.map_err(|error| self.server.failed(&error))
    }
}

#[cfg(test)]
mod tests;
