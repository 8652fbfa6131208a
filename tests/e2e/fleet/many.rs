//! Two hundred agents at one server, which dies and comes back. They are agents of the crate, without a flitch around them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flitch_core::clock::Clock;
use flitch_core::tasks;
use flitch_opamp::{
    Agent, Description, Document, Health, InForce, Kept, Managed, NotInstalled, OpampSettings, Package,
    Place, Plugin, Vitals,
};
use flitch_registry::Offer;
use flitch_tests::servers::opamp::Opamp;
use flitch_tests::wait::eventually;
use tokio_util::sync::CancellationToken;

use crate::support::*;

const AGENTS: usize = 200;

/// Takes every configuration, but for what says that it is bad.
#[derive(Default)]
struct Quick {
    applied: AtomicUsize,
}

impl Managed for Quick {
    async fn apply(&self, sent: Option<Arc<Kept>>) -> Result<(), String> {
        self.applied.fetch_add(1, Ordering::Relaxed);
        match sent.is_some_and(|sent| sent.text.contains("bad")) {
            true => Err("it is bad".to_owned()),
            false => Ok(()),
        }
    }

    fn in_force(&self) -> InForce {
        InForce::Own
    }

    fn generation(&self) -> u64 {
        self.applied.load(Ordering::Relaxed) as u64
    }

    fn effective(&self) -> Vec<Document> {
        vec![Document { name: String::new(), text: "pipelines: {}".to_owned() }]
    }

    fn health(&self) -> Health {
        Health::default()
    }

    fn plugins(&self) -> Vec<Plugin> {
        Vec::new()
    }

    fn packages(&self) -> Vec<Package> {
        Vec::new()
    }

    async fn install(&self, _: Offer) -> Result<(), NotInstalled> {
        Ok(())
    }

    fn may_connect(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    async fn remove(&self, _: String) -> Result<(), String> {
        Ok(())
    }

    fn vitals(&self) -> Vitals {
        Vitals::default()
    }

    async fn restart(&self) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn two_hundred_agents_come_back_to_a_server_that_died_and_take_what_it_offers() {
    let mut server = Opamp::start(&[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let stop = CancellationToken::new();
    let before = resident();
    let agents: Vec<_> = (0..AGENTS)
        .map(|number| {
            let place = Place {
                folder: folder.path().join(number.to_string()),
                machine: number.to_string(),
                description: Description::default(),
                clock: Clock::system(),
                health: Arc::default(),
            };
            let settings = OpampSettings::of(&server.endpoint("ws"));
            let agent = Agent::open(&settings, place, Arc::new(Quick::default())).unwrap();
            let stop = stop.clone();
            tasks::joined(async move { agent.run(&stop).await })
        })
        .collect();
    let connected =
        |server: &Opamp| server.agents().iter().filter(|agent| agent["connected"] == true).count();
    eventually("all are there", DEADLINE, || connected(&server) == AGENTS);
    eprintln!("memory of an agent: {} KiB", resident().saturating_sub(before) / AGENTS / 1024);
    let know = |server: &Opamp, hash: &str, status: &str| {
        let wanted = format!("RemoteConfigStatuses_{status}");
        server.agents().iter().filter(|agent| agent["hash"] == hash && agent["status"] == *wanted).count()
    };
    let began = std::time::Instant::now();
    server.offers("one", "a: 1").unwrap();
    eventually("all have it in force", DEADLINE, || know(&server, "one", "APPLIED") == AGENTS);
    eprintln!("{AGENTS} agents: push to APPLIED {:?}", began.elapsed());
    server.kill();
    server.restart().unwrap();
    let began = std::time::Instant::now();
    eventually("all have come back", DEADLINE, || connected(&server) == AGENTS);
    eprintln!("{AGENTS} agents are back after {:?}", began.elapsed());
    assert_eq!(server.agents().len(), AGENTS, "by the same numbers");
    server.offers("two", "bad").unwrap();
    eventually("all have refused it", DEADLINE, || know(&server, "two", "FAILED") == AGENTS);
    stop.cancel();
    for agent in agents {
        runtime.block_on(agent).unwrap();
    }
    eventually("all have said farewell", DEADLINE, || {
        server.agents().iter().all(|agent| agent["farewells"] == 1)
    });
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    1024 * kib.unwrap().parse::<usize>().unwrap()
}
