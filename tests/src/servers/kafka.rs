//! Real Apache Kafka in KRaft mode: one node or three, on loopback, in a folder of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::folder::Folder;
use crate::process::{Process, Signal, run};
use crate::tls::Authority;
use crate::{cache, ports, wait};

/// The connection string that [`Kafka::shared_sasl`] accepts as the password of `$ConnectionString`, the way
/// Azure Event Hubs does.
pub const CONNECTION_STRING: &str =
    "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0";

/// User and password that [`Kafka::shared_sasl`] knows by SCRAM-SHA-256.
pub const SCRAM: (&str, &str) = ("edge", "correct-horse");

/// 16 bytes in URL-safe base64, as Kafka's format tool wants.
const CLUSTER_ID: &str = "ZmxpdGNoLXRlc3Qta2Fmaw";

/// The package of Kafka's login modules.
const MODULES: &str = "org.apache.kafka.common.security";

const START: Duration = Duration::from_secs(90);

/// A cluster of Kafka nodes, numbered from 1. All of them end when it is dropped.
pub struct Kafka {
    nodes: Vec<Node>,
    folder: Folder,
    libs: PathBuf,
    authority: Option<Authority>,
    /// The port by which the nodes tell their clients to come to the listener with SASL, where it is another.
    front: Option<u16>,
}

struct Node {
    plain: u16,
    sasl: u16,
    ssl: u16,
    controller: u16,
    process: Option<Process>,
}

impl Kafka {
    /// The broker that tests share: one node, started at the first call. Use topics of your own.
    pub fn shared() -> &'static Kafka {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| Kafka::start(1).expect("Kafka starts"))
    }

    /// Starts `nodes` nodes (1 or 3) without encryption, and waits until all are there.
    pub fn start(nodes: usize) -> Result<Kafka> {
        Kafka::start_with(nodes, false, None)
    }

    /// A broker as [`Kafka::shared_sasl`], of one's own, which sends the clients of its listener with SASL to the port
    /// `front`: something stands there between.
    pub fn behind(front: u16) -> Result<Kafka> {
        Kafka::start_with(1, true, Some(front))
    }

    /// The broker that tests share which also listens with TLS: with SASL (PLAIN for the user `$ConnectionString`,
    /// whose password is [`CONNECTION_STRING`], SCRAM-SHA-256 for [`SCRAM`], and OAUTHBEARER for every token that is
    /// not signed (RFC 7515, appendix A.5) and not over), and for clients with a certificate of
    /// [`Kafka::authority`].
    pub fn shared_sasl() -> &'static Kafka {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| Kafka::start_with(1, true, None).expect("Kafka starts"))
    }

    fn start_with(count: usize, sasl: bool, front: Option<u16>) -> Result<Kafka> {
        let libs = cache().join("kafka/libs");
        if !libs.is_dir() {
            bail!("no Kafka in {}: run `make servers`", libs.display());
        }
        let authority = if sasl { Some(Authority::new("flitch tests")?) } else { None };
        let port = ports::free;
        let node = |_| Node { plain: port(), sasl: port(), ssl: port(), controller: port(), process: None };
        let nodes = (0..count).map(node).collect();
        let folder = Folder::new("flitch-kafka-")?;
        let mut kafka = Kafka { nodes, folder, libs, authority, front };
        kafka.format()?;
        for id in 1..=count {
            kafka.launch(id)?;
        }
        kafka.wait_for_nodes(count)?;
        Ok(kafka)
    }

    /// `host:port` of every node, for clients without encryption.
    pub fn bootstrap(&self) -> String {
        let all: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.plain)).collect();
        all.join(",")
    }

    /// `localhost:port` of the first node's TLS and SASL listener.
    pub fn sasl_bootstrap(&self) -> String {
        format!("localhost:{}", self.nodes[0].sasl)
    }

    /// The port of that listener.
    pub fn sasl_port(&self) -> u16 {
        self.nodes[0].sasl
    }

    /// `localhost:port` of the first node's TLS listener that wants a certificate of its clients.
    pub fn ssl_bootstrap(&self) -> String {
        format!("localhost:{}", self.nodes[0].ssl)
    }

    /// The authority of the TLS listeners, where there are any.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// The certificate that clients of the TLS listeners must trust.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// A client configuration with the bootstrap servers set and librdkafka's own log silent.
    pub fn client(&self) -> ClientConfig {
        client(&self.bootstrap())
    }

    /// Creates a topic with its replicas on as many nodes as the cluster has, the first replica of
    /// partition 0 (the preferred leader) on node 1.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        self.create_topic_with(name, partitions, &[])
    }

    /// The same, with options of the topic.
    pub fn create_topic_with(&self, name: &str, partitions: i32, options: &[(&str, &str)]) -> Result<()> {
        let replicas = self.nodes.len() as i32;
        let all: Vec<Vec<i32>> = (0..partitions)
            .map(|partition| (0..replicas).map(|n| (partition + n) % replicas + 1).collect())
            .collect();
        let all: Vec<&[i32]> = all.iter().map(Vec::as_slice).collect();
        let topic = NewTopic::new(name, partitions, TopicReplication::Variable(&all));
        let topic = if replicas > 1 { topic.set("min.insync.replicas", "2") } else { topic };
        let topic = options.iter().fold(topic, |topic, (option, value)| topic.set(option, value));
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
        let results = block_on(admin.create_topics([&topic], &options))?;
        for result in results {
            if let Err((name, code)) = result {
                bail!("topic {name} was not created: {code}");
            }
        }
        wait::poll(Duration::from_secs(20), || {
            (0..partitions).all(|partition| self.leader(name, partition).is_some())
        })
        .with_context(|| format!("topic {name} got no leaders"))
    }

    /// Deletes the messages of a partition before `offset`, as their retention would.
    pub fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let deleted = block_on(admin.delete_records(&list, &AdminOptions::new()))?;
        Ok(deleted.elements().iter().try_for_each(|element| element.error())?)
    }

    /// The node that leads a partition; none while there is no leader.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<usize> {
        let consumer: BaseConsumer = self.client().create().ok()?;
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        let found = metadata.topics().first()?.partitions().iter().find(|p| p.id() == partition)?;
        usize::try_from(found.leader()).ok().filter(|&id| id > 0)
    }

    /// Ends a node at once, as a machine that loses power.
    pub fn kill(&mut self, id: usize) {
        if let Some(mut process) = self.nodes[id - 1].process.take() {
            process.kill();
        }
    }

    /// Ends a node in order: it hands its leaderships over first.
    pub fn stop(&mut self, id: usize) -> Result<()> {
        if let Some(mut process) = self.nodes[id - 1].process.take() {
            process.signal(Signal::Term);
            process.wait(Duration::from_secs(60))?;
        }
        Ok(())
    }

    /// Starts a node that was killed or stopped, on its old ports and data, and waits for it.
    pub fn restart(&mut self, id: usize) -> Result<()> {
        self.kill(id);
        self.launch(id)?;
        let running = self.nodes.iter().filter(|node| node.process.is_some()).count();
        self.wait_for_nodes(running)
    }

    /// Freezes a node: its connections stay open and nothing answers any more.
    pub fn freeze(&self, id: usize) {
        if let Some(process) = &self.nodes[id - 1].process {
            process.signal(Signal::Stop);
        }
    }

    /// Lets a frozen node go on.
    pub fn thaw(&self, id: usize) {
        if let Some(process) = &self.nodes[id - 1].process {
            process.signal(Signal::Cont);
        }
    }

    /// Moves the leadership of a partition to another node, and back when that node is up again and
    /// Kafka restores its preferred leader (within seconds here): the leader is stopped in order, then
    /// restarted. Gives the node that led in between.
    pub fn move_leader(&mut self, topic: &str, partition: i32) -> Result<usize> {
        let old = self.leader(topic, partition).context("no leader to begin with")?;
        self.stop(old)?;
        let new =
            wait::poll(Duration::from_secs(30), || self.leader(topic, partition).filter(|&id| id != old))
                .with_context(|| format!("nobody took over {topic}/{partition} from node {old}"))?;
        self.restart(old)?;
        Ok(new)
    }

    /// Lets clients of this `client.id` write no more than so many bytes a second; they are told to wait for longer and
    /// longer where they do.
    pub fn throttle(&self, client: &str, bytes: u32) -> Result<()> {
        let mut tool = self.java();
        tool.args(["kafka.admin.ConfigCommand", "--bootstrap-server", &self.bootstrap(), "--alter"]);
        tool.args(["--entity-type", "clients", "--entity-name", client]);
        tool.args(["--add-config", &format!("producer_byte_rate={bytes}")]);
        run(&mut tool).map(drop)
    }

    /// What a node has logged.
    pub fn log(&self, id: usize) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("node{id}.log"))).unwrap_or_default()
    }

    fn java(&self) -> Command {
        let mut java = Command::new("java");
        let heap = if self.nodes.len() == 1 { "-Xmx512m" } else { "-Xmx256m" };
        java.args([heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]);
        java.arg("-cp").arg(self.libs.join("*"));
        java
    }

    /// Writes every node's settings and formats its log folder. The tool runs once (a JVM costs a second
    /// or two); the other nodes get a copy with their own number in it.
    fn format(&mut self) -> Result<()> {
        let folder = self.folder.path().to_owned();
        if let Some(authority) = &self.authority {
            authority.write(&self.authority_file())?;
            authority.server()?.write(&folder, "server")?;
        }
        for id in 1..=self.nodes.len() {
            std::fs::write(folder.join(format!("node{id}.properties")), self.properties(id))?;
        }
        let mut format = self.java();
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID]);
        format.arg("-c").arg(folder.join("node1.properties"));
        if self.authority.is_some() {
            let (name, password) = SCRAM;
            format.args(["--add-scram", &format!("SCRAM-SHA-256=[name={name},password={password}]")]);
        }
        run(&mut format)?;
        let first = folder.join("data1");
        for id in 2..=self.nodes.len() {
            let data = folder.join(format!("data{id}"));
            copy_folder(&first, &data)?;
            let file = data.join("meta.properties");
            let meta = std::fs::read_to_string(&file)?;
            let lines = meta.lines().map(|line| match line.split_once('=') {
                Some(("node.id", _)) => format!("node.id={id}\n"),
                Some(("directory.id", value)) => format!("directory.id={}\n", other_id(value, id)),
                _ => format!("{line}\n"),
            });
            std::fs::write(&file, lines.collect::<String>())?;
        }
        Ok(())
    }

    fn properties(&self, id: usize) -> String {
        let node = &self.nodes[id - 1];
        let count = self.nodes.len();
        let replicas = count.min(3);
        let in_sync = if count > 1 { 2 } else { 1 };
        let voters: Vec<String> =
            (1..=count).map(|id| format!("{id}@127.0.0.1:{}", self.nodes[id - 1].controller)).collect();
        let voters = voters.join(",");
        let folder = self.folder.path().display();
        let Node { plain, sasl, ssl, controller, .. } = node;
        let mut text = format!(
            "process.roles=broker,controller
node.id={id}
controller.listener.names=CONTROLLER
controller.quorum.voters={voters}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
log.dirs={folder}/data{id}
num.network.threads=2
num.io.threads=2
num.partitions=1
log.cleaner.dedupe.buffer.size=2097152
default.replication.factor={replicas}
offsets.topic.num.partitions=4
offsets.topic.replication.factor={replicas}
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
message.max.bytes=1048576
connections.max.idle.ms=240000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1500
replica.lag.time.max.ms=5000
auto.leader.rebalance.enable=true
leader.imbalance.check.interval.seconds=1
leader.imbalance.per.broker.percentage=0
"
        );
        let plain = format!("PLAINTEXT://127.0.0.1:{plain}");
        let controller = format!("CONTROLLER://127.0.0.1:{controller}");
        if self.authority.is_some() {
            let front = self.front.unwrap_or(*sasl);
            text += &format!(
                "listeners={plain},SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{ssl},{controller}
advertised.listeners={plain},SASL_SSL://localhost:{front},SSL://localhost:{ssl},{controller}
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,OAUTHBEARER
listener.name.sasl_ssl.plain.sasl.jaas.config={MODULES}.plain.PlainLoginModule required \
user_$ConnectionString=\"{CONNECTION_STRING}\";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={MODULES}.scram.ScramLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config={MODULES}.oauthbearer.OAuthBearerLoginModule required \
unsecuredLoginStringClaim_sub=\"broker\";
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.crt
"
            );
        } else {
            text += &format!("listeners={plain},{controller}\nadvertised.listeners={plain},{controller}\n");
        }
        text
    }

    fn launch(&mut self, id: usize) -> Result<()> {
        let folder = self.folder.path();
        let mut java = self.java();
        java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        java.arg("kafka.Kafka").arg(folder.join(format!("node{id}.properties"))).current_dir(folder);
        let log = folder.join(format!("node{id}.log"));
        let process = Process::start(&format!("kafka node {id}"), &java, &log, Signal::Kill)?;
        self.folder.used_by(process.pid())?;
        self.nodes[id - 1].process = Some(process);
        Ok(())
    }

    /// Waits until the metadata names `count` nodes and each answers.
    fn wait_for_nodes(&mut self, count: usize) -> Result<()> {
        let mut ended = None;
        let up = wait::poll(START, || {
            ended = (1..=self.nodes.len()).find(|&id| {
                self.nodes[id - 1].process.as_mut().is_some_and(|process| process.ended().is_some())
            });
            ended.is_some() || (1..=self.nodes.len()).all(|id| self.sees(id, count))
        });
        if let Some(id) = ended {
            bail!("Kafka node {id} ended while it started:\n{}", self.log(id));
        }
        up.with_context(|| format!("Kafka did not come up in {START:?}; node 1 said:\n{}", self.log(1)))
    }

    /// True when a running node answers and knows `count` brokers; true for a node that is down.
    fn sees(&self, id: usize, count: usize) -> bool {
        let node = &self.nodes[id - 1];
        if node.process.is_none() {
            return true;
        }
        let consumer: BaseConsumer = match client(&format!("127.0.0.1:{}", node.plain)).create() {
            Ok(consumer) => consumer,
            Err(_) => return false,
        };
        consumer
            .fetch_metadata(None, Duration::from_secs(2))
            .is_ok_and(|metadata| metadata.brokers().len() == count)
    }
}

/// A configuration for a client of `bootstrap` that does not fill the test's output with complaints
/// about brokers which the test itself has killed.
pub fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("log_level", "0")
        .set("log.connection.close", "false")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("topic.metadata.refresh.fast.interval.ms", "50");
    config
}

/// Another id of the same form: Kafka's are 22 characters of base64.
fn other_id(id: &str, number: usize) -> String {
    let swapped = if id.starts_with('A') { 'B' } else { 'A' };
    format!("{swapped}{number}{}", &id[2..])
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Waits for a future of the admin client, which librdkafka's own thread completes.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
