//! Real HDFS: a NameNode and a DataNode on loopback, in a folder of their own.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::s3::decompressed;
use crate::folder::Folder;
use crate::process::{Process, Signal, run};
use crate::{cache, http, ports, wait};

const START: Duration = Duration::from_secs(90);
/// What the web servers of HDFS look for on the class path.
const WEB: &str = "<web-app/>";

/// A running HDFS. It ends when it is dropped.
pub struct Hdfs {
    name_node: Option<Process>,
    data_node: Option<Process>,
    folder: Folder,
    rpc: u16,
    web: u16,
}

impl Hdfs {
    /// The one that tests share; take folders of your own.
    pub fn shared() -> &'static Hdfs {
        static SHARED: OnceLock<Hdfs> = OnceLock::new();
        SHARED.get_or_init(|| Hdfs::start().expect("HDFS starts"))
    }

    /// Starts a NameNode and a DataNode, and waits until files can be written.
    pub fn start() -> Result<Hdfs> {
        let mut hdfs = Hdfs {
            name_node: None,
            data_node: None,
            folder: Folder::new("hdfs")?,
            rpc: ports::free(),
            web: ports::free(),
        };
        hdfs.configure()?;
        run(hdfs.java("namenode.NameNode").args(["-format", "-force"]))?;
        hdfs.restart()?;
        let datanode = hdfs.launch("datanode.DataNode")?;
        hdfs.data_node = Some(datanode);
        let written = wait::poll(START, || hdfs.has_data_node());
        written.with_context(|| format!("HDFS takes no files: {}", hdfs.tail()))?;
        Ok(hdfs)
    }

    fn configure(&self) -> Result<()> {
        let folder = self.folder.path();
        let conf = folder.join("conf");
        for app in ["hdfs", "datanode"] {
            let web = conf.join("webapps").join(app).join("WEB-INF");
            std::fs::create_dir_all(&web)?;
            std::fs::write(web.join("web.xml"), WEB)?;
        }
        let local = |port: u16| format!("127.0.0.1:{port}");
        let at = |name: &str| format!("file://{}", folder.join(name).display());
        let site = |properties: &[(&str, String)]| {
            let properties = properties.iter();
            let all: String = properties
                .map(|(name, value)| {
                    format!("<property><name>{name}</name><value>{value}</value></property>")
                })
                .collect();
            format!("<configuration>{all}</configuration>")
        };
        std::fs::write(
            conf.join("core-site.xml"),
            site(&[
                ("fs.defaultFS", format!("hdfs://{}", local(self.rpc))),
                ("hadoop.tmp.dir", folder.join("tmp").display().to_string()),
            ]),
        )?;
        std::fs::write(
            conf.join("hdfs-site.xml"),
            site(&[
                ("dfs.namenode.name.dir", at("name")),
                ("dfs.datanode.data.dir", at("data")),
                ("dfs.namenode.http-address", local(self.web)),
                ("dfs.namenode.secondary.http-address", local(ports::free())),
                ("dfs.datanode.address", local(ports::free())),
                ("dfs.datanode.http.address", local(ports::free())),
                ("dfs.datanode.ipc.address", local(ports::free())),
                ("dfs.datanode.hostname", "127.0.0.1".to_owned()),
                ("dfs.replication", "1".to_owned()),
                ("dfs.client.block.write.replace-datanode-on-failure.policy", "NEVER".to_owned()),
                ("dfs.namenode.safemode.extension", "0".to_owned()),
                ("dfs.permissions.enabled", "true".to_owned()),
                ("hadoop.http.staticuser.user", "nobody".to_owned()),
            ]),
        )?;
        let log = "log4j.rootLogger=WARN,out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n\
                   log4j.appender.out.layout=org.apache.log4j.SimpleLayout\n";
        std::fs::write(conf.join("log4j.properties"), log)?;
        Ok(())
    }

    fn java(&self, class: &str) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]);
        java.args(["--add-opens=java.base/java.lang=ALL-UNNAMED", "-cp"]);
        let libs: PathBuf = cache().join("hdfs/libs/*");
        java.arg(format!("{}:{}", self.folder.path().join("conf").display(), libs.display()));
        java.env("HADOOP_USER_NAME", USER);
        java.arg(format!("org.apache.hadoop.hdfs.server.{class}")).current_dir(self.folder.path());
        java
    }

    fn launch(&mut self, class: &str) -> Result<Process> {
        if !cache().join("hdfs/libs").is_dir() {
            bail!("no HDFS in {}: run `make servers`", cache().display());
        }
        let name = class.rsplit('.').next().unwrap_or(class);
        let log = self.folder.path().join(format!("{name}.log"));
        let process = Process::start(name, &self.java(class), &log, Signal::Kill)?;
        self.folder.used_by(process.pid())?;
        Ok(process)
    }

    /// Starts the NameNode again, at the same place.
    pub fn restart(&mut self) -> Result<()> {
        let mut process = self.launch("namenode.NameNode")?;
        let port = self.web;
        let up = wait::poll(START, || {
            process.ended().is_some() || TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        if up.is_none() || process.ended().is_some() {
            bail!("the NameNode did not start: {}", process.tail());
        }
        self.name_node = Some(process);
        Ok(())
    }

    /// Kills the NameNode.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.name_node.take() {
            process.kill();
        }
    }

    /// Whether a file can be written.
    pub fn has_data_node(&self) -> bool {
        let path = format!("/webhdfs/v1/tmp/up?op=CREATE&overwrite=true&user.name={USER}");
        let Ok(answer) = http::request("PUT", self.address(), &path, &[], &[]) else { return false };
        answer.status == 307
    }

    fn tail(&self) -> String {
        let tail = |process: &Option<Process>| process.as_ref().map(Process::tail).unwrap_or_default();
        format!("{}\n{}", tail(&self.name_node), tail(&self.data_node))
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.web).into()
    }

    /// Its address as a setting.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    fn ask(&self, method: &str, path: &str, operation: &str) -> Result<http::Answer> {
        http::request(
            method,
            self.address(),
            &format!("/webhdfs/v1{path}?op={operation}&user.name={USER}"),
            &[],
            &[],
        )
    }

    /// Makes a folder that everybody may write to.
    pub fn make_folder(&self, path: &str) -> Result<()> {
        let made = self.ask("PUT", path, "MKDIRS&permission=777")?;
        ensure!(made.status == 200, "{}", made.text());
        let set = self.ask("PUT", path, "SETPERMISSION&permission=777")?;
        ensure!(set.status == 200, "{}", set.text());
        Ok(())
    }

    /// The files below a folder by name, decompressed; those that are not finished too.
    pub fn files(&self, folder: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let listed = self.ask("GET", &escaped(&folder), "LISTSTATUS")?;
            if listed.status == 404 {
                continue;
            }
            let listed = listed.json()?;
            for status in listed["FileStatuses"]["FileStatus"].as_array().context("a list")? {
                let path = format!("{folder}/{}", status["pathSuffix"].as_str().context("a name")?);
                match status["type"].as_str() {
                    Some("DIRECTORY") => folders.push(path),
                    _ => drop(found.insert(path.clone(), decompressed(&path, &self.read(&path)?))),
                }
            }
        }
        Ok(found)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        let answer = self.ask("GET", &escaped(path), "OPEN")?;
        let location = answer.header("location").with_context(|| answer.text())?;
        let rest = location.strip_prefix("http://").context("an address")?;
        let (address, path) = rest.split_once('/').context("a path")?;
        let answer = http::get(address.parse()?, &format!("/{path}"))?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(answer.body)
    }
}

/// Who owns all.
pub const USER: &str = "hdfs";

fn escaped(path: &str) -> String {
    path.replace('%', "%25")
}
