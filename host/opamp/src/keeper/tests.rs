use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::*;
use crate::app::{Description, Document, Health, NotInstalled, Package, Plugin, Vitals};
use crate::identity::Identity;
use crate::store::kept;
use crate::wire::{AgentConfigFile, AgentConfigMap, can};

const BAD: &str = "pipelines: { bad: }";

/// What is managed, as far as a test says.
#[derive(Default)]
struct Fake {
    now: Mutex<Option<Arc<Kept>>>,
    applied: Mutex<Vec<Option<String>>>,
    ailing: Mutex<BTreeMap<String, String>>,
    restarts: Mutex<u32>,
    /// What could not be put into force at the start.
    refused: Mutex<Option<Arc<Kept>>>,
    /// How often from now on nothing can be put into force.
    fails: Mutex<u32>,
}

impl Managed for Fake {
    async fn apply(&self, sent: Option<Arc<Kept>>) -> Result<(), String> {
        self.applied.lock().push(sent.as_ref().map(|sent| sent.text.clone()));
        if sent.as_ref().is_some_and(|sent| sent.text == BAD) {
            return Err("line 1".to_owned());
        }
        let mut fails = self.fails.lock();
        if *fails > 0 {
            *fails -= 1;
            return Err("the port is in use".to_owned());
        }
        *self.now.lock() = sent;
        Ok(())
    }

    fn in_force(&self) -> InForce {
        if let Some(kept) = self.refused.lock().clone() {
            return InForce::Refused(kept, "the port is in use".to_owned());
        }
        self.now.lock().clone().map_or(InForce::Own, InForce::Sent)
    }

    fn generation(&self) -> u64 {
        self.applied.lock().len() as u64
    }

    fn effective(&self) -> Vec<Document> {
        Vec::new()
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

    async fn install(&self, _: flitch_registry::Offer) -> Result<(), NotInstalled> {
        Ok(())
    }

    fn may_connect(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    async fn remove(&self, _: String) -> Result<(), String> {
        Ok(())
    }

    fn vitals(&self) -> Vitals {
        Vitals { ailing: self.ailing.lock().clone(), ..Vitals::default() }
    }

    async fn restart(&self) -> Result<(), String> {
        *self.restarts.lock() += 1;
        Ok(())
    }
}

struct Scene {
    folder: tempfile::TempDir,
    fake: Arc<Fake>,
    desk: Arc<Desk>,
    orders: Arc<Orders>,
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Scene {
    fn new() -> Scene {
        Scene::of(Fake::default())
    }

    fn of(fake: Fake) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::open(folder.path(), "m", 1).unwrap();
        let desk = Desk::new(identity, can::REPORT_STATUS, Description::default(), Instant::now());
        let mut scene = Scene {
            folder,
            fake: Arc::new(fake),
            desk: Arc::new(desk),
            orders: Arc::default(),
            stop: CancellationToken::new(),
            task: None,
        };
        scene.start();
        scene
    }

    fn start(&mut self) {
        let store = Store::open(self.folder.path()).unwrap();
        let ends = (self.desk.clone(), self.orders.clone());
        let settings = OpampSettings::of("ws://fleet");
        let keeper = Keeper::new(self.fake.clone(), ends, store, &settings, Clock::fake(1));
        self.stop = CancellationToken::new();
        let stop = self.stop.clone();
        self.task = Some(flitch_core::tasks::joined(async move { keeper.run(&stop).await }));
    }

    async fn end(&mut self) {
        self.stop.cancel();
        self.task.take().unwrap().await.unwrap();
    }

    async fn sends(&self, hash: u8, texts: &[&str]) {
        let file =
            |text: &&str| AgentConfigFile { body: text.as_bytes().to_vec(), ..AgentConfigFile::default() };
        let config_map = texts.iter().enumerate().map(|(n, text)| (n.to_string(), file(text))).collect();
        let config = Some(AgentConfigMap { config_map });
        self.orders.config(AgentRemoteConfig { config, config_hash: vec![hash] });
        seconds(1).await;
    }

    fn applied(&self) -> Vec<Option<String>> {
        self.fake.applied.lock().clone()
    }

    /// What is told of the last configuration.
    fn told(&self) -> (Vec<u8>, ConfigStatus, String) {
        self.desk.begins();
        let status = self.desk.next(Instant::now(), false).unwrap().remote_config_status.unwrap_or_default();
        let what = status.status();
        (status.last_remote_config_hash, what, status.error_message)
    }

    fn kept(&self) -> Option<String> {
        kept(self.folder.path()).unwrap().map(|kept| kept.text)
    }
}

async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_configuration_is_applied_watched_and_kept_when_it_has_stood() {
    let scene = Scene::new();
    scene.sends(1, &["a: 1"]).await;
    assert_eq!(scene.applied(), [some("a: 1")]);
    assert_eq!(scene.told(), (vec![1], ConfigStatus::Applied, String::new()));
    assert_eq!(scene.kept(), None, "it is on probation");
    seconds(31).await;
    assert_eq!(scene.kept(), some("a: 1"));
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_comes_again_is_not_applied_again() {
    let scene = Scene::new();
    for _ in 0..3 {
        scene.sends(1, &["a: 1"]).await;
    }
    scene.sends(2, &["a: 1"]).await;
    assert_eq!(scene.applied().len(), 1, "nor by another hash");
    assert_eq!(scene.told().0, [2]);
    for _ in 0..3 {
        scene.sends(3, &[BAD]).await;
    }
    assert_eq!(scene.applied().len(), 2, "nor one that was refused");
}

#[tokio::test(start_paused = true)]
async fn what_is_empty_or_in_pieces_is_never_applied() {
    let scene = Scene::new();
    let cases: [(&[&str], &str); 5] = [
        (&[], "empty"),
        (&[""], "empty"),
        (&["\n \n# all\n"], "empty"),
        (&["a: 1", "b: 2"], "one file"),
        (&[BAD], "line 1"),
    ];
    for (number, (texts, wanted)) in cases.into_iter().enumerate() {
        scene.sends(number as u8, texts).await;
        let (hash, what, reason) = scene.told();
        assert_eq!((hash, what), (vec![number as u8], ConfigStatus::Failed));
        assert!(reason.contains(wanted), "{reason}");
    }
    assert_eq!(scene.applied(), [some(BAD)], "which changed nothing");
    assert_eq!(scene.managed_now(), None);
}

impl Scene {
    fn managed_now(&self) -> Option<String> {
        self.fake.now.lock().as_ref().map(|kept| kept.text.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_do_well_goes_and_the_last_good_one_returns() {
    let scene = Scene::new();
    scene.sends(1, &["a: 1"]).await;
    seconds(40).await;
    scene.sends(2, &["a: 2"]).await;
    scene.fake.ailing.lock().insert("output events".to_owned(), "it is away".to_owned());
    seconds(10).await;
    assert_eq!(scene.applied(), [some("a: 1"), some("a: 2"), some("a: 1")]);
    let (hash, what, reason) = scene.told();
    assert_eq!((hash, what), (vec![2], ConfigStatus::Failed));
    assert_eq!(reason, "output events: it is away; what was before is in force again");
    assert_eq!(scene.kept(), some("a: 1"));
    scene.sends(2, &["a: 2"]).await;
    assert_eq!(scene.applied().len(), 3, "it is not tried a second time");
}

#[tokio::test(start_paused = true)]
async fn the_first_one_that_does_not_do_well_makes_room_for_that_of_the_machine() {
    let scene = Scene::new();
    scene.sends(1, &["a: 1"]).await;
    scene.fake.ailing.lock().insert("source in".to_owned(), "gone".to_owned());
    seconds(10).await;
    assert_eq!(scene.applied(), [some("a: 1"), None]);
}

#[tokio::test(start_paused = true)]
async fn two_on_probation_one_after_the_other_go_back_to_what_was_before_both() {
    let scene = Scene::new();
    scene.sends(1, &["a: 1"]).await;
    seconds(40).await;
    scene.sends(2, &["a: 2"]).await;
    scene.sends(3, &["a: 3"]).await;
    scene.fake.ailing.lock().insert("source in".to_owned(), "gone".to_owned());
    seconds(10).await;
    assert_eq!(scene.managed_now(), some("a: 1"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_for_a_day_changes_nothing() {
    let scene = Scene::new();
    scene.sends(1, &["a: 1"]).await;
    seconds(40).await;
    let told = scene.told();
    seconds(86_400).await;
    assert_eq!((scene.applied().len(), scene.told(), scene.kept()), (1, told, some("a: 1")));
}

#[tokio::test(start_paused = true)]
async fn one_under_which_flitch_ended_without_a_word_is_known_at_the_next_start() {
    let mut scene = Scene::new();
    scene.sends(1, &["a: 1"]).await;
    scene.task.take().unwrap().abort();
    scene.orders = Arc::default();
    *scene.fake.now.lock() = None;
    scene.start();
    seconds(1).await;
    let (hash, what, reason) = scene.told();
    assert_eq!((hash, what), (vec![1], ConfigStatus::Failed));
    assert!(reason.contains("without a word"), "{reason}");
    scene.sends(1, &["a: 1"]).await;
    assert_eq!(scene.applied().len(), 1);
    scene.sends(2, &["a: 2"]).await;
    assert_eq!(scene.told().1, ConfigStatus::Applied);
}

#[tokio::test(start_paused = true)]
async fn one_that_had_stood_before_is_no_suspect_when_flitch_ends_without_a_word() {
    let mut scene = Scene::new();
    scene.sends(1, &["a: 1"]).await;
    seconds(40).await;
    scene.sends(2, &["a: 2"]).await;
    scene.sends(1, &["a: 1"]).await;
    assert_eq!(Store::open(scene.folder.path()).unwrap().crashed(), None, "it has stood already");
    scene.task.take().unwrap().abort();
    // Where it was noted all the same, it is in force now.
    Store::open(scene.folder.path()).unwrap().tries(&[1]).unwrap();
    scene.start();
    seconds(1).await;
    assert_eq!(scene.told(), (vec![1], ConfigStatus::Applied, String::new()));
}

/// A scene whose last configuration of the server, which had stood, could not be put into force at the start, nor so often since.
fn that_could_not_start(fails: u32) -> Scene {
    let kept = Kept { hash: vec![1], text: "a: 1".to_owned() };
    let fake =
        Fake { refused: Mutex::new(Some(Arc::new(kept))), fails: Mutex::new(fails), ..Fake::default() };
    Scene::of(fake)
}

#[tokio::test(start_paused = true)]
async fn one_that_had_stood_and_cannot_be_put_into_force_at_the_start_is_tried_until_it_is() {
    let scene = that_could_not_start(2);
    let (hash, what, reason) = scene.told();
    assert_eq!((hash, what), (vec![1], ConfigStatus::Failed));
    assert!(reason.contains("tried again: the port is in use"), "{reason}");
    seconds(60).await;
    assert_eq!(scene.applied(), vec![some("a: 1"); 3]);
    assert_eq!(scene.told(), (vec![1], ConfigStatus::Applied, String::new()));
    assert_eq!(scene.managed_now(), some("a: 1"));
    scene.sends(1, &["a: 1"]).await;
    seconds(600).await;
    assert_eq!(scene.applied().len(), 3, "and not after that");
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_put_into_force_at_the_start_makes_room_for_another_that_stands() {
    let scene = that_could_not_start(0);
    scene.sends(2, &["b: 2"]).await;
    seconds(600).await;
    assert_eq!(scene.applied(), [some("b: 2")]);
    assert_eq!(scene.kept(), some("b: 2"));
    let scene = that_could_not_start(0);
    scene.sends(2, &["b: 2"]).await;
    scene.fake.ailing.lock().insert("output x".to_owned(), "it fails".to_owned());
    seconds(10).await;
    scene.fake.ailing.lock().clear();
    seconds(10).await;
    assert_eq!(scene.applied(), [some("b: 2"), None, some("a: 1")], "and comes where that does not");
    assert_eq!(scene.told().0, [2], "the server hears of what it sent last");
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_not_tried_again_whatever_came_after_it() {
    let scene = Scene::new();
    scene.sends(1, &["a: 1"]).await;
    seconds(40).await;
    scene.sends(2, &[BAD]).await;
    scene.sends(3, &["a: 3"]).await;
    scene.fake.ailing.lock().insert("output events".to_owned(), "it is away".to_owned());
    seconds(10).await;
    scene.fake.ailing.lock().clear();
    let tried = scene.applied().len();
    for hash in [2, 3, 2] {
        scene.sends(hash, &["a: other"]).await;
        let (told, what, reason) = scene.told();
        assert_eq!((told, what), (vec![hash], ConfigStatus::Failed));
        assert!(reason.contains(if hash == 2 { "line 1" } else { "it is away" }), "{reason}");
    }
    assert_eq!(scene.applied().len(), tried);
    scene.sends(4, &["a: other"]).await;
    assert_eq!(scene.told().1, ConfigStatus::Applied);
    for hash in 10..10 + REFUSED as u8 + 20 {
        scene.sends(hash, &[]).await;
        seconds(10).await;
    }
    scene.sends(2, &["a: 2"]).await;
    assert_eq!(scene.told().1, ConfigStatus::Applied, "so many are remembered, and no more");
}

#[tokio::test(start_paused = true)]
async fn one_on_probation_when_flitch_ended_in_good_order_may_be_tried_again() {
    let mut scene = Scene::new();
    scene.sends(1, &["a: 1"]).await;
    scene.end().await;
    assert_eq!(Store::open(scene.folder.path()).unwrap().crashed(), None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_restarts_all_the_time_has_one_when_flitch_has_settled() {
    let scene = Scene::new();
    scene.orders.restart();
    seconds(1).await;
    assert_eq!(*scene.fake.restarts.lock(), 0);
    seconds(10).await;
    scene.orders.restart();
    seconds(1).await;
    assert_eq!(*scene.fake.restarts.lock(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_a_server_that_has_another_configuration_with_each_answer_the_last_one_counts() {
    let scene = Scene::new();
    for hash in 0..200 {
        scene.sends(hash, &[BAD]).await;
    }
    let tried = scene.applied().len();
    assert!((20..=45).contains(&tried), "{tried}");
    scene.sends(250, &["a: 1"]).await;
    seconds(11).await;
    assert_eq!((scene.told().0, scene.told().1), (vec![250], ConfigStatus::Applied));
}
