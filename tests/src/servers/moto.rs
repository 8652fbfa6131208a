//! moto, which plays S3 with the rights of IAM: it refuses what a key may not do, and keys that it does not know.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::folder::Folder;
use crate::process::{Process, Signal, run};
use crate::{cache, ports, wait};

/// Makes a bucket, and a user with a key and without any right. These three requests are not judged, all others are.
const SET_UP: &str = r#"
import boto3, sys
at = dict(endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a")
boto3.client("s3", **at).create_bucket(Bucket=sys.argv[2])
iam = boto3.client("iam", **at)
iam.create_user(UserName="edge")
key = iam.create_access_key(UserName="edge")["AccessKey"]
print(key["AccessKeyId"], key["SecretAccessKey"])
"#;
const UNJUDGED: &str = "3";

/// A running moto. It ends when it is dropped.
pub struct Moto {
    _process: Process,
    _folder: Folder,
    port: u16,
    /// Id and secret of a key that may do nothing.
    pub key: (String, String),
}

impl Moto {
    /// Starts moto with a bucket.
    pub fn start(bucket: &str) -> Result<Moto> {
        let packages = cache().join("moto");
        if !packages.join("moto").exists() {
            bail!("no moto in {}: run `make servers`", packages.display());
        }
        let mut folder = Folder::new("moto")?;
        let port = ports::free();
        let mut command = Command::new("python3");
        command.args(["-m", "moto.server", "-p", &port.to_string()]);
        command.env("PYTHONPATH", &packages).env("INITIAL_NO_AUTH_ACTION_COUNT", UNJUDGED);
        let log = folder.path().join("moto.log");
        let mut process = Process::start("moto", &command, &log, Signal::Kill).context("moto")?;
        folder.used_by(process.pid())?;
        let up = wait::poll(Duration::from_secs(60), || {
            process.ended().is_some() || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        if up.is_none() || process.ended().is_some() {
            bail!("moto did not start: {}", process.tail());
        }
        let endpoint = format!("http://127.0.0.1:{port}");
        let said =
            run(Command::new("python3").args(["-c", SET_UP, &endpoint, bucket]).env("PYTHONPATH", packages))?;
        let (id, secret) = said.trim().split_once(' ').context("a key")?;
        let key = (id.to_owned(), secret.to_owned());
        Ok(Moto { _process: process, _folder: folder, port, key })
    }

    /// Its address as a setting.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
