//! A real S3 server: versitygw over a folder, in which a test finds each object as a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::folder::Folder;
use crate::process::{Process, Signal};
use crate::{cache, ports, wait};

/// The id of the key that the server knows.
pub const KEY_ID: &str = "flitch-tests";
/// The key.
pub const KEY: &str = "a-key-of-the-tests";

/// Where the server keeps what is not whole.
const UNFINISHED: &str = ".sgwtmp";

/// A running S3 server. It ends when it is dropped.
pub struct S3 {
    process: Option<Process>,
    port: u16,
    folder: Folder,
}

impl S3 {
    /// Starts a server with these buckets.
    pub fn start(buckets: &[&str]) -> Result<S3> {
        let folder = Folder::new("s3")?;
        for bucket in buckets {
            std::fs::create_dir_all(folder.path().join("store").join(bucket))?;
        }
        std::fs::create_dir_all(folder.path().join("store"))?;
        let mut s3 = S3 { process: None, port: ports::free(), folder };
        s3.restart()?;
        Ok(s3)
    }

    /// Starts it again, at the same place.
    pub fn restart(&mut self) -> Result<()> {
        let binary = cache().join("versitygw/versitygw");
        if !binary.exists() {
            bail!("no S3 server in {}: run `make servers`", binary.display());
        }
        let mut command = Command::new(binary);
        command.args(["--port", &format!("127.0.0.1:{}", self.port), "--quiet", "posix"]);
        command.arg(self.folder.path().join("store"));
        command.env("ROOT_ACCESS_KEY", KEY_ID).env("ROOT_SECRET_KEY", KEY);
        let log = self.folder.path().join("versitygw.log");
        let mut process =
            Process::start("versitygw", &command, &log, Signal::Kill).context("the S3 server")?;
        self.folder.used_by(process.pid())?;
        let up = wait::poll(Duration::from_secs(30), || {
            process.ended().is_some() || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        if up.is_none() || process.ended().is_some() {
            bail!("the S3 server did not start: {}", process.tail());
        }
        self.process = Some(process);
        Ok(())
    }

    /// Kills it; what it has stays.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// The process, while it runs.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    /// Its address as a setting.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The folder of a bucket.
    pub fn bucket(&self, name: &str) -> PathBuf {
        self.folder.path().join("store").join(name)
    }

    /// The objects of a bucket by name, decompressed.
    pub fn objects(&self, bucket: &str) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let root = self.bucket(bucket);
        walk(&root, &mut |path| {
            let name = path.strip_prefix(&root).expect("it is below").to_string_lossy().into_owned();
            // One that is being put in place has gone in that moment.
            if let Ok(bytes) = std::fs::read(path) {
                found.insert(name.clone(), decompressed(&name, &bytes));
            }
        });
        found
    }

    /// The lines of all objects of a bucket.
    pub fn lines(&self, bucket: &str) -> Vec<String> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        self.objects(bucket).into_values().map(text).flat_map(lines).collect()
    }

    /// How many writes in parts have begun and not ended.
    pub fn unfinished(&self, bucket: &str) -> usize {
        let uploads = self.bucket(bucket).join(UNFINISHED).join("multipart");
        let objects = std::fs::read_dir(uploads).into_iter().flatten().filter_map(Result::ok);
        objects.flat_map(|object| std::fs::read_dir(object.path())).flatten().count()
    }
}

fn walk(folder: &Path, found: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if entry.file_name() == UNFINISHED {
            continue;
        }
        if path.is_dir() { walk(&path, found) } else { found(&path) }
    }
}

/// What is in an object, by its name.
pub fn decompressed(name: &str, bytes: &[u8]) -> Vec<u8> {
    if name.ends_with(".zst") { zstd::decode_all(bytes).expect("whole frames") } else { bytes.to_vec() }
}
