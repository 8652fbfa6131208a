//! WASI 0.2 over an empty context: clocks, randomness, and standard output and error as lines in the log.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::StoreContextMut;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::filesystem::WasiFilesystemView;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::sync::filesystem::types;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{FsPerms, WasiCtx};

use super::deadline::Deadline;
use super::settings::Allow;
use super::state::State;
use super::voice::Voice;

/// A line of output that grows past this is cut into several.
const LINE: usize = 4096;

/// Most random bytes of one call.
const MAX_RANDOM: u64 = 1 << 20;

/// The interface of files, in the version that wasmtime has.
const FILES: &str = "wasi:filesystem/types@0.2.12";

/// Adds the interfaces of WASI 0.2 to what plugins find.
pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    // A guest that sleeps is in the host, which stops it when it comes back: so it may not sleep past its deadline.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<State, ShortSleep>(linker, |state| {
        let (deadline, view) = state.clock();
        Clocks { deadline, view }
    })?;
    // Nor may it open what blocks who opens or reads it, such as a named pipe.
    linker.instance(FILES)?.func_wrap("[method]descriptor.open-at", open_at)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The context of one instance.
pub fn context(allow: &Allow, voice: &Arc<Voice>) -> anyhow::Result<WasiCtx> {
    let mut context = WasiCtx::builder();
    context.stdout(Lines(voice.clone())).stderr(Lines(voice.clone())).max_random_size(MAX_RANDOM);
    // No address may be reached; without this a guest could still hold sockets that reach nothing.
    context.allow_tcp(false).allow_udp(false);
    for folder in &allow.read {
        context.preopened_dir(folder, folder.to_string_lossy(), FsPerms::ReadOnly).map_err(|e| {
            anyhow::anyhow!("cannot open {}, which `allow: read` grants: {e}", folder.display())
        })?;
    }
    for name in &allow.env {
        if let Ok(value) = std::env::var(name) {
            context.env(name, value);
        }
    }
    Ok(context.build())
}

type Opened = Result<Resource<types::Descriptor>, types::ErrorCode>;

/// Opens files and folders and nothing else.
fn open_at(
    mut store: StoreContextMut<'_, State>,
    (folder, path_flags, path, open_flags, flags): (
        Resource<types::Descriptor>,
        types::PathFlags,
        String,
        types::OpenFlags,
        types::DescriptorFlags,
    ),
) -> wasmtime::Result<(Opened,)> {
    use types::{DescriptorType, Host, HostDescriptor};
    let mut files = store.data_mut().filesystem();
    let is = files.stat_at(Resource::new_borrow(folder.rep()), path_flags, path.clone());
    // What cannot be looked at cannot be opened, which says why.
    if let Ok(is) = is
        && !matches!(
            is.type_,
            DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink
        )
    {
        return Ok((Err(types::ErrorCode::NotPermitted),));
    }
    let opened = match files.open_at(folder, path_flags, path, open_flags, flags) {
        Ok(opened) => Ok(opened),
        Err(error) => Err(files.convert_error_code(error)?),
    };
    Ok((opened,))
}

struct ShortSleep;

impl HasData for ShortSleep {
    type Data<'a> = Clocks<'a>;
}

struct Clocks<'a> {
    deadline: &'a mut Deadline,
    view: WasiClocksCtxView<'a>,
}

impl monotonic_clock::Host for Clocks<'_> {
    fn now(&mut self) -> wasmtime::Result<monotonic_clock::Instant> {
        self.view.now()
    }

    fn resolution(&mut self) -> wasmtime::Result<monotonic_clock::Duration> {
        self.view.resolution()
    }

    fn subscribe_instant(
        &mut self,
        when: monotonic_clock::Instant,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let now = self.view.now()?;
        self.subscribe_duration(when.saturating_sub(now))
    }

    fn subscribe_duration(
        &mut self,
        duration: monotonic_clock::Duration,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let duration = self.deadline.sleep(Duration::from_nanos(duration));
        self.view.subscribe_duration(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Standard output or error of a guest.
struct Lines(Arc<Voice>);

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer { voice: self.0.clone(), line: Vec::new() })
    }
}

struct Writer {
    voice: Arc<Voice>,
    line: Vec<u8>,
}

impl Writer {
    fn end_line(&mut self) {
        if !self.line.is_empty() {
            self.voice.say(tracing::Level::INFO, &String::from_utf8_lossy(&self.line));
            self.line.clear();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end_line();
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ends) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            for piece in text.chunks(LINE) {
                if self.line.len() + piece.len() > LINE {
                    self.end_line();
                }
                self.line.extend_from_slice(piece);
            }
            if ends {
                self.end_line();
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}
