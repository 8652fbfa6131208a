use parking_lot::Mutex;

use super::*;
use crate::app::{Description, Document, Health, InForce, Plugin, Vitals};
use crate::identity::Identity;
use crate::store::Kept;
use crate::wire::{DownloadableFile, PackageStatuses, can};

/// Has what it is offered, but for what a test says.
#[derive(Default)]
struct Fake {
    here: Mutex<BTreeMap<String, Package>>,
    fails: Mutex<BTreeMap<String, NotInstalled>>,
    needed: Mutex<bool>,
    tried: Mutex<Vec<String>>,
}

impl Managed for Fake {
    async fn apply(&self, _: Option<Arc<Kept>>) -> Result<(), String> {
        Ok(())
    }

    fn in_force(&self) -> InForce {
        InForce::Own
    }

    fn generation(&self) -> u64 {
        0
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
        self.here.lock().values().cloned().collect()
    }

    async fn install(&self, offer: Offer) -> Result<(), NotInstalled> {
        self.tried.lock().push(offer.name.clone());
        if let Some(error) = self.fails.lock().get(&offer.name) {
            return Err(error.clone());
        }
        let Offer { name, version, hash, .. } = offer;
        self.here.lock().insert(name.clone(), Package { name, version, hash, refused: None });
        Ok(())
    }

    fn may_connect(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    async fn remove(&self, name: String) -> Result<(), String> {
        match *self.needed.lock() {
            true => Err("`filters.f` names it".to_owned()),
            false => {
                self.here.lock().remove(&name);
                Ok(())
            }
        }
    }

    fn vitals(&self) -> Vitals {
        Vitals::default()
    }

    async fn restart(&self) -> Result<(), String> {
        Ok(())
    }
}

struct Scene {
    folder: tempfile::TempDir,
    fake: Arc<Fake>,
    desk: Arc<Desk>,
    packages: Packages<Fake>,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::open(folder.path(), "m", 1).unwrap();
        let desk = Desk::new(identity, can::REPORT_STATUS, Description::default(), Instant::now());
        let (fake, desk) = (Arc::<Fake>::default(), Arc::new(desk));
        let ends = (desk.clone(), Arc::default());
        let packages = Packages::new(fake.clone(), ends, PackageStore::of(folder.path()));
        Scene { folder, fake, desk, packages }
    }

    /// Offers packages of these names and hashes.
    async fn offers(&mut self, hash: u8, packages: &[(&str, u8)]) -> bool {
        let package = |hash| PackageAvailable {
            kind: 1,
            version: format!("1.{hash}"),
            file: Some(DownloadableFile::default()),
            hash: vec![hash],
        };
        let packages = packages.iter().map(|(name, hash)| ((*name).to_owned(), package(*hash))).collect();
        self.packages.takes(PackagesAvailable { packages, all_packages_hash: vec![hash] });
        self.packages.work().await
    }

    fn told(&self) -> PackageStatuses {
        self.desk.begins();
        self.desk.next(Instant::now(), false).unwrap().package_statuses.unwrap()
    }

    fn state(&self, name: &str) -> (PackageState, String) {
        let status = self.told().packages[name].clone();
        (status.status(), status.error_message)
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_offered_is_had_once_and_told_with_hash_and_version() {
    let mut scene = Scene::new();
    assert!(scene.offers(1, &[("a", 1), ("b", 2)]).await);
    assert!(!scene.offers(1, &[("a", 1), ("b", 2)]).await, "it is here");
    let told = scene.told();
    assert_eq!(told.server_provided_all_packages_hash, [1]);
    let a = &told.packages["a"];
    assert_eq!((a.agent_has_hash.as_slice(), a.server_offered_hash.as_slice()), (&[1][..], &[1][..]));
    assert_eq!((a.agent_has_version.as_str(), a.status()), ("1.1", PackageState::Installed));
    assert!(scene.offers(2, &[("a", 3), ("b", 2)]).await);
    assert_eq!(*scene.fake.tried.lock(), ["a", "b", "a"]);
    // After a restart it is known without a word of the server.
    let ends = (scene.desk.clone(), Arc::default());
    scene.packages = Packages::new(scene.fake.clone(), ends, PackageStore::of(scene.folder.path()));
    let told = scene.told();
    assert_eq!(
        (told.server_provided_all_packages_hash, told.packages["a"].status()),
        (vec![2], PackageState::Installed)
    );
    assert_eq!(told.packages["a"].server_offered_hash, [3], "it was offered before");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_tried_under_another_hash_alone_and_what_failed_after_pauses() {
    let mut scene = Scene::new();
    let fails = [
        ("a".to_owned(), NotInstalled::Refused("it has no signature".to_owned())),
        ("b".to_owned(), NotInstalled::Failed("away".to_owned())),
    ];
    scene.fake.fails.lock().extend(fails);
    assert!(!scene.offers(1, &[("a", 1), ("b", 2)]).await);
    assert_eq!(scene.state("a"), (PackageState::Failed, "it has no signature".to_owned()));
    assert_eq!(scene.state("b"), (PackageState::Failed, "away".to_owned()));
    assert!(PackageStore::of(scene.folder.path()).hash().is_empty(), "a restart wants them again");
    scene.packages.work().await;
    assert_eq!(*scene.fake.tried.lock(), ["a", "b"]);
    tokio::time::advance(PAUSES.longest).await;
    scene.packages.work().await;
    assert_eq!(*scene.fake.tried.lock(), ["a", "b", "b"]);
    scene.fake.fails.lock().clear();
    tokio::time::advance(PAUSES.longest).await;
    scene.packages.work().await;
    assert_eq!(scene.state("b").0, PackageState::Installed);
    assert_eq!(scene.state("a").0, PackageState::Failed);
    assert!(scene.offers(2, &[("a", 3), ("b", 2)]).await);
    assert_eq!(scene.state("a"), (PackageState::Installed, String::new()));
    assert_eq!(PackageStore::of(scene.folder.path()).hash(), [2]);
}

#[tokio::test(start_paused = true)]
async fn what_had_to_go_again_is_told_and_not_had_again_under_its_hash() {
    let mut scene = Scene::new();
    scene.offers(1, &[("a", 1)]).await;
    scene.fake.here.lock().get_mut("a").unwrap().refused = Some((vec![2], "worse".to_owned()));
    scene.offers(2, &[("a", 2)]).await;
    assert_eq!(scene.state("a"), (PackageState::Failed, "worse".to_owned()));
    assert_eq!(scene.told().packages["a"].agent_has_hash, [1]);
    assert_eq!(*scene.fake.tried.lock(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_offered_no_more_goes_when_nothing_needs_it() {
    let mut scene = Scene::new();
    scene.offers(1, &[("a", 1)]).await;
    *scene.fake.needed.lock() = true;
    scene.offers(2, &[]).await;
    let (state, reason) = scene.state("a");
    assert!(
        state == PackageState::Installed && reason.contains("it stays: `filters.f` names it"),
        "{reason}"
    );
    *scene.fake.needed.lock() = false;
    scene.packages.work().await;
    assert!(scene.told().packages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_plugin_or_comes_without_a_hash_or_in_crowds_is_refused() {
    let mut scene = Scene::new();
    let all: Vec<String> = (0..=MOST).map(|n| n.to_string()).collect();
    let all: Vec<(&str, u8)> = all.iter().map(|name| (name.as_str(), 1)).collect();
    scene.offers(1, &all).await;
    let told = scene.told();
    assert!(told.packages.is_empty() && told.error_message.contains("flitch takes 100"), "{told:?}");
    let flitch =
        PackageAvailable { hash: vec![1], file: Some(DownloadableFile::default()), ..Default::default() };
    assert!(offer("flitch", &flitch).unwrap_err().contains("TopLevel"));
    let nameless = PackageAvailable { kind: 1, hash: Vec::new(), ..flitch };
    assert!(offer("a", &nameless).unwrap_err().contains("without a hash"));
    assert!(scene.fake.tried.lock().is_empty());
}
