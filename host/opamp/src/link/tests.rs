use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::*;
use crate::app::Description;
use crate::identity::Identity;
use crate::wire::{OpampConnectionSettings, ServerErrorResponse, ServerToAgent, can};

const OWN: &str = "ws://own/";
const GIVEN: &str = "ws://given/";
const NOWHERE: &str = "ws://nowhere/";

/// The servers of a test: those that are there, who was asked, and whether they offer another connection whenever they hear of
/// somebody.
#[derive(Default)]
struct World {
    up: Mutex<BTreeSet<String>>,
    asked: Mutex<Vec<String>>,
    offers: Mutex<Option<u8>>,
}

/// A way to one of them.
struct Fake {
    endpoint: String,
    world: Arc<World>,
}

impl Way for Fake {
    async fn session(
        &self,
        ears: &Ears,
        heard: impl Fn() + Send + Sync,
        stop: &CancellationToken,
    ) -> Result<(), Broken> {
        self.world.asked.lock().push(self.endpoint.clone());
        loop {
            if !self.world.up.lock().contains(&self.endpoint) {
                return Err(Broken::new(format!("nobody at {}", self.endpoint)));
            }
            heard();
            let offer = self.world.offers.lock().as_mut().map(|number| {
                *number = number.wrapping_add(1);
                offer(*number, if *number % 2 == 0 { GIVEN } else { NOWHERE })
            });
            ears.hear(ServerToAgent { connection_settings: offer, ..ServerToAgent::default() })?;
            let second = tokio::time::sleep(Duration::from_secs(1));
            if stop.run_until_cancelled(second).await.is_none() {
                return Ok(());
            }
        }
    }
}

struct Scene {
    world: Arc<World>,
    health: Arc<Health>,
    desk: Arc<Desk>,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::open(folder.path(), "m", 1).unwrap();
        let desk = Desk::new(identity, can::REPORT_STATUS, Description::default(), Instant::now());
        Scene {
            world: Arc::default(),
            health: Arc::default(),
            desk: Arc::new(desk),
            folder,
            stop: CancellationToken::new(),
            task: None,
        }
    }

    /// One whose machine keeps a connection that a server has offered.
    fn with_kept() -> Scene {
        let scene = Scene::new();
        scene.connections().keep(&Connection::offered(offer(1, GIVEN)).unwrap()).unwrap();
        scene
    }

    fn connections(&self) -> Connections {
        let own = OpampSettings { accept_connection: true, ..OpampSettings::of(OWN) };
        Connections::new(&own, self.folder.path(), Arc::new(|_: &str| Ok(())))
    }

    fn start(&mut self) {
        let world = self.world.clone();
        let make = move |settings: &OpampSettings| {
            Ok(Fake { endpoint: settings.url()?.to_string(), world: world.clone() })
        };
        let ends = (self.desk.clone(), Arc::default());
        let link = Link::new(self.connections(), ends, Clock::fake(1), &self.health, Box::new(make)).unwrap();
        let stop = self.stop.clone();
        self.task = Some(flitch_core::tasks::joined(async move { link.run(&stop).await }));
    }

    fn up(&self, servers: &[&str]) {
        *self.world.up.lock() = servers.iter().map(|server| (*server).to_owned()).collect();
    }

    async fn minutes(&self, n: u64) {
        tokio::time::sleep(Duration::from_secs(60 * n)).await;
        assert!(self.task.as_ref().is_none_or(|task| !task.is_finished()));
    }

    /// Waits until a server is reached.
    async fn reaches(&self) {
        while self.ailment("manager opamp").is_some() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Who was asked since this was asked last.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.world.asked.lock())
    }

    /// What is told of the connection that was offered.
    fn told(&self) -> (ConfigStatus, String) {
        self.desk.begins();
        let told = self.desk.next(Instant::now(), false).unwrap().connection_settings_status.unwrap();
        (told.status(), told.error_message)
    }

    fn ailment(&self, part: &str) -> Option<String> {
        self.health.ailments().get(part).cloned()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn offer(hash: u8, endpoint: &str) -> ConnectionSettingsOffers {
    let opamp = OpampConnectionSettings { destination_endpoint: endpoint.to_owned(), ..Default::default() };
    ConnectionSettingsOffers { hash: vec![hash], opamp: Some(opamp) }
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_dies_makes_room_for_the_own_one_and_counts_again_when_it_is_back() {
    let mut scene = Scene::with_kept();
    scene.up(&[OWN, GIVEN]);
    scene.start();
    scene.minutes(60).await;
    assert_eq!((scene.asked(), scene.told().0), (vec![GIVEN.to_owned()], ConfigStatus::Applied));
    // A server that begins anew is waited for.
    scene.up(&[OWN]);
    scene.minutes(2).await;
    scene.up(&[OWN, GIVEN]);
    scene.minutes(10).await;
    let asked = scene.asked();
    assert!(asked.len() < 12 && asked.iter().all(|server| server == GIVEN), "{asked:?}");
    assert_eq!(scene.ailment("manager connection"), None);
    // One that is gone is not.
    scene.up(&[OWN]);
    scene.minutes(20).await;
    scene.reaches().await;
    let asked = scene.asked();
    assert!(asked.iter().any(|server| server == OWN), "{asked:?}");
    let (status, reason) = scene.told();
    assert!(status == ConfigStatus::Failed && reason.contains("nobody at ws://given/"), "{reason}");
    assert_eq!(scene.ailment("manager connection").unwrap(), reason, "also while the own one is there");
    assert_eq!(scene.ailment("manager opamp"), None);
    // It is tried again, and the own one is there in between.
    scene.asked();
    scene.minutes(600).await;
    let asked = scene.asked();
    assert!((3..=8).contains(&asked.iter().filter(|server| *server == GIVEN).count()), "{asked:?}");
    scene.up(&[OWN, GIVEN]);
    scene.minutes(370).await;
    assert_eq!(scene.asked().last().map(String::as_str), Some(GIVEN));
    assert_eq!(scene.told(), (ConfigStatus::Applied, String::new()));
    assert_eq!(scene.ailment("manager connection"), None);
}

#[tokio::test(start_paused = true)]
async fn two_servers_that_are_both_away_for_a_day_are_asked_in_turns_and_seldom() {
    let mut scene = Scene::with_kept();
    scene.start();
    scene.minutes(24 * 60).await;
    let asked = scene.asked();
    let own = asked.iter().filter(|server| *server == OWN).count();
    assert!((200..2_000).contains(&asked.len()), "{}", asked.len());
    assert!((asked.len() / 2).abs_diff(own) < 20, "{own} of {}", asked.len());
    assert!(scene.ailment("manager opamp").unwrap().contains("cannot be reached"));
    scene.up(&[GIVEN]);
    scene.minutes(15).await;
    assert_eq!((scene.told().0, scene.ailment("manager opamp")), (ConfigStatus::Applied, None));
    scene.asked();
    scene.minutes(600).await;
    assert_eq!(scene.asked(), [""; 0], "it stays");
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_cannot_be_used_is_told_and_the_own_one_is_used() {
    let mut scene = Scene::new();
    let bad = offer(1, "ftp://given/");
    scene.connections().keep(&Connection::offered(bad).unwrap()).unwrap();
    scene.up(&[OWN]);
    scene.start();
    scene.minutes(1).await;
    assert_eq!(scene.asked(), [OWN]);
    let (status, reason) = scene.told();
    assert!(status == ConfigStatus::Failed && reason.contains("cannot be used"), "{reason}");
    assert!(scene.ailment("manager connection").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_offers_another_connection_with_each_answer_is_not_spun_with() {
    let mut scene = Scene::new();
    scene.up(&[OWN, GIVEN]);
    *scene.world.offers.lock() = Some(0);
    scene.start();
    scene.minutes(60).await;
    let asked = scene.asked();
    let tried = |server: &str| asked.iter().filter(|asked| *asked == server).count();
    assert!((10..200).contains(&asked.len()) && tried(NOWHERE) > 0 && tried(GIVEN) > 0, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_without_an_end_is_cut() {
    let scene = Scene::new();
    let ears = Ears::new((scene.desk.clone(), Arc::default()), Clock::fake(1), OpampSettings::of(OWN));
    let said =
        ServerErrorResponse { kind: UNAVAILABLE, error_message: "é".repeat(100_000), retry_info: None };
    let broken =
        ears.hear(ServerToAgent { error_response: Some(said), ..ServerToAgent::default() }).unwrap_err();
    assert!(
        broken.reason.contains("too much to do: éé") && broken.reason.len() < 400,
        "{}",
        broken.reason.len()
    );
}
